// Learns a byte-level BPE tokenizer: texts are cut into words and counted as they come, merges are learned from the
// counts. The result depends on the texts and options alone: not on threads, on how texts were grouped, or on the
// memory limit as long as it suffices. Counting never holds more than the limit: beyond it, sorted counts go to a
// temporary file. If the distinct words then do not fit the limit for learning either, the rarest are left out, and the
// result says so.
#pragma once

#include "engine/tokenizer/merge-learner.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/word-statistics.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct BpeTrainOptions {
  // Bytes, merges and special tokens together.
  std::uint32_t vocab_size = 0;
  std::uint64_t min_frequency = 2;
  // They take the last ids, in this order.
  std::vector<std::string> special_tokens = {};
  // Words that become single tokens whatever their frequency, each as pre-tokenization leaves it (its leading space
  // counts): merges that join what is left of them are learned last. BAD_ARGUMENT for one that is no single word.
  std::vector<std::string> protected_words = {};
  // (merges so far, merges wanted), now and then, on the calling thread.
  std::function<void(std::size_t, std::size_t)> on_progress = {};
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
  explicit BpeTrainer(const WordStatisticsOptions& options);

  // Words do not reach across texts. After an exception (a full disk) the trainer must not be used further.
  void add(std::span<const std::string_view> texts) { words_.add(texts); }
  const WordStatistics& words() const noexcept { return words_; }

  // Can be called again with other options. Throws CORPUS_EMPTY, BAD_ARGUMENT or OUT_OF_MEMORY.
  BpeTrainResult train(const BpeTrainOptions& options) const;

private:
  WordStatistics words_;
};

// Shared by the trainers. Throws BAD_ARGUMENT where one is empty or given twice.
void check_special_tokens(const std::vector<std::string>& tokens);

} // namespace assay
