#include "tests/check.h"
#include "tests/temporary-folder.h"
#include "tests/tokenizer-reference.h"

#include "engine/base/error.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/tiktoken-ranks.h"

#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

// Learned from prose, odd texts and sequences, so that it has words, numbers, byte pairs and repetitions as tokens.
std::shared_ptr<const Tokenizer> a_tokenizer() {
  static const std::shared_ptr<const Tokenizer> shared = [] {
    TextMaker maker(31);
    BpeTrainer trainer({});
    for (int round = 0; round < 20; ++round) {
      const std::string text = maker.prose(400) + maker.nasty(400, true) + maker.from_alphabet("ACGT", 300) +
                               std::string(70, 'a') + " " + std::string(50, '-') + maker.from_alphabet("ab", 100);
      const std::string_view view = text;
      trainer.add(std::span(&view, 1));
    }
    return std::make_shared<const Tokenizer>(
        trainer.train({.vocab_size = 900, .min_frequency = 2, .special_tokens = {"<|endoftext|>"}, .on_progress = {}})
            .tokenizer);
  }();
  return shared;
}

// The same tokens and merges with ranks shuffled: merges may rank before those that make their parts.
std::shared_ptr<const Tokenizer> a_disordered_tokenizer() {
  const std::shared_ptr<const Tokenizer> ordered = a_tokenizer();
  TokenizerParts parts;
  parts.tokens.assign(ordered->tokens().begin(), ordered->tokens().end());
  parts.merges.assign(ordered->merges().begin(), ordered->merges().end());
  parts.specials.assign(ordered->specials().begin(), ordered->specials().end());
  std::shuffle(parts.merges.begin(), parts.merges.end(), std::mt19937(5));
  return std::make_shared<const Tokenizer>(std::move(parts), "test");
}

TokenIds merged(const Tokenizer& tokenizer, std::string_view word) {
  TokenIds ids;
  WordMerger(tokenizer).merge(word, ids);
  return ids;
}

void check_merged(const Tokenizer& tokenizer, const std::string& word) {
  CHECK(merged(tokenizer, word) == reference_merge(tokenizer, word));
}

