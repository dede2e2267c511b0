// What a model thinks of a given text: the log-probability and the rank of each token, and the tokens it would rather
// have seen. A text longer than a window is read in overlapping windows, and each token is scored once, in the first
// window that holds it.
#pragma once

#include "engine/infer/sampling.h"
#include "engine/model/transformer.h"

#include <atomic>
#include <cstdint>
#include <optional>
#include <vector>

namespace assay {

struct ScoringRequest {
  std::vector<std::int32_t> tokens;
  // What the text begins behind; without it nothing comes before the first token, which then has no score.
  std::optional<std::int32_t> end_of_text_id = {};
  std::int64_t window = 0; // positions; 0: the model's context
  std::int64_t stride = 0; // between the windows' beginnings; 0: half a window
  std::int64_t alternatives = 0;
};

struct ScoredToken {
  double logprob = 0;                   // natural
  std::int64_t rank = 0;                // 1: the likeliest
  std::vector<RatedToken> alternatives; // likeliest first; may hold the token itself
};

struct Scores {
  // Of tokens[first_scored], tokens[first_scored + 1] …
  std::vector<ScoredToken> tokens;
  std::int64_t first_scored = 0; // 1 without end_of_text_id, else 0
  double nats = 0;               // −Σ logprob
};

// `cancelled` is read between chunks; throws CANCELLED.
Scores score(TransformerModel& model, const ScoringRequest& request, const std::atomic<bool>& cancelled);

} // namespace assay
