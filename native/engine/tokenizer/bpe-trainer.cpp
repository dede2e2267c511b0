#include "engine/tokenizer/bpe-trainer.h"

#include "engine/base/error.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/pre-tokenizer.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::size_t kByteCount = 256;

// The word's symbols after the merges, applied in order of rank.
std::vector<std::uint32_t> merged_word(std::string_view word, std::span<const LearnedMerge> merges) {
  std::vector<std::uint32_t> symbols;
  for (const char byte : word) {
    symbols.push_back(kIdOfByte[static_cast<unsigned char>(byte)]);
  }
  for (const LearnedMerge& each : merges) {
    for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
      if (symbols[at] == each.merge.left && symbols[at + 1] == each.merge.right) {
        symbols[at] = each.merge.result;
        symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
      }
    }
  }
  return symbols;
}

// Merges behind `learned` that make each word one token, from its left.
std::vector<LearnedMerge> joining_merges(const std::vector<std::string>& words, std::span<const LearnedMerge> learned) {
  std::vector<LearnedMerge> all(learned.begin(), learned.end());
  for (const std::string& word : words) {
    const std::vector<std::uint32_t> symbols = merged_word(word, all);
    std::uint32_t left = symbols.front();
    for (std::size_t at = 1; at < symbols.size(); ++at) {
      const auto made = static_cast<std::uint32_t>(kByteCount + all.size());
      all.push_back({{left, symbols[at], made}, 0});
      left = made;
    }
  }
  all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(learned.size()));
  return all;
}

// Gives the last places among `wanted` merges to those that make the protected words single tokens.
void protect_words(const std::vector<std::string>& words, std::size_t wanted, std::vector<LearnedMerge>& learned) {
  for (const std::string& word : words) {
    std::size_t parts = 0;
    for_each_word(word, [&](std::string_view) { ++parts; });
    if (parts != 1) {
      throw Error("BAD_ARGUMENT", "Cannot protect \"" + word + "\": pre-tokenization makes " + std::to_string(parts) +
                                      " words of it, and a token never crosses their border; protect one word.");
    }
  }
  // Fewer learned merges leave more to join: give up as many as are still short until both fit.
  for (std::vector<LearnedMerge> joining = joining_merges(words, learned); !joining.empty();
       joining = joining_merges(words, learned)) {
    if (learned.size() + joining.size() <= wanted) {
      learned.insert(learned.end(), joining.begin(), joining.end());
      return;
    }
    const std::size_t short_by = learned.size() + joining.size() - wanted;
    if (short_by > learned.size()) {
      throw Error("BAD_ARGUMENT", "Cannot protect " + std::to_string(words.size()) +
                                      " words in a vocabulary with room "
                                      "for " +
                                      std::to_string(wanted) + " merges; ask for a larger vocabulary.");
    }
    learned.resize(learned.size() - short_by);
  }
}

} // namespace

void check_special_tokens(const std::vector<std::string>& tokens) {
  for (std::size_t index = 0; index < tokens.size(); ++index) {
    if (tokens[index].empty()) {
      throw Error("BAD_ARGUMENT", "Cannot train a tokenizer: special token " + std::to_string(index) + " is empty.");
    }
    if (std::find(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(index), tokens[index]) !=
        tokens.begin() + static_cast<std::ptrdiff_t>(index)) {
      throw Error("BAD_ARGUMENT",
                  "Cannot train a tokenizer: the special token \"" + tokens[index] + "\" is given twice.");
    }
  }
}

BpeTrainer::BpeTrainer(const WordStatisticsOptions& options) : words_(options) {}

BpeTrainResult BpeTrainer::train(const BpeTrainOptions& options) const {
  check_special_tokens(options.special_tokens);
  if (words_.word_count() == 0) {
    throw Error("CORPUS_EMPTY", "Cannot train a tokenizer: the input has no text.");
  }
  const std::size_t least = kByteCount + options.special_tokens.size();
  if (options.vocab_size < least) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with " + std::to_string(options.vocab_size) +
                                    " tokens: the 256 bytes and the special tokens alone are " + std::to_string(least) +
                                    "; ask for more.");
  }
  WordList words(kByteCount);
  const WordStatistics::Gathered gathered =
      words_.gather([](std::string_view word) { return WordList::learning_bytes(word.size()); },
                    [&](std::string_view word, std::uint64_t count) { words.add(word, count); });
  const std::size_t wanted = options.vocab_size - least;
  LearnOptions learn;
  // Each merge takes at least one symbol away, so there cannot be more of them than symbols.
  learn.max_merges = std::min(wanted, words.symbols().size());
  learn.min_frequency = options.min_frequency;
  if (options.on_progress) {
    learn.on_progress = [&](std::size_t merges) { options.on_progress(merges, wanted); };
  }
  std::vector<LearnedMerge> learned = learn_merges(std::move(words), learn);
  protect_words(options.protected_words, wanted, learned);
  TokenizerParts parts;
  parts.tokens.reserve(least + learned.size());
  for (const std::uint8_t byte : kByteOfId) {
    parts.tokens.emplace_back(1, static_cast<char>(byte));
  }
  parts.merges.reserve(learned.size());
  for (const LearnedMerge& each : learned) {
    parts.tokens.push_back(parts.tokens[each.merge.left] + parts.tokens[each.merge.right]);
    parts.merges.push_back(each.merge);
  }
  for (const std::string& text : options.special_tokens) {
    parts.specials.push_back({.id = static_cast<std::uint32_t>(parts.tokens.size())});
    parts.tokens.push_back(text);
  }
  if (options.on_progress) {
    options.on_progress(learned.size(), learned.size());
  }
  return {Tokenizer(std::move(parts), "this training"), gathered.min_word_count, gathered.words_left_out};
}

} // namespace assay
