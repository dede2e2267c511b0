#include "engine/infer/sampling.h"

#include "engine/base/error.h"
#include "engine/base/philox.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

namespace assay {

namespace {

// Tells these draws from dropout's and initialisation's under the same seed.
constexpr std::uint32_t kSamplingStream = 0x53414D50U;

double uniform(std::uint64_t seed, std::uint64_t index) {
  const PhiloxCounter words =
      philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, kSamplingStream},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32) | words[1];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

constexpr auto likelier = [](const auto& left, const auto& right) {
  return left.logit != right.logit ? left.logit > right.logit : left.id < right.id;
};

} // namespace

void validate(const SamplingOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature < 0) {
    throw Error("BAD_ARGUMENT",
                "temperature is a number of at least 0, not " + std::to_string(options.temperature) + ".");
  }
  if (options.top_k < 0) {
    throw Error("BAD_ARGUMENT",
                "topK is a whole number of at least 0 (0 means all), not " + std::to_string(options.top_k) + ".");
  }
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    throw Error("BAD_ARGUMENT",
                "topP is above 0 and at most 1 (1 means all), not " + std::to_string(options.top_p) + ".");
  }
}

Sampler::Sampler(const SamplingOptions& options) : options_(options) {
  validate(options);
}

SampledToken Sampler::sample(std::span<const float> logits, std::uint64_t index) {
  const auto highest = std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(static_cast<double>(logit) - *highest);
  }
  // Not a number anywhere makes the sum one; an infinite maximum makes infinity minus infinity.
  if (!std::isfinite(sum)) {
    throw Error("WEIGHTS_NOT_FINITE",
                "The model's output holds numbers that are not finite, so nothing can be generated; its weights are "
                "damaged or training diverged.");
  }
  SampledToken token;
  token.id =
      options_.temperature > 0 ? draw(logits, *highest, index) : static_cast<std::int32_t>(highest - logits.begin());
  token.logprob = static_cast<double>(logits[static_cast<std::size_t>(token.id)]) - *highest - std::log(sum);
  return token;
}

std::int32_t Sampler::draw(std::span<const float> logits, float highest, std::uint64_t index) {
  candidates_.clear();
  for (std::size_t id = 0; id < logits.size(); ++id) {
    candidates_.push_back({static_cast<std::int32_t>(id), logits[id], 0});
  }
  keep_top_k();
  for (Candidate& candidate : candidates_) {
    candidate.weight = std::exp((static_cast<double>(candidate.logit) - highest) / options_.temperature);
  }
  keep_top_p();
  const double total = std::accumulate(candidates_.begin(), candidates_.end(), 0.0,
                                       [](double sum, const Candidate& candidate) { return sum + candidate.weight; });
  double left = uniform(options_.seed, index) * total;
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) {
      return candidate.id;
    }
  }
  // Rounding may leave a last grain; it belongs to a token that could have been drawn.
  const auto possible = std::find_if(candidates_.rbegin(), candidates_.rend(),
                                     [](const Candidate& candidate) { return candidate.weight > 0; });
  return possible->id;
}

void Sampler::keep_top_k() {
  if (options_.top_k == 0 || static_cast<std::size_t>(options_.top_k) >= candidates_.size()) {
    return;
  }
  const auto end = candidates_.begin() + options_.top_k;
  std::nth_element(candidates_.begin(), end - 1, candidates_.end(), likelier);
  candidates_.erase(end, candidates_.end());
}

// Sorts only as many of the likeliest as are needed to reach top_p: a few dozen of fifty thousand, as a rule.
void Sampler::keep_top_p() {
  if (options_.top_p >= 1) {
    return;
  }
  const double total = std::accumulate(candidates_.begin(), candidates_.end(), 0.0,
                                       [](double sum, const Candidate& candidate) { return sum + candidate.weight; });
  const double wanted = options_.top_p * total;
  double reached = 0;
  std::size_t sorted = 0;
  std::size_t chunk = 64;
  for (std::size_t kept = 0; kept < candidates_.size(); ++kept) {
    if (kept == sorted) {
      sorted = std::min(sorted + chunk, candidates_.size());
      chunk *= 4;
      const auto begin = candidates_.begin() + static_cast<std::ptrdiff_t>(kept);
      const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(sorted);
      std::nth_element(begin, end - 1, candidates_.end(), likelier);
      std::sort(begin, end, likelier);
    }
    reached += candidates_[kept].weight;
    if (reached >= wanted) {
      candidates_.resize(kept + 1);
      return;
    }
  }
}

} // namespace assay
