#include "engine/infer/sampling.h"

#include "engine/base/error.h"
#include "engine/base/philox.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

namespace assay {

namespace {

// Tells these draws from dropout's and initialisation's under the same seed.
constexpr std::uint32_t kSamplingStream = 0x53414D50U;

// How many tokens top-p looks at before it searches the whole vocabulary: a trained model's answer is among them.
constexpr std::int64_t kFirstLook = 64;

double uniform(std::uint64_t seed, std::uint64_t index) {
  const PhiloxCounter words =
      philox4x32({static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32), 0, kSamplingStream},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  const std::uint64_t bits = (std::uint64_t{words[0]} << 32) | words[1];
  return static_cast<double>(bits >> 11) * 0x1.0p-53;
}

// A run of tokens, likeliest first, walked until their weights pass a target.
class Walk {
public:
  Walk(float highest, double factor) : highest_(highest), factor_(factor) {}

  double weight(float logit) const { return std::exp((static_cast<double>(logit) - highest_) * factor_); }

  // The number of tokens that reach `wanted` together, starting from `sum`, which becomes their sum; all of them where
  // rounding keeps them from it.
  std::size_t reach(std::span<const CandidateToken> tokens, double wanted, double& sum) const {
    std::size_t taken = 0;
    while (taken < tokens.size() && (taken == 0 || sum < wanted)) {
      sum += weight(tokens[taken++].logit);
    }
    return taken;
  }

