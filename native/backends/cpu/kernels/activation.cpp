// Elementwise sums and GELU's tanh form, gelu_new(x) = x/2 · (1 + tanh u), u = √(2/π) (x + 0.044715 x³). Since
// (1 + tanh u)/2 = 1 / (1 + e^(−2u)), one exponential and one division do; bandwidth limits all of these.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

namespace {

constexpr float kRootTwoOverPi = 0.7978845608028654F;
constexpr float kCubic = 0.044715F;

inline Vector sigmoid_of_twice(Vector u) {
  return 1.0F / (1.0F + exponential(-2.0F * u));
}

inline Vector gelu_value(Vector x) {
  const Vector u = kRootTwoOverPi * (x + kCubic * x * x * x);
  return x * sigmoid_of_twice(u);
}

inline Vector gelu_slope(Vector x) {
  const Vector square = x * x;
  const Vector u = kRootTwoOverPi * (x + kCubic * square * x);
  const Vector slope_of_u = kRootTwoOverPi * (1.0F + 3.0F * kCubic * square);
  const Vector gate = sigmoid_of_twice(u);
  return gate + x * gate * (1.0F - gate) * 2.0F * slope_of_u;
}

} // namespace

void add(float* output, const float* left, const float* right, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    output[i] = left[i] + right[i];
  }
}

void add_to(float* target, const float* values, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    target[i] += values[i];
  }
}

void gelu(float* output, const float* input, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(output + i, gelu_value(load(input + i)));
  }
  if (i < count) {
    store_first(output + i, gelu_value(load_first(input + i, count - i)), count - i);
  }
}

void gelu_backward(float* gradient, const float* input, std::int64_t count) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(gradient + i, load(gradient + i) * gelu_slope(load(input + i)));
  }
  if (i < count) {
    const std::int64_t rest = count - i;
    store_first(gradient + i, load_first(gradient + i, rest) * gelu_slope(load_first(input + i, rest)), rest);
  }
}

} // namespace assay::ASSAY_VARIANT
