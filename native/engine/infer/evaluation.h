// Language-model evaluation: each document alone, end-of-text as its first context, in windows of seq_len; end-of-text
// itself is not scored. With a stride below seq_len windows overlap, and only what was not scored before is scored. The
// sum is in double and its order depends on the data alone.
#pragma once

#include "engine/data/token-cache.h"
#include "engine/model/transformer.h"

#include <atomic>
#include <cstdint>

namespace assay {

struct EvaluationRequest {
  std::int64_t seq_len = 0;
  std::int64_t stride = 0; // 0: seq_len, no overlap
  std::int32_t end_of_text_id = 0;
  std::uint64_t from_document = 0;
  std::uint64_t to_document = 0; // exclusive
};

// Throws BAD_ARGUMENT naming the field, TOKENIZER_MODEL_MISMATCH when the cache was made with another vocabulary,
// CANCELLED once `cancelled` is set.
Evaluation evaluate_documents(TransformerModel& model, const TokenCache& cache, const EvaluationRequest& request,
                              const std::atomic<bool>& cancelled);

} // namespace assay
