#include "engine/infer/generation.h"

#include "engine/base/error.h"
#include "engine/infer/decoding-session.h"

#include <algorithm>
#include <chrono>
#include <span>

namespace assay {

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::int32_t> starting_text(const GenerationRequest& request) {
  if (!request.prompt.empty()) {
    return request.prompt;
  }
  if (!request.end_of_text_id.has_value()) {
    throw Error("BAD_ARGUMENT",
                "An empty prompt needs the id of end-of-text to begin with; give endOfTextId or a prompt.");
  }
  return {*request.end_of_text_id};
}

} // namespace

GenerationResult generate(TransformerModel& model, const GenerationRequest& request,
                          const std::function<void(const GeneratedToken&)>& on_token,
                          const std::atomic<bool>& cancelled) {
  const Clock::time_point start = Clock::now();
  if (request.max_new_tokens < 0) {
    throw Error("BAD_ARGUMENT",
                "maxNewTokens is a whole number of at least 0, not " + std::to_string(request.max_new_tokens) + ".");
  }
  Sampler sampler(request.sampling);
  std::vector<std::int32_t> text = starting_text(request);
  const std::int64_t context = model.config().max_seq_len;
  GenerationResult result;
  if (static_cast<std::int64_t>(text.size()) > context) {
    const std::int64_t kept = context - std::min(request.max_new_tokens, context / 2);
    result.prompt_tokens_dropped = static_cast<std::int64_t>(text.size()) - kept;
    text.erase(text.begin(), text.begin() + result.prompt_tokens_dropped);
  }
  const auto prompt_count = static_cast<std::int64_t>(text.size());
  DecodingSession session(model, prompt_count + std::min(request.max_new_tokens, context - prompt_count));
  std::span<const float> logits = session.feed(text);
  result.prompt_seconds = seconds_since(start);

  for (std::int64_t index = 0; index < request.max_new_tokens; ++index) {
    if (cancelled.load(std::memory_order_relaxed)) {
      result.stop_reason = StopReason::kCancelled;
      break;
    }
    const SampledToken token = sampler.sample(logits, static_cast<std::uint64_t>(index));
    if (std::find(request.stop_ids.begin(), request.stop_ids.end(), token.id) != request.stop_ids.end()) {
      result.stop_reason = StopReason::kStop;
      break;
    }
    result.ids.push_back(token.id);
    text.push_back(token.id);
    on_token({token.id, token.logprob, index});
    if (index + 1 == request.max_new_tokens) {
      break;
    }
    if (session.position() < session.capacity()) {
      logits = session.feed(std::span<const std::int32_t>(text).last(1));
    } else {
      // Only a session of the whole context fills up: a smaller one was made just large enough.
      session.reset();
      ++result.window_slides;
      logits = session.feed(
          std::span<const std::int32_t>(text).last(static_cast<std::size_t>(std::max<std::int64_t>(1, context / 2))));
    }
  }
  result.seconds = seconds_since(start);
  return result;
}

} // namespace assay
