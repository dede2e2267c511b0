// Choosing the next token from its logits: greedy, or by temperature, top-k and top-p, with a penalty on what was said
// before; and what the model itself thought of the token and of its alternatives. The draw depends on the seed and the
// token's index alone, so a generation can be repeated. Nothing is ever sorted but the few likeliest.
#pragma once

#include "engine/infer/likeliest-tokens.h"

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

struct SamplingOptions {
  double temperature = 1.0; // 0: always the likeliest token, the lowest id among equals
  std::int64_t top_k = 0;   // 0: all
  double top_p = 1.0;       // the smallest set of likeliest tokens that together have this probability; 1: all
  std::uint64_t seed = 0;
  // Logits of tokens that the text already holds are divided by it where positive and multiplied where negative
  // (Keskar et al., "CTRL", 2019, with the usual care for the sign). 1: none.
  double repetition_penalty = 1.0;
  // How many of the likeliest tokens to name beside the one drawn.
  std::int64_t alternatives = 0;
};

// Logarithms are natural and of the model's own probability: before penalty, temperature, top-k and top-p.
struct RatedToken {
  std::int32_t id = 0;
  double logprob = 0;
};

struct SampledToken {
  std::int32_t id = 0;
  double logprob = 0;
  std::vector<RatedToken> alternatives; // likeliest first, the lower id among equals; may hold the token itself
};

// Throws BAD_ARGUMENT naming the option.
void validate(const SamplingOptions& options);

// The logits of one position with what is asked of them again and again. Its memory is kept between positions.
class RatedLogits {
public:
  // Keeps a view. Throws WEIGHTS_NOT_FINITE when the logits are not numbers.
  void read(std::span<const float> logits);

  std::span<const float> logits() const { return logits_; }
  double logprob(std::int32_t id) const;
  // 1 for the likeliest token; the lower id comes first among equals.
  std::int64_t rank(std::int32_t id) const;
  std::vector<RatedToken> likeliest(std::int64_t count);

private:
  friend class Sampler;

  std::span<const float> logits_;
  LikeliestTokens order_;
  double sum_ = 0; // Σ e^(logit − highest)
  std::vector<double> sums_;
};

class Sampler {
public:
  explicit Sampler(const SamplingOptions& options);

  // Tokens that the text holds, for the penalty.
  void see(std::span<const std::int32_t> tokens);
  // `index` numbers the generated tokens from 0. Throws WEIGHTS_NOT_FINITE when the logits are not numbers.
  SampledToken sample(std::span<const float> logits, std::uint64_t index);

private:
  std::int32_t choose(std::uint64_t index);
  void apply_penalty();
  std::int32_t draw_from_all(double factor, double chance);
  std::int32_t draw_from_top_k(double factor, double chance);
  std::int32_t draw_from_top_p(double factor, double chance);

  SamplingOptions options_;
  RatedLogits rated_;
  std::vector<bool> is_seen_;
  std::vector<std::int32_t> seen_;
  // What is drawn from: the model's logits, or the penalised copy.
  std::span<const float> used_;
  std::vector<float> penalised_;
  std::vector<float> weights_;
  std::vector<double> sums_;
};

} // namespace assay
