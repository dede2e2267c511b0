#include "engine/infer/scoring.h"

#include "engine/base/error.h"
#include "engine/infer/decoding-session.h"

#include <algorithm>
#include <numeric>
#include <string>

namespace assay {

namespace {

// Rows of logits at once: enough for a fast product, little in memory (6 MB of 50 257 tokens).
constexpr std::int64_t kLogitRows = 32;
constexpr std::int64_t kChunkRows = 256;

void check(const ScoringRequest& request, std::int64_t window, std::int64_t stride, std::int64_t context) {
  if (window < 1 || window > context) {
    throw Error("BAD_ARGUMENT", "window " + std::to_string(window) + " is not between 1 and the model's context of " +
                                    std::to_string(context) + ".");
  }
  if (stride < 1 || stride > window) {
    throw Error("BAD_ARGUMENT",
                "stride " + std::to_string(stride) + " is not between 1 and window " + std::to_string(window) + ".");
  }
  if (request.alternatives < 0) {
    throw Error("BAD_ARGUMENT",
                "topLogprobs is a whole number of at least 0, not " + std::to_string(request.alternatives) + ".");
  }
}

} // namespace

Scores score(TransformerModel& model, const ScoringRequest& request, const std::atomic<bool>& cancelled) {
  const std::int64_t context = model.config().max_seq_len;
  const std::int64_t window = request.window > 0 ? request.window : context;
  const std::int64_t stride = request.stride > 0 ? request.stride : std::max<std::int64_t>(1, window / 2);
  check(request, window, stride, context);
  // Position p of `inputs` predicts targets[p].
  std::vector<std::int32_t> inputs;
  if (request.end_of_text_id.has_value()) {
    inputs.push_back(*request.end_of_text_id);
  }
  inputs.insert(inputs.end(), request.tokens.begin(), request.tokens.end());
  for (const std::int32_t token : inputs) {
    if (token < 0 || token >= model.config().vocab_size) {
      throw Error("TOKEN_OUT_OF_RANGE", "The text holds token " + std::to_string(token) +
                                            " but the model's vocabulary has " +
                                            std::to_string(model.config().vocab_size) +
                                            " entries; use the tokenizer that belongs to the model.");
    }
  }
  Scores scores;
  scores.first_scored = request.end_of_text_id.has_value() ? 0 : 1;
  const auto target_count = static_cast<std::int64_t>(inputs.size()) - 1;
  if (target_count < 1) {
    return scores;
  }
  const std::span<const std::int32_t> targets = std::span(inputs).subspan(1);

  const std::int64_t rows = std::min({window, target_count, kChunkRows});
  DecodingSession session(
      model, {.capacity = std::min(window, target_count), .rows = rows, .logit_rows = std::min(kLogitRows, rows)});
  RatedLogits rated;
  std::vector<std::int32_t> wanted;
  std::int64_t scored = 0;
  const auto score_rows = [&](std::int64_t first_position, std::int64_t first_row, std::int64_t count) {
    wanted.resize(static_cast<std::size_t>(count));
    std::iota(wanted.begin(), wanted.end(), static_cast<std::int32_t>(first_row));
    const std::span<const float> logits = session.logits(wanted);
    const auto vocab_size = static_cast<std::size_t>(model.config().vocab_size);
    for (std::int64_t i = 0; i < count; ++i) {
      rated.read(logits.subspan(static_cast<std::size_t>(i) * vocab_size, vocab_size));
      const std::int32_t target = targets[static_cast<std::size_t>(first_position + i)];
      scores.tokens.push_back({rated.logprob(target), rated.rank(target), rated.likeliest(request.alternatives)});
      scores.nats -= scores.tokens.back().logprob;
    }
  };
  for (std::int64_t begin = 0; scored < target_count; begin += stride) {
    const std::int64_t end = std::min(begin + window, target_count);
    session.reset();
    for (std::int64_t at = begin; at < end; at += session.most_rows()) {
      if (cancelled.load(std::memory_order_relaxed)) {
        throw Error("CANCELLED", "The scoring was cancelled.");
      }
      const std::int64_t count = std::min(session.most_rows(), end - at);
      const SequenceTokens piece{
          0, std::span(inputs).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count))};
      session.append(std::span(&piece, 1), DecodingSession::Pass::kPrompt);
      // What earlier windows scored is context only.
      for (std::int64_t row = std::max<std::int64_t>(scored - at, 0); row < count; row += session.most_logit_rows()) {
        score_rows(at + row, row, std::min(session.most_logit_rows(), count - row));
      }
    }
    scored = end;
  }
  return scores;
}

} // namespace assay
