// Text from a model: the prompt in one pass, then token by token against the cache until the length, a stop token or a
// cancellation. A full context slides: its last half is processed again from position 0 and decoding goes on, so the
// text may be longer than the context, and each token sees between half a context and a whole one.
#pragma once

#include "engine/infer/sampling.h"
#include "engine/model/transformer.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace assay {

struct GenerationRequest {
  // Longer than the context: its end is kept, so that the new tokens, or at least half a context of them, fit.
  std::vector<std::int32_t> prompt;
  // What an empty prompt begins with.
  std::optional<std::int32_t> end_of_text_id;
  std::int64_t max_new_tokens = 0;
  SamplingOptions sampling;
  std::vector<std::int32_t> stop_ids;
};

struct GeneratedToken {
  std::int32_t id = 0;
  double logprob = 0;
  std::int64_t index = 0;
};

enum class StopReason { kLength, kStop, kCancelled };

struct GenerationResult {
  std::vector<std::int32_t> ids; // without the stop token
  double seconds = 0;
  double prompt_seconds = 0;
  StopReason stop_reason = StopReason::kLength;
  std::int64_t prompt_tokens_dropped = 0;
  std::int64_t window_slides = 0;
};

// `on_token` is called for each new token as it is drawn, but not for a stop token. `cancelled` is read before each
// one.
GenerationResult generate(TransformerModel& model, const GenerationRequest& request,
                          const std::function<void(const GeneratedToken&)>& on_token,
                          const std::atomic<bool>& cancelled);

} // namespace assay
