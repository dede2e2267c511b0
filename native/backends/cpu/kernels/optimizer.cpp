// One pass of DecoupledAdamW: reads parameter, gradient and both moments, writes all but the gradient, and where asked
// the parameter's bf16 copy. Memory-bound in fp32; with moments in 8-bit blocks finding the codes costs about as much
// as the memory saved.
#include "backends/cpu/kernels/bf16.h"
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"
#include "engine/optim/moment-codes.h"

namespace assay::ASSAY_VARIANT {

namespace {

constexpr int kBlock = 256; // kMomentBlock of engine/ops/backend.h

template <bool kCopies>
inline void update(float* __restrict parameters, const float* __restrict gradients, float* __restrict first_moment,
                   float* __restrict second_moment, std::uint16_t* __restrict copy, std::int64_t count,
                   const AdamWScalars& scalars) {
  const AdamWScalars s = scalars;
  const float keep1 = 1.0F - s.beta1;
  const float keep2 = 1.0F - s.beta2;
  for (std::int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] * s.gradient_scale;
    const float first = s.beta1 * first_moment[i] + keep1 * gradient;
    const float second = s.beta2 * second_moment[i] + keep2 * gradient * gradient;
    first_moment[i] = first;
    second_moment[i] = second;
    const float denominator = __builtin_sqrtf(second) * s.inverse_root_correction + s.epsilon;
    const float parameter = parameters[i] * s.decay_factor - s.step_size * first / denominator;
    parameters[i] = parameter;
    if constexpr (kCopies) {
      copy[i] = to_bf16(parameter);
    }
  }
}

inline Vector magnitude_of(Vector x) {
  return select(x < 0.0F, -x, x);
}

// The value of the largest magnitude, with its sign. Where several are as large it does not matter which one it is, as
// long as it is always the same.
float largest_of(const float* values) {
  Vector best{};
  for (int i = 0; i < kBlock; i += kLanes) {
    const Vector value = load(values + i);
    best = select(magnitude_of(value) > magnitude_of(best), value, best);
  }
  float lanes[kLanes];
  store(lanes, best);
  float largest = lanes[0];
  for (int lane = 1; lane < kLanes; ++lane) {
    largest = __builtin_fabsf(lanes[lane]) > __builtin_fabsf(largest) ? lanes[lane] : largest;
  }
  return largest;
}

inline IntVector nearest_codes(Vector magnitude, const MomentDecades& decades) {
  Vector factor = broadcast(decades.factor[0]);
  Vector steps = broadcast(decades.steps[0]);
  for (int z = 1; z < MomentDecades::kCount; ++z) {
    const IntVector is_below = magnitude < decades.below[z];
    factor = select(is_below, broadcast(decades.factor[z]), factor);
    steps = select(is_below, broadcast(decades.steps[z]), steps);
  }
  const Vector fraction = magnitude * factor - steps * (1.0F / 9.0F);
  const Vector bounded = smaller(larger(fraction, Vector{}), steps - 1.0F);
  return __builtin_convertvector(steps, IntVector) + __builtin_convertvector(bounded, IntVector);
}

inline IntVector first_codes_of(Vector value) {
  const Vector magnitude = magnitude_of(value);
  IntVector codes = nearest_codes(magnitude, kFirstMomentDecades);
  codes = magnitude < kFirstMomentDecades.zero_below ? IntVector{} : codes | ((value < 0.0F) & 128);
  return value > kFirstMomentDecades.one_above ? IntVector{} + 128 : codes;
}

inline IntVector second_codes_of(Vector value) {
  IntVector codes = nearest_codes(value, kSecondMomentDecades);
  codes = value > 0.0F ? codes : IntVector{};
  return value > kSecondMomentDecades.one_above ? IntVector{} + 1 : codes;
}

template <class Codes> void encode(std::uint8_t* codes, float* scale, const float* values, int count, const Codes& of) {
  const float largest = largest_of(values);
  const bool is_zero = __builtin_fabsf(largest) < kSmallestMomentScale;
  *scale = is_zero ? 0.0F : largest;
  const float inverse = is_zero ? 0.0F : 1.0F / largest;
  std::int32_t wide[kBlock];
  for (int i = 0; i < kBlock; i += kLanes) {
    const IntVector code = of(load(values + i) * inverse);
    __builtin_memcpy(wide + i, &code, sizeof code);
  }
  for (int i = 0; i < count; ++i) {
    codes[i] = static_cast<std::uint8_t>(wide[i]);
  }
}

} // namespace

void adamw(float* parameters, const float* gradients, float* first_moment, float* second_moment, std::uint16_t* copy,
           std::int64_t count, const AdamWScalars& scalars) {
  if (copy != nullptr) {
    update<true>(parameters, gradients, first_moment, second_moment, copy, count, scalars);
  } else {
    update<false>(parameters, gradients, first_moment, second_moment, nullptr, count, scalars);
  }
}

void adamw_blocks(float* parameters, const float* gradients, const MomentBlocks& moments, std::uint16_t* copy,
                  std::int64_t count, const AdamWScalars& scalars) {
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const int here = static_cast<int>(count - begin < kBlock ? count - begin : kBlock);
    std::uint8_t* first_codes = moments.first_codes + begin;
    std::uint8_t* second_codes = moments.second_codes + begin;
    float* first_scale = moments.first_scales + begin / kBlock;
    float* second_scale = moments.second_scales + begin / kBlock;
    float first[kBlock] = {};
    float second[kBlock] = {};
    for (int i = 0; i < here; ++i) {
      first[i] = kFirstMomentValues.values[first_codes[i]] * *first_scale;
      second[i] = kSecondMomentValues.values[second_codes[i]] * *second_scale;
    }
    adamw(parameters + begin, gradients + begin, first, second, copy != nullptr ? copy + begin : nullptr, here,
          scalars);
    encode(first_codes, first_scale, first, here, first_codes_of);
    encode(second_codes, second_scale, second, here, second_codes_of);
  }
}

} // namespace assay::ASSAY_VARIANT
