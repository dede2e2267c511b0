#include "tests/check.h"
#include "tests/temporary-folder.h"
#include "tests/tokenizer-reference.h"

#include "engine/base/error.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/tokenizer-json.h"
#include "engine/tokenizer/trained-tokenizer.h"
#include "engine/tokenizer/unigram-lattice.h"
#include "engine/tokenizer/unigram-seeds.h"
#include "engine/tokenizer/unigram-trainer.h"
#include "engine/tokenizer/wordpiece-trainer.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>

using namespace assay;
using namespace assay::test;

namespace {

// Texts cut at white space.
void count(WordStatistics& words, const std::vector<std::string>& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  words.add(views);
}

WordStatisticsOptions white_space(unsigned threads = 1) {
  WordStatisticsOptions options;
  options.threads = threads;
  options.pipeline = TextPipeline{{}, {WhitespaceSplitter{}}};
  return options;
}

WordStatisticsOptions unigram_words(unsigned threads) {
  WordStatisticsOptions options;
  options.threads = threads;
  options.pipeline = unigram_pipeline();
  return options;
}

std::map<std::string, std::uint64_t> words_of(const std::vector<std::string>& texts) {
  std::map<std::string, std::uint64_t> counts;
  for (const std::string& text : texts) {
    std::istringstream stream(text);
    for (std::string word; stream >> word;) {
      ++counts[word];
    }
  }
  return counts;
}

// ASCII words only: merges the most frequent pair of neighbours, counting anew each time; of equal ones the pair whose
// symbols are older.
std::vector<std::string> reference_wordpiece(const std::map<std::string, std::uint64_t>& counts,
                                             std::vector<std::string> specials, std::size_t vocab_size,
                                             std::uint64_t min_frequency) {
  std::vector<std::string> symbols;
  std::map<std::string, std::size_t> index;
  std::string alphabet;
  for (const auto& [word, unused] : counts) {
    alphabet += word;
  }
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  for (const char each : alphabet) {
    for (const std::string& symbol : {std::string(1, each), std::string("##") + each}) {
      index[symbol] = symbols.size();
      symbols.push_back(symbol);
    }
  }
  std::vector<std::string> pieces = std::move(specials);
  pieces.insert(pieces.end(), symbols.begin(), symbols.end());
  std::vector<std::pair<std::vector<std::size_t>, std::uint64_t>> words;
  for (const auto& [word, count] : counts) {
    std::vector<std::size_t> parts;
    for (std::size_t at = 0; at < word.size(); ++at) {
      parts.push_back(index[(at > 0 ? "##" : "") + std::string(1, word[at])]);
    }
    words.emplace_back(parts, count);
  }
  while (pieces.size() < vocab_size) {
    std::map<std::pair<std::size_t, std::size_t>, std::uint64_t> pairs;
    for (const auto& [parts, count] : words) {
      for (std::size_t at = 0; at + 1 < parts.size(); ++at) {
        pairs[{parts[at], parts[at + 1]}] += count;
      }
    }
    const auto best = std::max_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
      return a.second != b.second ? a.second < b.second : a.first > b.first;
    });
    if (best == pairs.end() || best->second < min_frequency) {
      break;
    }
    const auto [left, right] = best->first;
    const std::size_t made = symbols.size();
    const std::string& tail = symbols[right];
    symbols.push_back(symbols[left] + (tail.starts_with("##") ? tail.substr(2) : tail));
    // "##a" + "##aa" and "##aa" + "##a" are one piece.
    if (std::find(pieces.begin(), pieces.end(), symbols.back()) == pieces.end()) {
      pieces.push_back(symbols.back());
    }
    for (auto& [parts, count] : words) {
      for (std::size_t at = 0; at + 1 < parts.size(); ++at) {
        if (parts[at] == left && parts[at + 1] == right) {
          parts[at] = made;
          parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
      }
    }
  }
  return pieces;
}

const std::vector<std::string> kSpecials = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};

std::vector<std::string> some_texts(std::uint32_t seed, std::size_t size) {
  TextMaker maker(seed);
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < size; ++at) {
    texts.push_back(maker.prose(60) + " " + maker.from_alphabet("ACGT", 12) + " aaaa aaa baba");
  }
  return texts;
}

// Every segmentation of `word`, by brute force: sum of exp(score) and each piece's share.
double all_segmentations(std::u32string_view word, const std::map<std::u32string, std::size_t>& ids,
                         const std::vector<double>& scores, std::vector<std::size_t>& chosen, double score,
                         std::vector<double>& weighted) {
  if (word.empty()) {
    const double share = std::exp(score);
    for (const std::size_t id : chosen) {
      weighted[id] += share;
    }
    return share;
  }
  double total = 0.0;
  for (std::size_t length = 1; length <= word.size(); ++length) {
    const auto found = ids.find(std::u32string(word.substr(0, length)));
    if (found != ids.end()) {
      chosen.push_back(found->second);
      total += all_segmentations(word.substr(length), ids, scores, chosen, score + scores[found->second], weighted);
      chosen.pop_back();
    }
  }
  return total;
}

