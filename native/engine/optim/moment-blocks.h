// Moments in 8-bit blocks to floats and back, on the host: what checkpoints and inspection need. A block is
// kMomentBlock values, the last of a run may be shorter, and has one scale.
//
// Encoding takes the scale from the value of the largest magnitude, with its sign, so that this one is kept exactly;
// all others become the nearest value of the data type (moment-codes.h). A second moment that is not 0 never becomes
// 0: the step divides by its root. Encoding what decoding gave finds the same codes and scales again, so that a
// checkpoint in floats resumes exactly.
#pragma once

#include "engine/ops/backend.h"

#include <cstdint>
#include <span>

namespace assay {

enum class Moment : std::uint8_t { kFirst, kSecond };

// Scales that `count` values need.
constexpr std::int64_t moment_block_count(std::int64_t count) {
  return (count + kMomentBlock - 1) / kMomentBlock;
}

void encode_moments(Moment moment, std::span<const float> values, std::uint8_t* codes, float* scales);
void decode_moments(Moment moment, const std::uint8_t* codes, const float* scales, std::span<float> values);

} // namespace assay
