#include "tests/check.h"
#include "tests/temporary-folder.h"
#include "tests/tokenizer-reference.h"

#include "engine/base/error.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/tokenizer-json.h"

using namespace assay;
using namespace assay::test;

namespace {

std::map<std::string, std::uint64_t> count_words(const std::vector<std::string>& texts,
                                                 std::size_t max_word_bytes = 256) {
  std::map<std::string, std::uint64_t> counts;
  for (const std::string& text : texts) {
    for (const std::string& word : reference_words(text)) {
      for (std::size_t at = 0; at < word.size(); at += max_word_bytes) {
        ++counts[word.substr(at, max_word_bytes)];
      }
    }
  }
  return counts;
}

void check_same_merges(const std::vector<LearnedMerge>& found, const std::vector<LearnedMerge>& wanted) {
  CHECK_EQ(found.size(), wanted.size());
  for (std::size_t index = 0; index < found.size(); ++index) {
    CHECK_EQ(found[index].count, wanted[index].count);
    CHECK(found[index].merge == wanted[index].merge);
  }
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

struct Trained {
  std::string json;
  std::uint64_t words = 0;
  std::uint64_t distinct = 0;
  std::uint64_t temporary_bytes = 0;
  std::uint64_t min_word_count = 0;
  std::uint64_t words_left_out = 0;
};

Trained train(const std::vector<std::string>& texts, const WordStatisticsOptions& options, std::uint32_t vocab_size,
              std::size_t batch = 1000) {
  BpeTrainer trainer(options);
  const std::vector<std::string_view> all = views(texts);
  for (std::size_t at = 0; at < all.size(); at += batch) {
    trainer.add(std::span(all).subspan(at, std::min(batch, all.size() - at)));
  }
  const BpeTrainResult result = trainer.train(
      {.vocab_size = vocab_size, .min_frequency = 2, .special_tokens = {"<|endoftext|>"}, .on_progress = {}});
  return {format_tokenizer_json(result.tokenizer), trainer.words().word_count(), trainer.words().distinct_words(),
          trainer.words().temporary_file_bytes(),  result.min_word_count,        result.words_left_out};
}

std::vector<std::string> many_texts(std::uint32_t seed, std::size_t count) {
  TextMaker maker(seed);
  std::vector<std::string> texts;
  for (std::size_t index = 0; index < count; ++index) {
    texts.push_back(maker.prose(50) + maker.nasty(30, true) + " w" + std::to_string(maker.below(20000)) +
                    maker.from_alphabet("ACGT", 40));
  }
  return texts;
}

const bool kCases[] = {
    add_case("merges and their counts equal those of a trainer that counts anew each time",
             [] {
               TextMaker maker(21);
               for (int round = 0; round < 12; ++round) {
                 std::vector<std::string> texts = {maker.prose(150), maker.nasty(300, true),
                                                   maker.from_alphabet("ab", 200), maker.from_alphabet("a", 40),
                                                   maker.from_alphabet("ACGT", 150)};
                 const std::uint64_t min_frequency = static_cast<std::uint64_t>(round % 4);
                 const std::map<std::string, std::uint64_t> counts = count_words(texts);
                 WordList words(256);
                 for (const auto& [word, count] : counts) {
                   words.add(word, count);
                 }
                 check_same_merges(learn_merges(std::move(words),
                                                {.max_merges = 250, .min_frequency = min_frequency, .on_progress = {}}),
                                   reference_learn(counts, 250, min_frequency));
               }
             }),
    add_case("pairs that overlap themselves are counted and merged from the left",
             [] {
               std::map<std::string, std::uint64_t> counts;
               for (std::size_t length = 1; length < 40; ++length) {
                 counts[std::string(length, 'a')] = length % 5 + 1;
                 counts[std::string(length, 'a') + "b" + std::string(length / 2, 'a')] = 2;
                 counts[std::string(length + 1, 'b')] = 1;
               }
               WordList words(256);
               for (const auto& [word, count] : counts) {
                 words.add(word, count);
               }
               check_same_merges(
                   learn_merges(std::move(words), {.max_merges = 1000, .min_frequency = 1, .on_progress = {}}),
                   reference_learn(counts, 1000, 1));
             }),
    add_case("among equal counts the pair with the smaller left id, then the smaller right id, is first",
             [] {
               WordList words(256);
               for (const char* word : {"zy", "cb", "ca", "ba"}) {
                 words.add(word, 3);
               }
               const std::vector<LearnedMerge> merges =
                   learn_merges(std::move(words), {.max_merges = 9, .min_frequency = 1, .on_progress = {}});
               std::string order;
               for (const LearnedMerge& each : merges) {
                 order += static_cast<char>(kByteOfId[each.merge.left]);
                 order += static_cast<char>(kByteOfId[each.merge.right]);
               }
               CHECK_EQ(order, std::string("bacacbzy"));
             }),
    add_case("counts beyond 32 bits are exact",
             [] {
               WordList words(256);
               words.add("ab", 5000000000U);
               words.add("abc", 5000000001U);
               const std::vector<LearnedMerge> merges =
                   learn_merges(std::move(words), {.max_merges = 9, .min_frequency = 1, .on_progress = {}});
               CHECK_EQ(merges.size(), std::size_t{2});
               CHECK_EQ(merges[0].count, std::uint64_t{10000000001});
               CHECK_EQ(merges[1].count, std::uint64_t{5000000001});
             }),
    add_case("the same bytes come out for any number of threads and any grouping of the texts",
             [] {
               const std::vector<std::string> texts = many_texts(22, 300);
               const Trained one = train(texts, {.threads = 1}, 900);
               for (const unsigned threads : {2U, 3U, 8U}) {
                 for (const std::size_t batch : {1UL, 7UL, 1000UL}) {
                   const Trained other = train(texts, {.threads = threads}, 900, batch);
                   CHECK(other.json == one.json);
                   CHECK_EQ(other.words, one.words);
                   CHECK_EQ(other.distinct, one.distinct);
                 }
               }
             }),
    add_case("one long text is shared among threads without changing a word",
             [] {
               TextMaker maker(23);
               std::string text;
               while (text.size() < 5000000) {
                 text += maker.prose(2000) + maker.nasty(200, true);
               }
               const std::vector<std::string> texts = {text};
               const Trained one = train(texts, {.threads = 1}, 700);
               const Trained four = train(texts, {.threads = 4}, 700);
               CHECK(one.json == four.json);
               std::uint64_t words = 0;
               for_each_word(text, [&](std::string_view) { ++words; });
               CHECK_EQ(one.words, words);
             }),
    add_case("counts that do not fit in memory go to a file and come back exact",
             [] {
               const std::vector<std::string> texts = many_texts(24, 2000);
               const std::map<std::string, std::uint64_t> counts = count_words(texts);
               const Trained roomy = train(texts, {.threads = 2}, 800);
               CHECK_EQ(roomy.temporary_bytes, std::uint64_t{0});
               CHECK_EQ(roomy.min_word_count, std::uint64_t{1});
               CHECK_EQ(roomy.distinct, counts.size());
               const Trained tight = train(texts, {.max_memory_bytes = 500000, .threads = 2}, 800, 100);
               CHECK(tight.temporary_bytes > 0);
               CHECK_EQ(tight.distinct, counts.size());
               CHECK(tight.min_word_count > 1);
               // What it learned is what the words that were kept teach.
               WordList kept;
               for (const auto& [word, count] : counts) {
                 if (count >= tight.min_word_count) {
                   kept.add(word, count);
                 }
               }
               CHECK_EQ(tight.words_left_out, counts.size() - kept.size());
               const std::vector<LearnedMerge> merges =
                   learn_merges(std::move(kept), {.max_merges = 543, .min_frequency = 2, .on_progress = {}});
               const Tokenizer learned = parse_tokenizer_json(tight.json, "test");
               CHECK_EQ(learned.merges().size(), merges.size());
               for (std::size_t rank = 0; rank < merges.size(); ++rank) {
                 CHECK(learned.merges()[rank] == merges[rank].merge);
               }
             }),
    add_case("which words are left out for want of memory does not depend on threads",
             [] {
               const std::vector<std::string> texts = many_texts(25, 1500);
               const Trained one = train(texts, {.max_memory_bytes = 400000, .threads = 1}, 600);
               const Trained many = train(texts, {.max_memory_bytes = 400000, .threads = 5}, 600, 10);
               CHECK(one.min_word_count > 1);
               CHECK_EQ(one.min_word_count, many.min_word_count);
               CHECK_EQ(one.words_left_out, many.words_left_out);
               CHECK(one.json == many.json);
             }),
    add_case("long words are counted in pieces",
             [] {
               const std::vector<std::string> texts = {std::string(1000, 'x') + " " + std::string(37, 'y')};
               BpeTrainer trainer({.max_word_bytes = 16});
               trainer.add(views(texts));
               CHECK_EQ(trainer.words().word_count(), std::uint64_t{63 + 3});
               CHECK_EQ(trainer.words().distinct_words(), count_words(texts, 16).size());
               CHECK_EQ(trainer.words().byte_count(), std::uint64_t{1038});
               CHECK_THROWS(BpeTrainer({.max_word_bytes = 1}), "BAD_ARGUMENT", "1 bytes");
             }),
    add_case("bytes come first in GPT-2's order and special tokens last",
             [] {
               BpeTrainer trainer({});
               const std::vector<std::string> texts = {"low lower lowest low low"};
               trainer.add(views(texts));
               const BpeTrainResult result = trainer.train({.vocab_size = 262,
                                                            .min_frequency = 2,
                                                            .special_tokens = {"<|pad|>", "<|endoftext|>"},
                                                            .on_progress = {}});
               const Tokenizer& tokenizer = result.tokenizer;
               CHECK_EQ(tokenizer.vocab_size(), 262U);
               CHECK_EQ(tokenizer.token_bytes(0), std::string_view("!"));
               CHECK_EQ(tokenizer.token_bytes(220), std::string_view(" "));
               CHECK_EQ(tokenizer.token_bytes(256), std::string_view("lo"));
               CHECK_EQ(tokenizer.token_bytes(260), std::string_view("<|pad|>"));
               CHECK_EQ(tokenizer.end_of_text_id().value_or(0), 261U);
               CHECK(tokenizer.is_special(261) && tokenizer.is_special(260) && !tokenizer.is_special(259));
             }),
    add_case("a vocabulary larger than the text supports ends where the pairs end",
             [] {
               BpeTrainer trainer({});
               const std::vector<std::string> texts = {"abc abc"};
               trainer.add(views(texts));
               std::vector<std::pair<std::size_t, std::size_t>> progress;
               const BpeTrainResult result = trainer.train({.vocab_size = 1000000000,
                                                            .min_frequency = 1,
                                                            .special_tokens = {"<|endoftext|>"},
                                                            .on_progress = [&](std::size_t merges, std::size_t total) {
                                                              progress.emplace_back(merges, total);
                                                            }});
               // ab, abc, " abc" and the special token.
               CHECK_EQ(result.tokenizer.vocab_size(), 260U);
               CHECK_EQ(result.tokenizer.end_of_text_id().value_or(0), 259U);
               CHECK_EQ(progress.back().first, std::size_t{3});
               CHECK_EQ(progress.back().second, std::size_t{3});
               // Once more with other options, from the same counts.
               CHECK_EQ(trainer.train({.vocab_size = 258, .min_frequency = 1, .special_tokens = {}, .on_progress = {}})
                            .tokenizer.vocab_size(),
                        258U);
             }),
    add_case("wrong requests are refused with a sentence",
             [] {
               BpeTrainer trainer({});
               const auto request = [&](std::uint32_t vocab_size, std::vector<std::string> specials) {
                 trainer.train({.vocab_size = vocab_size,
                                .min_frequency = 1,
                                .special_tokens = std::move(specials),
                                .on_progress = {}});
               };
               CHECK_THROWS(request(300, {}), "CORPUS_EMPTY", "no text");
               const std::vector<std::string> nothing = {"", ""};
               trainer.add(views(nothing));
               trainer.add({});
               CHECK_THROWS(request(300, {}), "CORPUS_EMPTY", "no text");
               const std::vector<std::string> texts = {"abc abc abc"};
               trainer.add(views(texts));
               CHECK_THROWS(request(256, {"<|endoftext|>"}), "BAD_ARGUMENT", "257");
               CHECK_THROWS(request(300, {"<a>", "<a>"}), "BAD_ARGUMENT", "given twice");
               CHECK_THROWS(request(300, {""}), "BAD_ARGUMENT", "empty");
               CHECK_THROWS(request(300, {"abc"}), "TOKENIZER_INVALID", "\"abc\" is also the ordinary token");
               CHECK_THROWS(request(300, {"a"}), "TOKENIZER_INVALID", "\"a\" is also the ordinary token");
               request(300, {"<a>"});
             }),
    add_case("learning that cannot fit the memory limit is refused",
             [] {
               BpeTrainer trainer({.max_memory_bytes = 100});
               std::string text;
               for (int i = 0; i < 5000; ++i) {
                 text += " immunohistochemistry photosynthesis";
               }
               const std::vector<std::string> texts = {text};
               trainer.add(views(texts));
               CHECK_THROWS(
                   trainer.train({.vocab_size = 300, .min_frequency = 1, .special_tokens = {}, .on_progress = {}}),
                   "OUT_OF_MEMORY", "allow more memory");
             }),
};

} // namespace

int main() {
  return run_cases();
}
