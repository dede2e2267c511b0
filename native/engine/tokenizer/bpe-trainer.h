// Learns a byte-level BPE tokenizer: texts are cut into words and counted as they come, merges are learned from the
// counts. The result depends on the texts and options alone: not on threads, on how texts were grouped, or on the
// memory limit as long as it suffices. Counting never holds more than the limit: beyond it, sorted counts go to a
// temporary file. If the distinct words then do not fit the limit for learning either, the rarest are left out, and the
// result says so.
#pragma once

#include "engine/tokenizer/merge-learner.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/word-counter.h"
#include "engine/tokenizer/word-runs.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct BpeTrainerOptions {
  // A word of more bytes (a sequence, base64) is counted in pieces of this size: its merges would cost more than they
  // tell.
  std::size_t max_word_bytes = 256;
  std::uint64_t max_memory_bytes = std::uint64_t{2} << 30;
  unsigned threads = 1;
};

struct BpeTrainOptions {
  // Bytes, merges and special tokens together.
  std::uint32_t vocab_size = 0;
  std::uint64_t min_frequency = 2;
  // They take the last ids, in this order.
  std::vector<std::string> special_tokens;
  // (merges so far, merges wanted), now and then, on the calling thread.
  std::function<void(std::size_t, std::size_t)> on_progress;
};

struct BpeTrainResult {
  // Smaller than asked for where the text has no more pairs that occur often enough.
  Tokenizer tokenizer;
  // Words that occurred less often were left out for want of memory; 1 means that none were.
  std::uint64_t min_word_count = 1;
  std::uint64_t words_left_out = 0;
};

class BpeTrainer {
public:
  // Throws BAD_ARGUMENT.
  explicit BpeTrainer(const BpeTrainerOptions& options);

  // Words do not reach across texts. After an exception (a full disk) the trainer must not be used further.
  void add(std::span<const std::string_view> texts);

  std::uint64_t word_count() const noexcept { return word_count_; }
  std::uint64_t byte_count() const noexcept { return byte_count_; }
  // Reads the temporary file through where there is one.
  std::uint64_t distinct_words() const;
  // What the counts take in memory, the temporary file not included.
  std::uint64_t memory_bytes() const noexcept { return counter_.memory_bytes(); }
  std::uint64_t temporary_file_bytes() const noexcept { return runs_.file_bytes(); }

  // Can be called again with other options. Throws CORPUS_EMPTY, BAD_ARGUMENT,
  // BAD_ARGUMENT or OUT_OF_MEMORY.
  BpeTrainResult train(const BpeTrainOptions& options);

private:
  struct Tally {
    std::uint64_t words = 0;
    std::uint64_t bytes = 0;
  };

  Tally count_text(std::string_view text, WordCounter& counter) const;
  void absorb(WordCounter& local);
  void for_each_word_count(const std::function<void(std::string_view, std::uint64_t)>& take) const;
  WordList gather_words(std::uint64_t& min_word_count, std::uint64_t& words_left_out) const;

  BpeTrainerOptions options_;
  WordCounter counter_;
  WordRuns runs_;
  std::mutex mutex_;
  std::uint64_t word_count_ = 0;
  std::uint64_t byte_count_ = 0;
};

} // namespace assay