const bool kCases[] = {
    add_case("random nasty texts encode like the reference, cold and from the cache, and decode to themselves",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               TextMaker maker(32);
               Encoder encoder(tokenizer);
               for (int round = 0; round < 4000; ++round) {
                 const std::string text = maker.nasty(1 + maker.below(40), true) + maker.prose(5);
                 // Exactly its size on the heap, so that a sanitizer sees reads past its end.
                 const std::vector<char> exact(text.begin(), text.end());
                 TokenIds ids;
                 encoder.encode({exact.data(), exact.size()}, ids);
                 CHECK(ids == reference_encode(*tokenizer, text));
                 CHECK(tokenizer->decode(ids) == text);
                 const std::size_t length =
                     std::accumulate(ids.begin(), ids.end(), std::size_t{0}, [&](std::size_t sum, std::uint32_t id) {
                       return sum + tokenizer->token_length(id);
                     });
                 CHECK_EQ(length, text.size());
               }
             }),
    add_case("words of every length merge like the reference",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               CHECK(tokenizer->has_ordered_merges());
               TextMaker maker(33);
               for (std::size_t length = 1; length < 300; ++length) {
                 check_merged(*tokenizer, std::string(length, 'a'));
                 check_merged(*tokenizer, maker.from_alphabet("ab", length));
                 check_merged(*tokenizer, maker.from_alphabet("ACGT", length));
                 check_merged(*tokenizer, maker.from_alphabet("patientskinase", length));
               }
             }),
    add_case("very long words merge like the reference",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               TextMaker maker(34);
               for (const std::size_t length : {4095UL, 4096UL, 5001UL}) {
                 check_merged(*tokenizer, std::string(length, 'a'));
                 check_merged(*tokenizer, std::string(length, '-'));
                 check_merged(*tokenizer, maker.from_alphabet("ACGT", length));
                 check_merged(*tokenizer, maker.from_alphabet("aab", length));
               }
             }),
    add_case("long words merge as by the plain way",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               WordMerger merger(*tokenizer);
               TextMaker maker(35);
               const auto check_plain = [&](const std::string& word) {
                 // The merger keeps what is there and can be used again.
                 TokenIds found = {7};
                 merger.merge(word, found);
                 TokenIds wanted = {7};
                 merger.merge_by_heap(word, wanted);
                 CHECK(found == wanted);
               };
               for (int round = 0; round < 12; ++round) {
                 for (const char* alphabet : {"ACGT", "aab", "ab", "patientskinase", "a-"}) {
                   check_plain(maker.from_alphabet(alphabet, 4097 + maker.below(20000)));
                 }
                 check_plain(maker.nasty(4000, true));
               }
               for (const std::size_t length : {4097UL, 6144UL, 6145UL, 40000UL, 100001UL}) {
                 // Repetition whose tokens do not fit the windows.
                 std::string word;
                 for (const char* unit : {"a", "-", "ab", "aab", "patient", "ACGTT"}) {
                   word.clear();
                   while (word.size() < length) {
                     word += unit;
                   }
                   check_plain(word);
                 }
               }
             }),
    add_case("vocabularies made by chance, some of whose tokens no text merges to, encode as by the plain way",
             [] {
               TextMaker maker(39);
               for (int round = 0; round < 400; ++round) {
                 TokenizerParts parts;
                 for (const std::uint8_t byte : kByteOfId) {
                   parts.tokens.emplace_back(1, static_cast<char>(byte));
                 }
                 const std::uint32_t a = kIdOfByte['a'];
                 const auto pick = [&] {
                   const std::uint32_t made = static_cast<std::uint32_t>(parts.merges.size());
                   const std::uint32_t choice = maker.below(made + 3);
                   return choice < 3 ? a + choice : 256 + choice - 3;
                 };
                 while (parts.merges.size() < 60) {
                   const std::uint32_t left = pick();
                   const std::uint32_t right = pick();
                   const std::string bytes = parts.tokens[left] + parts.tokens[right];
                   if (bytes.size() <= 24 &&
                       std::find(parts.tokens.begin(), parts.tokens.end(), bytes) == parts.tokens.end()) {
                     parts.merges.push_back({left, right, static_cast<std::uint32_t>(parts.tokens.size())});
                     parts.tokens.push_back(bytes);
                   }
                 }
                 const Tokenizer tokenizer(std::move(parts), "test");
                 CHECK(tokenizer.has_ordered_merges());
                 WordMerger merger(tokenizer);
                 for (std::size_t length = 1; length < 120; length += 1 + length / 8) {
                   const std::string word = maker.from_alphabet(round % 2 == 0 ? "abc" : "aab", length);
                   TokenIds found;
                   TokenIds wanted;
                   merger.merge(word, found);
                   merger.merge_by_heap(word, wanted);
                   CHECK(found == wanted);
                 }
               }
             }),
    add_case("merges whose ranks are out of order are applied by rank all the same",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_disordered_tokenizer();
               CHECK(!tokenizer->has_ordered_merges());
               TextMaker maker(36);
               Encoder encoder(tokenizer);
               for (int round = 0; round < 500; ++round) {
                 const std::string text =
                     maker.nasty(20, true) + maker.prose(5) + maker.from_alphabet("ACGT", maker.below(200));
                 TokenIds ids;
                 encoder.encode(text, ids);
                 CHECK(ids == reference_encode(*tokenizer, text));
               }
               check_merged(*tokenizer, maker.from_alphabet("aab", 5000));
             }),
    add_case("a cache that has to drop words still gives the right ids",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               TextMaker maker(37);
               std::string text;
               for (int index = 0; index < 150000; ++index) {
                 text += " " + maker.from_alphabet("abcdefghijklmnop", 1 + maker.below(20));
               }
               Encoder encoder(tokenizer);
               TokenIds first;
               encoder.encode(text, first);
               TokenIds second;
               encoder.encode(text, second);
               CHECK(first == second);
               CHECK(first == reference_encode(*tokenizer, text));
             }),
    add_case("ids are appended to what is there",
             [] {
               Encoder encoder(a_tokenizer());
               TokenIds ids = {7, 8};
               encoder.encode("", ids);
               CHECK(ids == (TokenIds{7, 8}));
               encoder.encode("a", ids);
               CHECK_EQ(ids.size(), std::size_t{3});
               CHECK_EQ(ids[2], a_tokenizer()->id_of_byte('a'));
             }),
    add_case("a batch gives the same ids for any number of threads",
             [] {
               TextMaker maker(38);
               std::vector<std::string> texts = {""};
               for (int index = 0; index < 3000; ++index) {
                 texts.push_back(maker.prose(maker.below(80)) + maker.nasty(maker.below(10), true));
               }
               texts.emplace_back();
               const std::vector<std::string_view> views(texts.begin(), texts.end());
               EncoderPool pool(a_tokenizer());
               const EncodedBatch one = pool.encode_batch(views, 1);
               CHECK_EQ(one.offsets.size(), texts.size() + 1);
               CHECK_EQ(one.offsets.back(), one.ids.size());
               for (std::size_t index = 0; index < texts.size(); index += 97) {
                 const TokenIds alone = pool.encode(texts[index]);
                 CHECK(std::equal(alone.begin(), alone.end(),
                                  one.ids.begin() + static_cast<std::ptrdiff_t>(one.offsets[index]),
                                  one.ids.begin() + static_cast<std::ptrdiff_t>(one.offsets[index + 1])));
               }
               for (const unsigned threads : {2U, 7U}) {
                 const EncodedBatch other = pool.encode_batch(views, threads);
                 CHECK(other.ids == one.ids);
                 CHECK(other.offsets == one.offsets);
               }
               CHECK_EQ(pool.encode_batch({}, 4).offsets.size(), std::size_t{1});
             }),
    add_case("special tokens are not found in text, but decode to their text",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               const std::uint32_t end_of_text = tokenizer->end_of_text_id().value();
               const TokenIds ids = EncoderPool(tokenizer).encode("<|endoftext|>");
               CHECK(ids.size() > 1);
               CHECK(std::find(ids.begin(), ids.end(), end_of_text) == ids.end());
               const std::vector<std::uint32_t> special = {end_of_text};
               CHECK_EQ(tokenizer->decode(special), std::string("<|endoftext|>"));
               CHECK_EQ(tokenizer->id_of_bytes("<|endoftext|>").value_or(0), end_of_text);
               CHECK(!tokenizer->id_of_bytes("no such token").has_value());
               const std::vector<std::uint32_t> beyond = {tokenizer->vocab_size()};
               CHECK_THROWS(tokenizer->decode(beyond), "BAD_ARGUMENT", "ids 0 to 899");
             }),
    add_case("merges are found again from tokens by rank",
             [] {
               const std::shared_ptr<const Tokenizer> tokenizer = a_tokenizer();
               const std::vector<std::pair<std::string, std::uint32_t>> specials = {{"<|endoftext|>", 899}};
               std::vector<std::string> ranks(tokenizer->tokens().begin(), tokenizer->tokens().end() - 1);
               const Tokenizer found = tokenizer_from_ranks(ranks, specials);
               CHECK(!found.ignore_merges());
               CHECK(std::equal(found.merges().begin(), found.merges().end(), tokenizer->merges().begin(),
                                tokenizer->merges().end()));
               CHECK_EQ(found.end_of_text_id().value_or(0), 899U);
             }),
    add_case("tokens by rank that no merge makes are still taken as whole words",
             [] {
               std::vector<std::string> ranks;
               for (const std::uint8_t byte : kByteOfId) {
                 ranks.emplace_back(1, static_cast<char>(byte));
               }
               ranks.emplace_back("ab");
               ranks.emplace_back("wxyz");
               const auto tokenizer = std::make_shared<const Tokenizer>(tokenizer_from_ranks(ranks, {}));
               CHECK(tokenizer->ignore_merges());
               CHECK_EQ(tokenizer->merges().size(), std::size_t{1});
               EncoderPool pool(tokenizer);
               CHECK(pool.encode("wxyz") == TokenIds{257});
               CHECK_EQ(pool.encode("wxyzab").size(), std::size_t{5});
             }),
    add_case("ranks that leave a gap or share an id are refused",
             [] {
               std::vector<std::string> ranks;
               for (unsigned byte = 0; byte < 255; ++byte) {
                 ranks.emplace_back(1, static_cast<char>(byte));
               }
               const std::vector<std::pair<std::string, std::uint32_t>> none;
               CHECK_THROWS(tokenizer_from_ranks(ranks, none), "TOKENIZER_INVALID", "no token for byte 255");
               ranks.emplace_back(1, '\xFF');
               const std::vector<std::pair<std::string, std::uint32_t>> far = {{"<|endoftext|>", 4000000000U}};
               CHECK_THROWS(tokenizer_from_ranks(ranks, far), "TOKENIZER_INVALID", "without a gap");
               const std::vector<std::pair<std::string, std::uint32_t>> shared = {{"<|endoftext|>", 5}};
               CHECK_THROWS(tokenizer_from_ranks(ranks, shared), "TOKENIZER_INVALID", "both an ordinary token and");
               ranks.emplace_back("A");
               CHECK_THROWS(tokenizer_from_ranks(ranks, none), "TOKENIZER_INVALID", "are both \"A\"");
             }),
};

} // namespace

int main() {
  return run_cases();
}
