// Choosing the next token from its logits: greedy, or by temperature, top-k and top-p. The draw depends on the seed and
// the token's index alone, so a generation can be repeated.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

struct SamplingOptions {
  double temperature = 1.0; // 0: always the likeliest token, the lowest id among equals
  std::int64_t top_k = 0;   // 0: all
  double top_p = 1.0;       // the smallest set of likeliest tokens that together have this probability; 1: all
  std::uint64_t seed = 0;
};

struct SampledToken {
  std::int32_t id = 0;
  // Natural logarithm of the model's own probability: before temperature, top-k and top-p.
  double logprob = 0;
};

// Throws BAD_ARGUMENT naming the option.
void validate(const SamplingOptions& options);

class Sampler {
public:
  explicit Sampler(const SamplingOptions& options);

  // `index` numbers the generated tokens from 0. Throws WEIGHTS_NOT_FINITE when the logits are not numbers.
  SampledToken sample(std::span<const float> logits, std::uint64_t index);

private:
  struct Candidate {
    std::int32_t id;
    float logit;
    double weight;
  };

  std::int32_t draw(std::span<const float> logits, float highest, std::uint64_t index);
  void keep_top_k();
  void keep_top_p();

  SamplingOptions options_;
  // Kept between calls so that a step does not allocate.
  std::vector<Candidate> candidates_;
};

} // namespace assay
