// Finding the likeliest of fifty thousand tokens without sorting them. A few are found by the blocks that hold the
// largest maxima; where a probability or a rank must be reached, a threshold is narrowed by passes over the logits
// until only some dozens of tokens lie around it, and those are sorted.
#pragma once

#include "engine/infer/vocabulary-scan.h"

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

struct CandidateToken {
  std::int32_t id = 0;
  float logit = 0;
};

// Tokens with logits of at least `high` lie before the place looked for, those below `low` behind it. A token's measure
// is its weight, or 1.
struct TokenCut {
  float high = 0;
  double measure_before = 0; // summed over logits of at least `high`
  float low = 0;
};

class LikeliestTokens {
public:
  // Keeps a view, and finds the maxima.
  void read(std::span<const float> logits);
  float highest() const { return highest_; }
  // The lowest id that has the highest logit.
  std::int32_t first() const;

  // The `count` likeliest, likeliest first, the lower id among equals; valid until the next call.
  std::span<const CandidateToken> take(std::int64_t count);
  // Where the summed measure of the tokens, likeliest first, reaches `wanted`. Without weights the measure is 1 a
  // token; `scale` is the distance of logits over which weights fall noticeably.
  TokenCut cut(double wanted, const float* weights, float scale) const;
  // The tokens of a cut's narrow middle, likeliest first; valid until the next call.
  std::span<const CandidateToken> between(const TokenCut& cut);

private:
  void collect(std::int64_t block, float at_least, float below);

  std::span<const float> logits_;
  float highest_ = 0;
  std::vector<float> maxima_;
  std::vector<float> ordered_maxima_;
  std::vector<std::int32_t> counts_;
  std::vector<CandidateToken> candidates_;
};

} // namespace assay
