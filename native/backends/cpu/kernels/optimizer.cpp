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

// The value of the largest magnitude, with its sign; of two that are as large the positive one.
float largest_of(const float* values) {
  Vector highest[2] = {};
  Vector lowest[2] = {};
  for (int i = 0; i < kBlock; i += 2 * kLanes) {
    for (int half = 0; half < 2; ++half) {
      const Vector value = load(values + i + half * kLanes);
      highest[half] = larger(value, highest[half]);
      lowest[half] = smaller(value, lowest[half]);
    }
  }
  const float top = largest_lane(larger(highest[0], highest[1]));
  const float bottom = -largest_lane(-smaller(lowest[0], lowest[1]));
  return top >= -bottom ? top : bottom;
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

void decode(float* __restrict values, const std::uint8_t* __restrict codes, const float* __restrict table,
            float scale) {
  for (int i = 0; i < kBlock; ++i) {
    values[i] = table[codes[i]] * scale;
  }
}

template <class Codes> void encode(std::uint8_t* codes, float* scale, const float* values, const Codes& codes_of) {
  const float largest = largest_of(values);
  const bool is_zero = __builtin_fabsf(largest) < kSmallestMomentScale;
  *scale = is_zero ? 0.0F : largest;
  const float inverse = is_zero ? 0.0F : 1.0F / largest;
  std::int32_t wide[kBlock];
  for (int i = 0; i < kBlock; i += kLanes) {
    const Vector relative = load(values + i) * inverse;
    const IntVector code = codes_of(relative);
    __builtin_memcpy(wide + i, &code, sizeof code);
  }
  for (int i = 0; i < kBlock; ++i) {
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
    const std::int64_t here = count - begin < kBlock ? count - begin : kBlock;
    std::uint8_t* first_codes = moments.first_codes + begin;
    std::uint8_t* second_codes = moments.second_codes + begin;
    // The last block of a run may be short; its missing codes count as zeros.
    std::uint8_t short_codes[2][kBlock] = {};
    if (here < kBlock) {
      __builtin_memcpy(short_codes[0], first_codes, static_cast<std::size_t>(here));
      __builtin_memcpy(short_codes[1], second_codes, static_cast<std::size_t>(here));
    }
    std::uint8_t* own_first = here < kBlock ? short_codes[0] : first_codes;
    std::uint8_t* own_second = here < kBlock ? short_codes[1] : second_codes;
    float* first_scale = moments.first_scales + begin / kBlock;
    float* second_scale = moments.second_scales + begin / kBlock;
    float first[kBlock];
    float second[kBlock];
    decode(first, own_first, kFirstMomentValues.values, *first_scale);
    decode(second, own_second, kSecondMomentValues.values, *second_scale);
    adamw(parameters + begin, gradients + begin, first, second, copy != nullptr ? copy + begin : nullptr, here,
          scalars);
    encode(own_first, first_scale, first, first_codes_of);
    encode(own_second, second_scale, second, second_codes_of);
    if (here < kBlock) {
      __builtin_memcpy(first_codes, short_codes[0], static_cast<std::size_t>(here));
      __builtin_memcpy(second_codes, short_codes[1], static_cast<std::size_t>(here));
    }
  }
}

} // namespace assay::ASSAY_VARIANT
