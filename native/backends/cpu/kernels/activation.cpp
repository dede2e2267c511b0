// Elementwise sums and activations. Each activation costs one exponential and one or two divisions:
// - gelu_new(x) = x/2 · (1 + tanh u), u = √(2/π) (x + 0.044715 x³), by (1 + tanh u)/2 = 1 / (1 + e^(−2u));
// - gelu(x) = x · Φ(x), by Φ(−z√2) = e^(−z²) · erfcx(z) / 2 with a polynomial for erfcx;
// - tanh, by e^(−2|x|), and near zero, where that cancels, by a polynomial.
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

inline Vector magnitude(Vector x) {
  return select(x < 0.0F, -x, x);
}

// Φ(x) and the e^(−x²/2) that it is made of. erfcx(z) = t · Q(t) with t = 1 / (1 + 0.3 z); Q is the Chebyshev fit of
// degree 8 in t over 0 ≤ z ≤ 9.5, right to 2.4e-8, in the variable that runs over [−1, 1]. Beyond, e^(−z²) is 0.
struct NormalDistribution {
  Vector lower_tail, exponential;
};

inline NormalDistribution normal_distribution(Vector x) {
  const Vector t = 1.0F / (1.0F + 0.21213203F * magnitude(x));
  const Vector k = 2.70175438F * t - 1.70175438F;
  Vector q = k * -4.6019617e-5F - 1.59061135e-4F;
  q = q * k + 4.8876449e-4F;
  q = q * k + 5.86728612e-3F;
  q = q * k + 2.63025966e-2F;
  q = q * k + 7.83430636e-2F;
  q = q * k + 0.174374118F;
  q = q * k + 0.302249193F;
  q = q * k + 0.412580043F;
  const Vector exponential_part = exponential(-0.5F * x * x);
  const Vector tail = 0.5F * t * q * exponential_part;
  return {select(x < 0.0F, tail, 1.0F - tail), exponential_part};
}

inline Vector gelu_erf_value(Vector x) {
  return x * normal_distribution(x).lower_tail;
}

inline Vector gelu_erf_slope(Vector x) {
  constexpr float kInverseRootTwoPi = 0.3989422804F;
  const NormalDistribution normal = normal_distribution(x);
  return normal.lower_tail + kInverseRootTwoPi * x * normal.exponential;
}

inline Vector tanh_value(Vector x) {
  const Vector decay = exponential(-2.0F * magnitude(x));
  const Vector far = (1.0F - decay) / (1.0F + decay);
  // tanh x = x + x³ · P(x²), fitted over |x| ≤ 0.625, right to 9e-8.
  const Vector square = x * x;
  Vector p = square * -6.10494753e-3F + 2.10036412e-2F;
  p = p * square - 5.38524985e-2F;
  p = p * square + 0.133327827F;
  p = p * square - 0.333333284F;
  const Vector near = x + x * square * p;
  return select(magnitude(x) < 0.625F, near, select(x < 0.0F, -far, far));
}

// 1 − tanh² = 4 e^(−2|x|) / (1 + e^(−2|x|))², which does not cancel where tanh is near 1.
inline Vector tanh_slope(Vector x) {
  const Vector decay = exponential(-2.0F * magnitude(x));
  const Vector inverse = 1.0F / (1.0F + decay);
  return 4.0F * decay * inverse * inverse;
}

template <class Function>
inline void map(float* output, const float* input, std::int64_t count, const Function& function) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(output + i, function(load(input + i)));
  }
  if (i < count) {
    store_first(output + i, function(load_first(input + i, count - i)), count - i);
  }
}

template <class Function>
inline void multiply_by(float* gradient, const float* input, std::int64_t count, const Function& function) {
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    store(gradient + i, load(gradient + i) * function(load(input + i)));
  }
  if (i < count) {
    const std::int64_t rest = count - i;
    store_first(gradient + i, load_first(gradient + i, rest) * function(load_first(input + i, rest)), rest);
  }
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
  map(output, input, count, gelu_value);
}

void gelu_backward(float* gradient, const float* input, std::int64_t count) {
  multiply_by(gradient, input, count, gelu_slope);
}

void gelu_erf(float* output, const float* input, std::int64_t count) {
  map(output, input, count, gelu_erf_value);
}

void gelu_erf_backward(float* gradient, const float* input, std::int64_t count) {
  multiply_by(gradient, input, count, gelu_erf_slope);
}

void tanh(float* output, const float* input, std::int64_t count) {
  map(output, input, count, tanh_value);
}

void tanh_backward(float* gradient, const float* input, std::int64_t count) {
  multiply_by(gradient, input, count, tanh_slope);
}

} // namespace assay::ASSAY_VARIANT
