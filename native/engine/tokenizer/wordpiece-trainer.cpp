#include "engine/tokenizer/wordpiece-trainer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/merge-learner.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace assay {

namespace {

constexpr std::string_view kContinues = "##";

// Calls take(code point) for each; bytes that are not UTF-8 count as U+FFFD, as they do in encoding.
template <class Take> void for_each_character(std::string_view word, const Take& take) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(word.data());
  for (std::size_t at = 0; at < word.size();) {
    std::uint32_t code_point = 0xFFFD;
    const unsigned length = decode_utf8(bytes + at, word.size() - at, code_point);
    take(length == 0 ? 0xFFFDU : code_point);
    at += std::max(length, 1U);
  }
}

// The characters that get pieces, by code point: the most frequent, of equal ones the smaller, and those of the
// protected words.
std::vector<std::uint32_t> choose_alphabet(const WordStatistics& words, const WordPieceTrainOptions& options) {
  std::map<std::uint32_t, std::uint64_t> counts;
  words.gather([](std::string_view) { return 0; },
               [&](std::string_view word, std::uint64_t count) {
                 for_each_character(word, [&](std::uint32_t character) { counts[character] += count; });
               });
  std::vector<std::pair<std::uint32_t, std::uint64_t>> ordered(counts.begin(), counts.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  if (ordered.size() > options.alphabet_limit) {
    ordered.resize(options.alphabet_limit);
  }
  std::vector<std::uint32_t> alphabet;
  for (const auto& [character, count] : ordered) {
    alphabet.push_back(character);
  }
  for (const std::string& word : options.protected_words) {
    for_each_character(word, [&](std::uint32_t character) { alphabet.push_back(character); });
  }
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  return alphabet;
}

void check_protected_words(const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    const bool has_space = word.find_first_of(" \t\n\v\f\r") != std::string::npos;
    if (word.empty() || has_space) {
      throw Error("BAD_ARGUMENT",
                  "Cannot protect \"" + word +
                      "\": a piece never crosses the border of a word; protect one word without spaces.");
    }
  }
}

} // namespace

WordPieceTrainResult train_wordpiece(const WordStatistics& words, const WordPieceTrainOptions& options) {
  std::vector<std::string> specials = options.special_tokens;
  specials.insert(specials.end(), options.last_tokens.begin(), options.last_tokens.end());
  check_special_tokens(specials);
  check_protected_words(options.protected_words);
  if (words.word_count() == 0) {
    throw Error("CORPUS_EMPTY", "Cannot train a tokenizer: the input has no text.");
  }
  const std::vector<std::uint32_t> alphabet = choose_alphabet(words, options);
  WordPieceTrainResult result;
  result.pieces = options.special_tokens;
  std::unordered_set<std::string> taken(specials.begin(), specials.end());
  const auto add_piece = [&](std::string piece) {
    if (taken.insert(piece).second) {
      result.pieces.push_back(std::move(piece));
    }
  };

  // Symbol 2i is character i at the beginning of a word, 2i + 1 the same further on.
  std::unordered_map<std::uint32_t, std::uint32_t> index_of;
  std::vector<std::string> symbols;
  for (const std::uint32_t character : alphabet) {
    index_of.emplace(character, static_cast<std::uint32_t>(symbols.size() / 2));
    std::string text;
    append_utf8(text, character);
    symbols.push_back(text);
    symbols.push_back(std::string(kContinues) + text);
    add_piece(text);
    add_piece(std::string(kContinues) + text);
  }
  for (const std::string& word : options.protected_words) {
    add_piece(word);
  }
  const std::size_t least = result.pieces.size() + options.last_tokens.size();
  if (options.vocab_size < least) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with " + std::to_string(options.vocab_size) +
                                    " tokens: the special tokens, the characters and the protected words alone are " +
                                    std::to_string(least) + "; ask for more.");
  }

  WordList list(static_cast<std::uint32_t>(symbols.size()));
  std::vector<std::uint32_t> word_symbols;
  const WordStatistics::Gathered gathered =
      words.gather([](std::string_view word) { return WordList::learning_bytes(word.size()); },
                   [&](std::string_view word, std::uint64_t count) {
                     word_symbols.clear();
                     bool is_known = true;
                     for_each_character(word, [&](std::uint32_t character) {
                       const auto found = index_of.find(character);
                       is_known = is_known && found != index_of.end();
                       if (is_known) {
                         word_symbols.push_back(2 * found->second + (word_symbols.empty() ? 0U : 1U));
                       }
                     });
                     if (is_known) {
                       list.add(word_symbols, count);
                     }
                   });
  result.min_word_count = gathered.min_word_count;
  result.words_left_out = gathered.words_left_out;

  const std::size_t wanted = options.vocab_size - least;
  const std::size_t full = options.vocab_size - options.last_tokens.size();
  LearnOptions learn;
  // Some merges give a piece that is there already: a protected word.
  learn.max_merges = std::min(wanted + options.protected_words.size(), list.symbols().size());
  learn.min_frequency = options.min_frequency;
  if (options.on_progress) {
    learn.on_progress = [&](std::size_t merges) { options.on_progress(std::min(merges, wanted), wanted); };
  }
  for (const LearnedMerge& each : learn_merges(std::move(list), learn)) {
    const std::string& right = symbols[each.merge.right];
    symbols.push_back(symbols[each.merge.left] +
                      (right.starts_with(kContinues) ? right.substr(kContinues.size()) : right));
    if (result.pieces.size() < full) {
      add_piece(symbols.back());
    }
  }
  result.pieces.insert(result.pieces.end(), options.last_tokens.begin(), options.last_tokens.end());
  if (options.on_progress) {
    options.on_progress(wanted, wanted);
  }
  return result;
}

} // namespace assay