  // The token on whose part `target` falls, where the first begins at `sum`.
  std::int32_t find(std::span<const CandidateToken> tokens, double target, double sum) const {
    std::int32_t possible = tokens.front().id;
    for (const CandidateToken& token : tokens) {
      const double own = weight(token.logit);
      sum += own;
      // Rounding may leave a last grain; it belongs to a token that could have been drawn.
      possible = own > 0 ? token.id : possible;
      if (sum > target) {
        break;
      }
    }
    return possible;
  }

private:
  double highest_;
  double factor_;
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
  if (!std::isfinite(options.repetition_penalty) || options.repetition_penalty <= 0) {
    throw Error("BAD_ARGUMENT", "repetitionPenalty is a number above 0 (1 means none), not " +
                                    std::to_string(options.repetition_penalty) + ".");
  }
  if (options.alternatives < 0) {
    throw Error("BAD_ARGUMENT",
                "topLogprobs is a whole number of at least 0, not " + std::to_string(options.alternatives) + ".");
  }
}

void RatedLogits::read(std::span<const float> logits) {
  logits_ = logits;
  order_.read(logits);
  const auto count = static_cast<std::int64_t>(logits.size());
  sums_.resize(static_cast<std::size_t>(scan_block_count(count)));
  sum_ = vocabulary_scan().block_sums(logits.data(), count, order_.highest(), 1.0F, sums_.data(), nullptr);
  // Not a number anywhere makes the sum one; an infinite maximum makes infinity minus infinity.
  if (!std::isfinite(sum_)) {
    throw Error("WEIGHTS_NOT_FINITE",
                "The model's output holds numbers that are not finite, so nothing can be generated; its weights are "
                "damaged or training diverged.");
  }
}

double RatedLogits::logprob(std::int32_t id) const {
  return static_cast<double>(logits_[static_cast<std::size_t>(id)]) - order_.highest() - std::log(sum_);
}

std::int64_t RatedLogits::rank(std::int32_t id) const {
  const auto place = static_cast<std::size_t>(id);
  const float own = logits_[place];
  const auto count = static_cast<std::int64_t>(logits_.size());
  const std::int64_t at_least = vocabulary_scan().above(logits_.data(), nullptr, count, own).count;
  // Of the equals only those before it count; there are hardly ever any.
  const auto equals_behind = std::count(logits_.begin() + static_cast<std::ptrdiff_t>(place) + 1, logits_.end(), own);
  return at_least - equals_behind;
}

std::vector<RatedToken> RatedLogits::likeliest(std::int64_t count) {
  std::vector<RatedToken> rated;
  for (const CandidateToken& token : order_.take(count)) {
    rated.push_back({token.id, logprob(token.id)});
  }
  return rated;
}

Sampler::Sampler(const SamplingOptions& options) : options_(options) {
  validate(options);
}

void Sampler::see(std::span<const std::int32_t> tokens) {
  if (options_.repetition_penalty == 1.0) {
    return;
  }
  for (const std::int32_t token : tokens) {
    const auto place = static_cast<std::size_t>(token);
    if (place >= is_seen_.size()) {
      is_seen_.resize(place + 1);
    }
    if (!is_seen_[place]) {
      is_seen_[place] = true;
      seen_.push_back(token);
    }
  }
}

SampledToken Sampler::sample(std::span<const float> logits, std::uint64_t index) {
  rated_.read(logits);
  SampledToken token;
  token.alternatives = rated_.likeliest(options_.alternatives);
  // The penalty must not change them.
  const double highest = rated_.order_.highest();
  const double log_sum = std::log(rated_.sum_);
  used_ = logits;
  if (!seen_.empty()) {
    apply_penalty();
  }
  token.id = choose(index);
  token.logprob = static_cast<double>(logits[static_cast<std::size_t>(token.id)]) - highest - log_sum;
  return token;
}

void Sampler::apply_penalty() {
  penalised_.assign(used_.begin(), used_.end());
  const auto penalty = static_cast<float>(options_.repetition_penalty);
  for (const std::int32_t token : seen_) {
    float& logit = penalised_[static_cast<std::size_t>(token)];
    logit = std::min(logit > 0 ? logit / penalty : logit * penalty, std::numeric_limits<float>::max());
  }
  used_ = penalised_;
  rated_.order_.read(used_);
}

std::int32_t Sampler::choose(std::uint64_t index) {
  if (options_.temperature == 0) {
    return rated_.order_.first();
  }
  // Within what single precision holds, so that 0 times it is 0.
  const double factor = std::clamp(1.0 / options_.temperature, 1e-30, 1e30);
  const double chance = uniform(options_.seed, index);
  if (options_.top_k > 0 && options_.top_k < static_cast<std::int64_t>(used_.size())) {
    return draw_from_top_k(factor, chance);
  }
  return options_.top_p < 1 ? draw_from_top_p(factor, chance) : draw_from_all(factor, chance);
}

std::int32_t Sampler::draw_from_top_k(double factor, double chance) {
  std::span<const CandidateToken> kept = rated_.order_.take(options_.top_k);
  const Walk walk(rated_.order_.highest(), factor);
  double total = 0;
  for (const CandidateToken& token : kept) {
    total += walk.weight(token.logit);
  }
  if (options_.top_p < 1) {
    double reached = 0;
    kept = kept.first(walk.reach(kept, options_.top_p * total, reached));
    total = reached;
  }
  return walk.find(kept, chance * total, 0);
}

std::int32_t Sampler::draw_from_all(double factor, double chance) {
  const auto count = static_cast<std::int64_t>(used_.size());
  const float highest = rated_.order_.highest();
  double total = rated_.sum_;
  std::span<const double> sums = rated_.sums_;
  if (factor != 1.0 || used_.data() == penalised_.data()) {
    sums_.resize(sums.size());
    total =
        vocabulary_scan().block_sums(used_.data(), count, highest, static_cast<float>(factor), sums_.data(), nullptr);
    sums = sums_;
  }
  // The block on whose part it falls, then the token, in the order of ids.
  const double target = chance * total;
  double before = 0;
  std::size_t block = 0;
  std::size_t possible = 0;
  for (; block < sums.size(); ++block) {
    possible = sums[block] > 0 ? block : possible;
    if (before + sums[block] > target) {
      break;
    }
    before += sums[block];
  }
  if (block == sums.size()) {
    block = possible;
    before -= sums[block];
  }
  const auto begin = static_cast<std::int64_t>(block) * kScanBlock;
  CandidateToken tokens[kScanBlock];
  const std::int64_t size = std::min(kScanBlock, count - begin);
  for (std::int64_t i = 0; i < size; ++i) {
    tokens[i] = {static_cast<std::int32_t>(begin + i), used_[static_cast<std::size_t>(begin + i)]};
  }
  return Walk(highest, factor).find(std::span(tokens, static_cast<std::size_t>(size)), target, before);
}

std::int32_t Sampler::draw_from_top_p(double factor, double chance) {
  const auto count = static_cast<std::int64_t>(used_.size());
  LikeliestTokens& order = rated_.order_;
  const Walk walk(order.highest(), factor);
  weights_.resize(used_.size());
  sums_.resize(static_cast<std::size_t>(scan_block_count(count)));
  const double total = vocabulary_scan().block_sums(used_.data(), count, order.highest(), static_cast<float>(factor),
                                                    sums_.data(), weights_.data());
  const double wanted = options_.top_p * total;
  double kept = 0;
  std::span<const CandidateToken> tokens = order.take(kFirstLook);
  const std::size_t taken = walk.reach(tokens, wanted, kept);
  if (kept >= wanted || taken == used_.size()) {
    return walk.find(tokens.first(taken), chance * kept, 0);
  }
  const auto scale = static_cast<float>(1.0 / factor);
  TokenCut cut = order.cut(wanted, weights_.data(), scale);
  tokens = order.between(cut);
  kept = cut.measure_before;
  tokens = tokens.first(walk.reach(tokens, wanted, kept));
  const double target = chance * kept;
  if (target < cut.measure_before) {
    cut = order.cut(target, weights_.data(), scale);
    tokens = order.between(cut);
  }
  return walk.find(tokens, target, cut.measure_before);
}

} // namespace assay