const bool kCases[] = {
    add_case("WordPiece's pieces equal those of a trainer that counts anew each time",
             [] {
               for (std::uint32_t seed = 1; seed < 6; ++seed) {
                 std::vector<std::string> texts = some_texts(seed, 6);
                 for (std::string& text : texts) { // the reference takes bytes for characters
                   std::replace_if(
                       text.begin(), text.end(), [](char byte) { return byte < 0; }, 'x');
                 }
                 WordStatistics words(white_space());
                 count(words, texts);
                 const WordPieceTrainResult result =
                     train_wordpiece(words, {.vocab_size = 220, .min_frequency = 2, .special_tokens = kSpecials});
                 const std::vector<std::string> wanted = reference_wordpiece(words_of(texts), kSpecials, 220, 2);
                 CHECK_EQ(result.pieces.size(), wanted.size());
                 CHECK(result.pieces == wanted);
               }
             }),
    add_case("WordPiece gives the same pieces for any number of threads and any memory that suffices",
             [] {
               const std::vector<std::string> texts = some_texts(9, 400);
               std::vector<std::vector<std::string>> found;
               for (const unsigned threads : {1U, 2U, 5U}) {
                 WordStatisticsOptions options = white_space(threads);
                 options.max_memory_bytes = threads == 5 ? 1U << 20 : 1U << 30;
                 WordStatistics words(options);
                 count(words, texts);
                 found.push_back(train_wordpiece(words, {.vocab_size = 400, .special_tokens = kSpecials}).pieces);
               }
               CHECK(found[0] == found[1]);
               CHECK(found[0] == found[2]);
             }),
    add_case("protected words are WordPiece pieces, and characters beyond the limit get none",
             [] {
               WordStatistics words(white_space());
               count(words, {"the cat the cat the dog the dog zebra", "the the the"});
               const WordPieceTrainResult result = train_wordpiece(words, {.vocab_size = 60,
                                                                           .special_tokens = kSpecials,
                                                                           .alphabet_limit = 3,
                                                                           .protected_words = {"zebra", "q"}});
               const auto has = [&](const char* piece) {
                 return std::find(result.pieces.begin(), result.pieces.end(), piece) != result.pieces.end();
               };
               CHECK(has("zebra"));
               CHECK(has("q"));
               CHECK(has("the"));
               CHECK(!has("g"));
               CHECK_THROWS((train_wordpiece(words, {.vocab_size = 60, .protected_words = {"two words"}})),
                            "BAD_ARGUMENT", "two words");
               CHECK_THROWS((train_wordpiece(words, {.vocab_size = 6, .special_tokens = kSpecials})), "BAD_ARGUMENT",
                            "ask for more");
               WordStatistics nothing(white_space());
               CHECK_THROWS((train_wordpiece(nothing, {.vocab_size = 60})), "CORPUS_EMPTY", "no text");
             }),
    add_case("protected words are single byte-level tokens within the size asked for",
             [] {
               WordStatisticsOptions options;
               BpeTrainer trainer(options);
               const std::vector<std::string> texts = some_texts(3, 30);
               const std::vector<std::string_view> views(texts.begin(), texts.end());
               trainer.add(views);
               BpeTrainOptions train;
               train.vocab_size = 400;
               train.special_tokens = {"<|endoftext|>"};
               train.protected_words = {" photosynthesis", " immunohistochemistry", "probiotic", " photosynthesis"};
               BpeTrainResult result = trainer.train(train);
               CHECK_EQ(result.tokenizer.vocab_size(), 400U);
               const auto tokenizer = std::make_shared<Tokenizer>(std::move(result.tokenizer));
               Encoder encoder(tokenizer);
               for (const std::string& word : train.protected_words) {
                 TokenIds ids;
                 encoder.encode("x" + word == "xprobiotic" ? "probiotic" : "x" + word, ids);
                 CHECK(tokenizer->token_bytes(ids.back()) == word);
               }
               train.protected_words = {"two words"};
               CHECK_THROWS(trainer.train(train), "BAD_ARGUMENT", "two words");
               train.protected_words = {" immunohistochemistry"};
               train.vocab_size = 260;
               CHECK_THROWS(trainer.train(train), "BAD_ARGUMENT", "larger vocabulary");
             }),
    add_case("a lattice's expected counts and best path are those of all segmentations",
             [] {
               TextMaker maker(4);
               for (int round = 0; round < 40; ++round) {
                 std::map<std::u32string, std::size_t> ids;
                 std::vector<double> scores;
                 PieceTree tree;
                 const auto add = [&](const std::u32string& piece) {
                   if (ids.emplace(piece, scores.size()).second) {
                     tree.add(piece, static_cast<std::uint32_t>(scores.size()));
                     scores.push_back(-0.1 - static_cast<double>(maker.below(900)) / 100.0);
                   }
                 };
                 for (const char32_t each : std::u32string(U"abc")) {
                   add(std::u32string(1, each));
                 }
                 for (int piece = 0; piece < 12; ++piece) {
                   add(to_code_points(maker.from_alphabet("abc", 2 + maker.below(3))));
                 }
                 const std::u32string word = to_code_points(maker.from_alphabet("abc", 1 + maker.below(9)));
                 std::vector<double> weighted(scores.size(), 0.0);
                 std::vector<std::size_t> chosen;
                 const double total = all_segmentations(word, ids, scores, chosen, 0.0, weighted);
                 std::vector<double> expected(scores.size(), 0.0);
                 UnigramLattice lattice(tree, scores);
                 CHECK(std::fabs(lattice.add_expected(word, 3.0, expected) - std::log(total)) < 1e-9);
                 for (std::size_t id = 0; id < scores.size(); ++id) {
                   CHECK(std::fabs(expected[id] - (3.0 * weighted[id] / total)) < 1e-9);
                 }
                 double best = 0.0;
                 std::u32string joined;
                 for (const std::uint32_t id : lattice.best(word)) {
                   best += scores[id];
                   joined +=
                       std::find_if(ids.begin(), ids.end(), [&](const auto& each) { return each.second == id; })->first;
                 }
                 CHECK(joined == word);
                 CHECK(std::exp(best) <= total + 1e-12);
               }
             }),
    add_case("a unigram vocabulary has its size, its characters, and scores that are probabilities",
             [] {
               const std::vector<std::string> texts = some_texts(5, 120);
               std::vector<UnigramTrainResult> found;
               for (const unsigned threads : {1U, 2U, 3U}) {
                 WordStatistics words(unigram_words(threads));
                 count(words, texts);
                 found.push_back(train_unigram(words, {.vocab_size = 200,
                                                       .special_tokens = {"<unk>", "<s>"},
                                                       .protected_words = {"photosynthesis"},
                                                       .threads = threads}));
               }
               CHECK(found[0].pieces == found[1].pieces);
               CHECK(found[0].pieces == found[2].pieces);
               CHECK(found[0].scores == found[2].scores);
               const UnigramTrainResult& result = found[0];
               CHECK_EQ(result.pieces.size(), std::size_t{200});
               CHECK(result.pieces[0] == "<unk>");
               CHECK(std::is_sorted(result.scores.begin() + 2, result.scores.end(), std::greater<>()));
               const auto has = [&](const std::string& piece) {
                 return std::find(result.pieces.begin(), result.pieces.end(), piece) != result.pieces.end();
               };
               CHECK(has("\u2581photosynthesis"));
               CHECK(has("\u2581"));
               CHECK(has("e"));
               WordStatistics words(unigram_words(1));
               count(words, texts);
               CHECK_THROWS((train_unigram(words, {.vocab_size = 5})), "BAD_ARGUMENT", "ask for more");
             }),
    add_case("trained WordPiece and unigram tokenizers cut words as training did, and survive their file",
             [] {
               const std::vector<std::string> texts = some_texts(8, 150);
               const std::vector<std::string> specials = {"[PAD]", "[UNK]",  "[CLS]",
                                                          "[SEP]", "[MASK]", "<|endoftext|>"};
               WordStatisticsOptions options;
               options.pipeline = wordpiece_pipeline(true);
               WordStatistics bert_words(options);
               count(bert_words, texts);
               WordPieceTrainOptions train;
               train.vocab_size = 150;
               train.special_tokens.assign(specials.begin(), specials.end() - 1);
               train.last_tokens = {specials.back()};
               const auto wordpiece = make_wordpiece(train_wordpiece(bert_words, train).pieces, true, specials);
               WordStatistics words(unigram_words(1));
               count(words, texts);
               UnigramTrainOptions learn;
               learn.vocab_size = 150;
               learn.last_tokens = {specials.back()};
               UnigramTrainResult trained = train_unigram(words, learn);
               const auto unigram =
                   make_unigram(std::move(trained.pieces), std::move(trained.scores), {"<unk>", specials.back()});
               for (const auto& tokenizer : {wordpiece, unigram}) {
                 CHECK_EQ(tokenizer->vocab_size(), 150U);
                 CHECK(tokenizer->piece(149) == "<|endoftext|>");
                 const auto again = parse_any_tokenizer_json(format_tokenizer_json(*tokenizer), "its own file");
                 for (const std::string& text : texts) {
                   EncodeOptions plain;
                   plain.add_special_tokens = false;
                   const TextEncoding encoding = tokenizer->encode(text, plain);
                   CHECK(again->encode(text, plain).ids == encoding.ids);
                   CHECK(std::find(encoding.ids.begin(), encoding.ids.end(), 149U) == encoding.ids.end());
                 }
               }
             }),
};

} // namespace

int main() {
  return run_cases();
}
