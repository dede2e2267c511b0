// Text from a model: prompts a chunk at a time, then token by token against the cache until the length, a stop token, a
// stop text or a cancellation. Several texts are decoded side by side, each exactly as it would be alone. A full
// context slides: its last half is processed again from position 0 and decoding goes on, so the text may be longer than
// the context, and each token sees between half a context and a whole one.
#pragma once

#include "engine/infer/sampling.h"
#include "engine/model/transformer.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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
  // Looked for in the bytes of the new tokens; need token_bytes. See TextStream.
  std::vector<std::string> stop_texts;
  // What a token stands for; without it tokens come without text.
  std::function<std::string_view(std::int32_t)> token_bytes;
};

struct GeneratedToken {
  std::int32_t id = 0;
  double logprob = 0;
  std::int64_t index = 0;
  std::vector<RatedToken> alternatives;
  // The whole characters that this token completes, and nothing of a stop text.
  std::string text;
};

enum class StopReason { kLength, kStop, kCancelled };

struct GenerationResult {
  // Without a stop token. With a stop text: those that begin before it.
  std::vector<std::int32_t> ids;
  // The tokens' texts, one after another, and behind them what there is of a character that was left incomplete.
  std::string text;
  double seconds = 0; // since the prompt was begun
  double prompt_seconds = 0;
  StopReason stop_reason = StopReason::kLength;
  std::int64_t prompt_tokens_dropped = 0;
  std::int64_t window_slides = 0;
};

struct BatchOptions {
  std::int64_t sequences = 16;    // most at once; the others wait for a place
  std::int64_t prompt_rows = 512; // most prompt tokens of one pass: what a prompt needs in memory, and how soon a
                                  // cancellation is heard
};

// `on_token` is called for each new token as it is settled, with the request it belongs to, but not for a stop token.
// `cancelled` is read before each pass. A wrong request is an error of them all.
std::vector<GenerationResult>
generate_batch(TransformerModel& model, std::span<const GenerationRequest> requests,
               const std::function<void(std::size_t request, const GeneratedToken&)>& on_token,
               const std::atomic<bool>& cancelled, const BatchOptions& options = {});

GenerationResult generate(TransformerModel& model, const GenerationRequest& request,
                          const std::function<void(const GeneratedToken&)>& on_token,
                          const std::atomic<bool>& cancelled);

} // namespace assay
