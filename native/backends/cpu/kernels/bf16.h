// fp32 to bf16 and back, one value at a time, in a form that the compiler turns into vectors.
#pragma once

#include <cstdint>

namespace assay {
namespace {

// To nearest, ties to even. A NaN stays one: its quiet bit is set, since rounding could carry it to infinity.
inline std::uint16_t to_bf16(float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t rounded = bits + 0x7FFFU + ((bits >> 16) & 1U);
  const std::uint32_t quiet = bits | 0x400000U;
  return static_cast<std::uint16_t>(((bits & 0x7FFFFFFFU) > 0x7F800000U ? quiet : rounded) >> 16);
}

inline float from_bf16(std::uint16_t value) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(value) << 16);
}

} // namespace
} // namespace assay
