// Learns a tokenizer of any of the kinds from texts: counts their words as the finished tokenizer will cut them, then
// learns pieces from the counts. Deterministic: the texts and the options decide, not threads or how texts were
// grouped.
#pragma once

#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/text-tokenizer.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

enum class TrainableType { kByteBpe, kWordPiece, kUnigram };

struct TokenizerTrainOptions {
  std::uint32_t vocab_size = 0;
  std::uint64_t min_frequency = 2; // of a merge; unigram has none
  // Special tokens with the first ids; byte-level BPE puts them before the last ones. Unigram's first is the unknown
  // one.
  std::vector<std::string> first_tokens;
  std::vector<std::string> last_tokens;
  // Words as a reader writes them that become single tokens whatever their frequency (within a sentence: byte-level BPE
  // protects them with the space before them). BAD_ARGUMENT for what is no single word to the tokenizer.
  std::vector<std::string> protected_words;
  unsigned threads = 1;
  std::function<void(std::size_t, std::size_t)> on_progress;
};

struct TokenizerTrainResult {
  // Fewer tokens than asked for where the text has no more.
  std::shared_ptr<const TextTokenizer> tokenizer;
  // Which words were rare enough to be left out for want of memory.
  WordStatistics::Gathered gathered;
};

class TokenizerTrainer {
public:
  // `lowercase` is WordPiece's. Throws BAD_ARGUMENT.
  TokenizerTrainer(TrainableType type, bool lowercase, WordStatisticsOptions options);

  void add(std::span<const std::string_view> texts) { trainer_.add(texts); }
  const WordStatistics& words() const noexcept { return trainer_.words(); }

  // Throws CORPUS_EMPTY, BAD_ARGUMENT or OUT_OF_MEMORY.
  TokenizerTrainResult train(const TokenizerTrainOptions& options) const;

private:
  std::vector<std::string> as_words(const std::vector<std::string>& protected_words) const;

  TrainableType type_;
  bool lowercase_;
  BpeTrainer trainer_; // its counts serve every kind
};

} // namespace assay
