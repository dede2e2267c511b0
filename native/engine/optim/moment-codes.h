// The 8-bit number formats of the optimizer's moments: the dynamic data type of Dettmers et al., "8-bit Optimizers via
// Block-wise Quantization" (2021). A value is stored relative to its block's scale. Its first set bit, after any sign,
// says how many tenths it is scaled by, the bits behind that are a linear fraction of (0.1, 1):
//
//   m = 2^k + f, 0 ≤ f < 2^k, F ≥ k:   value(m) = 10^(k − F) · (0.1 + 0.9 · (f + 1/2) / 2^k)
//
// First moment, F = 6: code = sign · 128 + m; code 0 is 0, and 128, which would be −0, is 1.
// Second moment, F = 7, no sign: code = m, except that code 0 is 0 and code 1 is 1 (so that k ≥ 1).
//
// This header is read by kernels that are compiled for several instruction sets: it emits data, never functions.
#pragma once

#include <cstdint>

namespace assay {

struct MomentValues {
  float values[256];
};

// How a magnitude a, 0 ≤ a ≤ 1, finds its m: in decade z, the last whose `below` exceeds a (0 where none does),
// f = a · factor − steps / 9, cut to whole numbers in [0, steps), and m = steps + f. That is the nearest value: within
// a decade the values are centres of equal bins, and `below` lies midway between the values on both of its sides.
struct MomentDecades {
  static constexpr int kCount = 7;
  float below[kCount]; // [0] is not used
  float factor[kCount];
  float steps[kCount]; // 2^k
  float zero_below;    // half the smallest value
  float one_above;     // midway between the largest value below 1 and 1
};

namespace moment_detail {

consteval double power_of_ten(int exponent) {
  double value = 1.0;
  for (; exponent < 0; ++exponent) {
    value /= 10.0;
  }
  for (; exponent > 0; --exponent) {
    value *= 10.0;
  }
  return value;
}

consteval double value_of(int m, int fraction_bits) {
  int k = 0;
  while (m >> (k + 1) != 0) {
    ++k;
  }
  const int steps = 1 << k;
  return power_of_ten(k - fraction_bits) * (0.1 + 0.9 * (m - steps + 0.5) / steps);
}

consteval MomentValues first_values() {
  MomentValues table{};
  for (int m = 1; m < 128; ++m) {
    table.values[m] = static_cast<float>(value_of(m, 6));
    table.values[128 + m] = -table.values[m];
  }
  table.values[128] = 1.0F;
  return table;
}

consteval MomentValues second_values() {
  MomentValues table{};
  for (int m = 2; m < 256; ++m) {
    table.values[m] = static_cast<float>(value_of(m, 7));
  }
  table.values[1] = 1.0F;
  return table;
}

consteval MomentDecades decades(int fraction_bits) {
  MomentDecades table{};
  for (int z = 0; z < MomentDecades::kCount; ++z) {
    const int steps = 1 << (fraction_bits - z);
    table.steps[z] = static_cast<float>(steps);
    table.factor[z] = static_cast<float>(power_of_ten(z) * steps / 0.9);
    // m = steps is the smallest of decade z, m = 2 · steps that of the decade before.
    table.below[z] =
        z == 0 ? 0.0F
               : static_cast<float>((value_of(2 * steps - 1, fraction_bits) + value_of(2 * steps, fraction_bits)) / 2);
  }
  const int smallest = 1 << (fraction_bits - MomentDecades::kCount + 1);
  table.zero_below = static_cast<float>(value_of(smallest, fraction_bits) / 2);
  table.one_above = static_cast<float>((1.0 + value_of((2 << fraction_bits) - 1, fraction_bits)) / 2);
  return table;
}

} // namespace moment_detail

inline constexpr MomentValues kFirstMomentValues = moment_detail::first_values();
inline constexpr MomentValues kSecondMomentValues = moment_detail::second_values();
inline constexpr MomentDecades kFirstMomentDecades = moment_detail::decades(6);
inline constexpr MomentDecades kSecondMomentDecades = moment_detail::decades(7);

// A block whose largest magnitude is below this is all zeros: its inverse would not be a number.
inline constexpr float kSmallestMomentScale = 1e-37F;

} // namespace assay
