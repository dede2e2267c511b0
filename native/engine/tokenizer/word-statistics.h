// How often each word of a corpus occurs: what every trainer learns from. Counts never hold more than the memory limit:
// beyond it, sorted counts go to a temporary file. They are the same for any number of threads, and however the texts
// were grouped.
#pragma once

#include "engine/tokenizer/text-normalizer.h"
#include "engine/tokenizer/text-splitter.h"
#include "engine/tokenizer/word-counter.h"
#include "engine/tokenizer/word-runs.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace assay {

// How a tokenizer rewrites a text and cuts it into words.
struct TextPipeline {
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitterStep> splitter;
};

struct WordStatisticsOptions {
  // A word of more bytes (a sequence, base64) is counted in pieces of this size under GPT-2's pattern, since its merges
  // would cost more than they tell; under any other pipeline it is not counted at all.
  std::size_t max_word_bytes = 256;
  std::uint64_t max_memory_bytes = std::uint64_t{2} << 30;
  unsigned threads = 1;
  // Unset: GPT-2's pattern, under which a word keeps the space before it.
  std::optional<TextPipeline> pipeline = std::nullopt;
};

class WordStatistics {
public:
  // Throws BAD_ARGUMENT.
  explicit WordStatistics(const WordStatisticsOptions& options);

  // Words do not reach across texts. After an exception (a full disk) the object must not be used further.
  void add(std::span<const std::string_view> texts);

  std::uint64_t word_count() const noexcept { return word_count_; }
  std::uint64_t byte_count() const noexcept { return byte_count_; }
  // Reads the temporary file through where there is one.
  std::uint64_t distinct_words() const;
  // What the counts take in memory, the temporary file not included.
  std::uint64_t memory_bytes() const noexcept { return counter_.memory_bytes(); }
  std::uint64_t temporary_file_bytes() const noexcept { return runs_.file_bytes(); }

  struct Gathered {
    // Words that occurred less often were left out for want of memory; 1 means that none were.
    std::uint64_t min_word_count = 1;
    std::uint64_t words_left_out = 0;
  };
  // Calls take(word, count) for all words, or for those frequent enough that what learning takes of them,
  // learning_bytes(word), fits the memory limit; the cut follows from the exact counts. No particular order. Throws
  // OUT_OF_MEMORY where not even the most frequent fit.
  Gathered gather(const std::function<std::uint64_t(std::string_view)>& learning_bytes,
                  const std::function<void(std::string_view, std::uint64_t)>& take) const;

private:
  struct Tally {
    std::uint64_t words = 0;
    std::uint64_t bytes = 0;
  };

  std::size_t piece_end(std::string_view text, std::size_t begin) const;
  Tally count_text(std::string_view text, WordCounter& counter) const;
  void absorb(WordCounter& local);
  void for_each_word_count(const std::function<void(std::string_view, std::uint64_t)>& take) const;

  WordStatisticsOptions options_;
  WordCounter counter_;
  WordRuns runs_;
  std::mutex mutex_;
  std::uint64_t word_count_ = 0;
  std::uint64_t byte_count_ = 0;
};

} // namespace assay
