// The heart of BPE training: from distinct words with counts to merges. Each step takes the most frequent pair of
// adjacent symbols (ties: the smaller left id, then the smaller right id, as Hugging Face's trainer), makes it a symbol
// and updates only the words that hold it. Words are given in symbols 0 to base − 1 (for byte-level BPE the bytes in
// GPT-2's order, base 256); merge k makes symbol base + k.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace assay {

// Distinct words as symbols, one after another.
class WordList {
public:
  // About what learning takes for a word of `length` bytes: its symbols, its share of pair positions and of pair
  // counts.
  static constexpr std::uint64_t learning_bytes(std::size_t length) {
    return 32 + 24 * static_cast<std::uint64_t>(length);
  }

  explicit WordList(std::uint32_t base = 256) : base_(base) {}

  // Bytes in GPT-2's order, where the base is 256. A word must not be in the list yet (it would only count as two).
  void add(std::string_view word, std::uint64_t count);
  void add(std::span<const std::uint32_t> symbols, std::uint64_t count);
  std::uint32_t base() const noexcept { return base_; }
  std::size_t size() const noexcept { return counts_.size(); }

  struct Word {
    std::uint64_t begin = 0;
    std::uint32_t length = 0;
  };
  std::vector<std::uint32_t>& symbols() noexcept { return symbols_; }
  std::vector<Word>& words() noexcept { return words_; }
  const std::vector<std::uint64_t>& counts() const noexcept { return counts_; }

private:
  std::uint32_t base_;
  std::vector<std::uint32_t> symbols_;
  std::vector<Word> words_;
  std::vector<std::uint64_t> counts_;
};

struct LearnOptions {
  std::size_t max_merges = 0;
  // A pair that occurs less often is not merged; 0 counts as 1.
  std::uint64_t min_frequency = 0;
  // Called now and then on the calling thread with the merges so far.
  std::function<void(std::size_t)> on_progress;
};

struct LearnedMerge {
  Merge merge;
  // How often the pair occurred when it was taken.
  std::uint64_t count = 0;
};

// Stops early when no pair is left that occurs often enough. Uses up the words.
std::vector<LearnedMerge> learn_merges(WordList words, const LearnOptions& options);

} // namespace assay
