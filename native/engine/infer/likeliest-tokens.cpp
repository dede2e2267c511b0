#include "engine/infer/likeliest-tokens.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <tuple>
#include <utility>

namespace assay {

namespace {

// A cut narrower than this is sorted rather than narrowed further.
constexpr std::int64_t kSortedTokens = 64;
// Beyond so many scales below the highest logit, e^x is 0 in single precision.
constexpr float kLowestScales = 104.0F;

constexpr auto likelier = [](const CandidateToken& left, const CandidateToken& right) {
  return left.logit != right.logit ? left.logit > right.logit : left.id < right.id;
};

} // namespace

void LikeliestTokens::read(std::span<const float> logits) {
  logits_ = logits;
  const auto count = static_cast<std::int64_t>(logits.size());
  maxima_.resize(static_cast<std::size_t>(scan_block_count(count)));
  highest_ = vocabulary_scan().block_maxima(logits.data(), count, maxima_.data());
}

std::int32_t LikeliestTokens::first() const {
  const auto block = std::find(maxima_.begin(), maxima_.end(), highest_) - maxima_.begin();
  const auto found = std::find(logits_.begin() + block * kScanBlock, logits_.end(), highest_);
  return static_cast<std::int32_t>(found - logits_.begin());
}

void LikeliestTokens::collect(std::int64_t block, float at_least, float below) {
  const std::int64_t end = std::min((block + 1) * kScanBlock, static_cast<std::int64_t>(logits_.size()));
  for (std::int64_t id = block * kScanBlock; id < end; ++id) {
    const float logit = logits_[static_cast<std::size_t>(id)];
    if (logit >= at_least && logit < below) {
      candidates_.push_back({static_cast<std::int32_t>(id), logit});
    }
  }
}

std::span<const CandidateToken> LikeliestTokens::take(std::int64_t count) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  candidates_.clear();
  const auto blocks = static_cast<std::int64_t>(maxima_.size());
  const std::int64_t wanted = std::min(count, static_cast<std::int64_t>(logits_.size()));
  if (wanted <= 0) {
    return {};
  }
  float threshold = 0;
  if (wanted <= blocks) {
    // So many blocks hold a token that is at least this likely.
    ordered_maxima_ = maxima_;
    const auto last = ordered_maxima_.begin() + (wanted - 1);
    std::nth_element(ordered_maxima_.begin(), last, ordered_maxima_.end(), std::greater<>());
    threshold = *last;
  } else {
    threshold = cut(static_cast<double>(wanted), nullptr, 1.0F).low;
  }
  for (std::int64_t block = 0; block < blocks; ++block) {
    if (maxima_[static_cast<std::size_t>(block)] >= threshold) {
      collect(block, threshold, kInfinity);
    }
  }
  if (static_cast<std::int64_t>(candidates_.size()) > wanted) {
    std::nth_element(candidates_.begin(), candidates_.begin() + (wanted - 1), candidates_.end(), likelier);
    candidates_.resize(static_cast<std::size_t>(wanted));
  }
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  return candidates_;
}

TokenCut LikeliestTokens::cut(double wanted, const float* weights, float scale) const {
  const auto count = static_cast<std::int64_t>(logits_.size());
  const auto ask = [&](float threshold) {
    const MassAbove found = vocabulary_scan().above(logits_.data(), weights, count, threshold);
    return std::pair(weights != nullptr ? found.mass : static_cast<double>(found.count), found.count);
  };
  TokenCut cut;
  cut.high = std::numeric_limits<float>::infinity();
  std::int64_t count_high = 0;
  // Down from the highest logit, in growing steps, until there is enough.
  double measure_low = 0;
  std::int64_t count_low = 0;
  for (float depth = 2.0F * scale;; depth *= 2.0F) {
    const bool is_last = depth >= kLowestScales * scale;
    cut.low = !is_last             ? highest_ - depth
              : weights != nullptr ? highest_ - kLowestScales * scale
                                   : -std::numeric_limits<float>::infinity();
    std::tie(measure_low, count_low) = ask(cut.low);
    if (measure_low >= wanted || is_last) {
      break;
    }
    cut.high = cut.low;
    cut.measure_before = measure_low;
    count_high = count_low;
  }
  bool was_low = true;
  double overshoot = 0.03;
  while (count_low - count_high > kSortedTokens) {
    const float high = std::min(cut.high, std::nextafter(highest_, std::numeric_limits<float>::infinity()));
    const double measure_between = measure_low - cut.measure_before;
    // Where a straight line would reach it, and beyond on the side that did not move last, so that both sides come
    // near: the further, the more often one side had to wait.
    const double few_tokens = measure_between / static_cast<double>(count_low - count_high) * (kSortedTokens / 4);
    const double beyond = few_tokens + overshoot * measure_between;
    const double aim = wanted - cut.measure_before + (was_low ? -beyond : beyond);
    const double part = std::clamp(aim / measure_between, 0.1, 0.9);
    const auto threshold = static_cast<float>(high + (static_cast<double>(cut.low) - high) * part);
    if (!(threshold < high && threshold > cut.low)) {
      break; // equal logits cannot be told apart
    }
    const auto [measure, above] = ask(threshold);
    overshoot = was_low == (measure >= wanted) ? std::min(3 * overshoot, 1.0) : 0.03;
    was_low = measure >= wanted;
    if (was_low) {
      cut.low = threshold;
      measure_low = measure;
      count_low = above;
    } else {
      cut.high = threshold;
      cut.measure_before = measure;
      count_high = above;
    }
  }
  return cut;
}

std::span<const CandidateToken> LikeliestTokens::between(const TokenCut& cut) {
  candidates_.clear();
  counts_.resize(maxima_.size());
  vocabulary_scan().block_counts(logits_.data(), static_cast<std::int64_t>(logits_.size()), cut.low, cut.high,
                                 counts_.data());
  for (std::size_t block = 0; block < counts_.size(); ++block) {
    if (counts_[block] > 0) {
      collect(static_cast<std::int64_t>(block), cut.low, cut.high);
    }
  }
  std::sort(candidates_.begin(), candidates_.end(), likelier);
  return candidates_;
}

} // namespace assay
