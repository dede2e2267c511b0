// Vectors by the compiler's own extension: the same source becomes AVX-512, AVX2, SSE2 or NEON, by the flags of the
// file that includes it. Everything is in an unnamed namespace, because each variant is linked into the same program.
#pragma once

#include <cstdint>

namespace assay {
namespace {

#if defined(__AVX512F__)
constexpr int kLanes = 16;
#elif defined(__AVX2__)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

typedef float Vector __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t IntVector __attribute__((vector_size(kLanes * 4)));
typedef std::uint32_t WordVector __attribute__((vector_size(kLanes * 4)));
// The same in memory: only as aligned as a float.
typedef float UnalignedVector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
typedef std::uint32_t UnalignedWordVector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));

inline Vector load(const float* source) {
  return *reinterpret_cast<const UnalignedVector*>(source);
}
inline void store(float* target, Vector values) {
  *reinterpret_cast<UnalignedVector*>(target) = values;
}
inline Vector broadcast(float value) {
  return Vector{} + value;
}
// The first `count` < kLanes elements; the rest are `filler`.
inline Vector load_first(const float* source, std::int64_t count, float filler = 0.0F) {
  Vector values = broadcast(filler);
  for (std::int64_t lane = 0; lane < count; ++lane) {
    values[lane] = source[lane];
  }
  return values;
}
inline void store_first(float* target, Vector values, std::int64_t count) {
  for (std::int64_t lane = 0; lane < count; ++lane) {
    target[lane] = values[lane];
  }
}

inline Vector select(IntVector condition, Vector yes, Vector no) {
  return condition ? yes : no;
}
inline Vector larger(Vector left, Vector right) {
  return left > right ? left : right;
}
inline Vector smaller(Vector left, Vector right) {
  return left < right ? left : right;
}

// Halves are folded onto each other, so the order of additions is fixed.
inline float sum_lanes(Vector values) {
#if defined(__AVX512F__)
  const auto half = __builtin_shufflevector(values, values, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(values, values, 8, 9, 10, 11, 12, 13, 14, 15);
  const auto quarter =
      __builtin_shufflevector(half, half, 0, 1, 2, 3) + __builtin_shufflevector(half, half, 4, 5, 6, 7);
#elif defined(__AVX2__)
  const auto quarter =
      __builtin_shufflevector(values, values, 0, 1, 2, 3) + __builtin_shufflevector(values, values, 4, 5, 6, 7);
#else
  const Vector quarter = values;
#endif
  const auto pair = quarter + __builtin_shufflevector(quarter, quarter, 2, 3, 0, 1);
  return pair[0] + pair[1];
}
inline float largest_lane(Vector values) {
  float lanes[kLanes];
  store(lanes, values);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; ++lane) {
      lanes[lane] = lanes[lane] > lanes[lane + width] ? lanes[lane] : lanes[lane + width];
    }
  }
  return lanes[0];
}

// e^x to about 1 unit in the last place; 0 below −87.3 (so also for −infinity), infinity above 88.7, NaN for NaN.
// x = n ln 2 + r with |r| ≤ ln 2 / 2; e^r by its Taylor polynomial, 2^n by building the exponent bits.
inline Vector exponential(Vector x) {
  const Vector bounded = smaller(larger(x, broadcast(-87.33F)), broadcast(88.72F));
  // Adding and subtracting 1.5·2^23 rounds to the nearest integer.
  constexpr float kRounder = 12582912.0F;
  const Vector shifted = bounded * 1.44269504F + kRounder;
  const Vector n = shifted - kRounder;
  const Vector r = (bounded - n * 0.693359375F) - n * -2.12194440e-4F;
  Vector polynomial = r * 1.3888889e-3F + 8.3333333e-3F;
  polynomial = polynomial * r + 4.1666667e-2F;
  polynomial = polynomial * r + 0.16666667F;
  polynomial = polynomial * r + 0.5F;
  polynomial = polynomial * (r * r) + r + 1.0F;
  // 2^n in two factors: n may be 128, whose own exponent does not exist.
  const IntVector exponent = __builtin_convertvector(n, IntVector);
  const IntVector half = exponent >> 1;
  const Vector first = reinterpret_cast<Vector>((half + 127) << 23);
  const Vector second = reinterpret_cast<Vector>((exponent - half + 127) << 23);
  const Vector value = polynomial * first * second;
  const Vector floored = select(x < -87.33F, broadcast(0.0F), value);
  const Vector bounded_above = select(x > 88.72F, broadcast(__builtin_inff()), floored);
  return select(x != x, x, bounded_above);
}

} // namespace
} // namespace assay
