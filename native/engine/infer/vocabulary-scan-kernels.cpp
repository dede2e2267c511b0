// The passes themselves, by the compiler's vectors: this file becomes one object for each instruction set.
#include "engine/infer/vocabulary-scan.h"

#include "backends/cpu/kernels/simd.h"

namespace assay {

namespace {

constexpr float kMinusInfinity = -__builtin_inff();

std::int64_t smaller_count(std::int64_t left, std::int64_t right) {
  return left < right ? left : right;
}

float block_maxima(const float* logits, std::int64_t count, float* maxima) {
  float highest = kMinusInfinity;
  for (std::int64_t begin = 0, block = 0; begin < count; begin += kScanBlock, ++block) {
    const std::int64_t end = smaller_count(begin + kScanBlock, count);
    Vector best = broadcast(kMinusInfinity);
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      best = larger(load(logits + i), best);
    }
    if (i < end) {
      best = larger(load_first(logits + i, end - i, kMinusInfinity), best);
    }
    maxima[block] = largest_lane(best);
    highest = maxima[block] > highest ? maxima[block] : highest;
  }
  return highest;
}

double block_sums(const float* logits, std::int64_t count, float highest, float factor, double* sums, float* weights) {
  double total = 0;
  for (std::int64_t begin = 0, block = 0; begin < count; begin += kScanBlock, ++block) {
    const std::int64_t end = smaller_count(begin + kScanBlock, count);
    Vector sum{};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const Vector weight = exponential((load(logits + i) - highest) * factor);
      sum += weight;
      if (weights != nullptr) {
        store(weights + i, weight);
      }
    }
    if (i < end) {
      const Vector weight = exponential((load_first(logits + i, end - i, kMinusInfinity) - highest) * factor);
      sum += weight;
      if (weights != nullptr) {
        store_first(weights + i, weight, end - i);
      }
    }
    sums[block] = static_cast<double>(sum_lanes(sum));
    total += sums[block];
  }
  return total;
}

MassAbove above(const float* logits, const float* weights, std::int64_t count, float threshold) {
  // So many tokens add up in single precision before their sum joins the total.
  constexpr std::int64_t kRun = std::int64_t{64} * kLanes;
  MassAbove found;
  for (std::int64_t begin = 0; begin < count; begin += kRun) {
    const std::int64_t end = smaller_count(begin + kRun, count);
    Vector mass{};
    IntVector number{};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const IntVector is_above = load(logits + i) >= threshold; // −1 where true
      number -= is_above;
      if (weights != nullptr) {
        mass += select(is_above, load(weights + i), Vector{});
      }
    }
    for (; i < end; ++i) {
      if (logits[i] >= threshold) {
        number[0] += 1;
        mass[0] += weights != nullptr ? weights[i] : 0.0F;
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      found.count += number[lane];
    }
    found.mass += static_cast<double>(sum_lanes(mass));
  }
  return found;
}

void block_counts(const float* logits, std::int64_t count, float at_least, float below, std::int32_t* counts) {
  for (std::int64_t begin = 0, block = 0; begin < count; begin += kScanBlock, ++block) {
    const std::int64_t end = smaller_count(begin + kScanBlock, count);
    IntVector number{};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
      const Vector values = load(logits + i);
      number -= (values >= at_least) & (values < below);
    }
    std::int32_t total = 0;
    for (; i < end; ++i) {
      total += logits[i] >= at_least && logits[i] < below ? 1 : 0;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      total += number[lane];
    }
    counts[block] = total;
  }
}

} // namespace

const VocabularyScan& ASSAY_SCAN() {
  static const VocabularyScan table = {block_maxima, block_sums, above, block_counts};
  return table;
}

} // namespace assay
