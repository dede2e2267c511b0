// Evaluation of a masked language model: the windows of a held-out text, masked the same way every time, so that the
// figure changes with the model alone.
#pragma once

#include "engine/data/language-batch.h"
#include "engine/data/token-cache.h"
#include "engine/model/transformer.h"

#include <atomic>

namespace assay {

// Throws TEXT_SHORTER_THAN_CONTEXT, TOKENIZER_MODEL_MISMATCH, or CANCELLED once `cancelled` is set.
Evaluation evaluate_masked(TransformerModel& model, const TokenCache& cache, std::int64_t seq_len,
                           const MaskingOptions& options, const std::atomic<bool>& cancelled);

} // namespace assay
