// The softmax pieces of attention (online, block by block) and of the loss (whole rows of logits).
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

namespace {

constexpr float kMinusInfinity = -__builtin_inff();

float largest(const float* values, std::int64_t count) {
  Vector best = broadcast(kMinusInfinity);
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    best = larger(load(values + i), best);
  }
  if (i < count) {
    best = larger(load_first(values + i, count - i, kMinusInfinity), best);
  }
  return largest_lane(best);
}

float exponential_of(float x) {
  return exponential(broadcast(x))[0];
}

} // namespace

float softmax_block(float* scores, std::int64_t count, float scale, float* maximum, float* sum) {
  const float highest = largest(scores, count) * scale;
  const float raised = highest > *maximum ? highest : *maximum;
  Vector sums{};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Vector value = exponential(load(scores + i) * scale - raised);
    sums += value;
    store(scores + i, value);
  }
  if (i < count) {
    const Vector value = exponential(load_first(scores + i, count - i, kMinusInfinity) * scale - raised);
    sums += value;
    store_first(scores + i, value, count - i);
  }
  // The first block has maximum −infinity: its correction is 0, and so is what it corrects.
  const float correction = *maximum == raised ? 1.0F : exponential_of(*maximum - raised);
  *sum = *sum * correction + sum_lanes(sums);
  *maximum = raised;
  return correction;
}

void probabilities(float* scores, std::int64_t count, float scale, float log_sum_exp) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(scores + i, exponential(load(scores + i) * scale - log_sum_exp));
  }
  if (i < count) {
    store_first(scores + i, exponential(load_first(scores + i, count - i) * scale - log_sum_exp), count - i);
  }
}

void softmax_backward(float* d_scores, const float* probabilities, std::int64_t count, float scale, float correction) {
  for (std::int64_t i = 0; i < count; ++i) {
    d_scores[i] = (d_scores[i] - correction) * probabilities[i] * scale;
  }
}

float log_sum_exp(const float* logits, std::int64_t count) {
  const float highest = largest(logits, count);
  Vector sums{};
  Vector more{};
  std::int64_t i = 0;
  for (; i + 2 * kLanes <= count; i += 2 * kLanes) {
    sums += exponential(load(logits + i) - highest);
    more += exponential(load(logits + i + kLanes) - highest);
  }
  sums += more;
  for (; i + kLanes <= count; i += kLanes) {
    sums += exponential(load(logits + i) - highest);
  }
  if (i < count) {
    sums += exponential(load_first(logits + i, count - i, kMinusInfinity) - highest);
  }
  return highest + __builtin_logf(sum_lanes(sums));
}

void scale(float* values, std::int64_t count, float factor) {
  for (std::int64_t i = 0; i < count; ++i) {
    values[i] *= factor;
  }
}

void scaled_probabilities(float* logits, std::int64_t count, float log_sum_exp, float factor) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(logits + i, exponential(load(logits + i) - log_sum_exp) * factor);
  }
  if (i < count) {
    store_first(logits + i, exponential(load_first(logits + i, count - i) - log_sum_exp) * factor, count - i);
  }
}

} // namespace assay::ASSAY_VARIANT
