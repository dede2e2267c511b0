#include "engine/infer/masked-evaluation.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string>
#include <vector>

namespace assay {

namespace {

constexpr std::int64_t kBatchPositions = 4096;
// No update has this number, so training never sees the same masks.
constexpr std::uint32_t kEvaluationStep = 0;

} // namespace

Evaluation evaluate_masked(TransformerModel& model, const TokenCache& cache, std::int64_t seq_len,
                           const MaskingOptions& options, const std::atomic<bool>& cancelled) {
  const std::int64_t vocab_size = model.config().vocab_size;
  if (static_cast<std::int64_t>(cache.vocab_size()) > vocab_size) {
    throw Error("TOKENIZER_MODEL_MISMATCH", "The token cache " + cache.directory() + " has a vocabulary of " +
                                                std::to_string(cache.vocab_size()) + ", the model one of " +
                                                std::to_string(vocab_size) +
                                                "; use the tokenizer that belongs to the model.");
  }
  validate(options, vocab_size);
  const auto windows = static_cast<std::int64_t>(cache.require_windows(static_cast<std::uint32_t>(seq_len)));
  const std::int64_t group = std::max<std::int64_t>(1, kBatchPositions / seq_len);
  LanguageBatch batch;
  std::vector<std::int32_t> tokens;
  Evaluation total;
  for (std::int64_t first = 0; first < windows; first += group) {
    if (cancelled.load(std::memory_order_relaxed)) {
      throw Error("CANCELLED", "The evaluation was cancelled.");
    }
    const std::int64_t here = std::min(group, windows - first);
    tokens.resize(static_cast<std::size_t>(here * (seq_len + 1)));
    for (std::int64_t window = 0; window < here; ++window) {
      cache.copy_tokens(static_cast<std::uint64_t>((first + window) * seq_len),
                        std::span(tokens).subspan(static_cast<std::size_t>(window * (seq_len + 1)),
                                                  static_cast<std::size_t>(seq_len + 1)));
    }
    const Evaluation part = model.evaluate(
        batch.masked(tokens, here, seq_len, options, vocab_size, kEvaluationStep, static_cast<std::uint32_t>(first)));
    total.nats += part.nats;
    total.token_count += part.token_count;
    total.sentence_nats += part.sentence_nats;
    total.sentence_count += part.sentence_count;
  }
  return total;
}

} // namespace assay
