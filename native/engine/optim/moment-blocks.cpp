#include "engine/optim/moment-blocks.h"

#include "engine/optim/moment-codes.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

// m of a magnitude in [0, 1]; the codes for 0 and 1 are the caller's.
int nearest_code(float magnitude, const MomentDecades& decades) {
  int z = 0;
  while (z + 1 < MomentDecades::kCount && magnitude < decades.below[z + 1]) {
    ++z;
  }
  const float steps = decades.steps[z];
  const float fraction = magnitude * decades.factor[z] - steps / 9.0F;
  return static_cast<int>(steps) + static_cast<int>(std::clamp(fraction, 0.0F, steps - 1.0F));
}

std::uint8_t first_code(float value) {
  const float magnitude = std::fabs(value);
  if (!(magnitude >= kFirstMomentDecades.zero_below)) {
    return 0;
  }
  if (value > kFirstMomentDecades.one_above) {
    return 128;
  }
  return static_cast<std::uint8_t>((value < 0.0F ? 128 : 0) + nearest_code(magnitude, kFirstMomentDecades));
}

std::uint8_t second_code(float value) {
  if (!(value > 0.0F)) {
    return 0;
  }
  return value > kSecondMomentDecades.one_above ? 1
                                                : static_cast<std::uint8_t>(nearest_code(value, kSecondMomentDecades));
}

} // namespace

void encode_moments(Moment moment, std::span<const float> values, std::uint8_t* codes, float* scales) {
  for (std::size_t begin = 0; begin < values.size(); begin += kMomentBlock) {
    const auto block = values.subspan(begin, std::min<std::size_t>(kMomentBlock, values.size() - begin));
    float scale = 0.0F;
    for (const float value : block) {
      scale = std::fabs(value) > std::fabs(scale) ? value : scale;
    }
    const bool is_zero = std::fabs(scale) < kSmallestMomentScale;
    const float inverse = is_zero ? 0.0F : 1.0F / scale;
    scales[begin / kMomentBlock] = is_zero ? 0.0F : scale;
    for (std::size_t i = 0; i < block.size(); ++i) {
      const float relative = block[i] * inverse;
      codes[begin + i] = moment == Moment::kFirst ? first_code(relative) : second_code(relative);
    }
  }
}

void decode_moments(Moment moment, const std::uint8_t* codes, const float* scales, std::span<float> values) {
  const MomentValues& table = moment == Moment::kFirst ? kFirstMomentValues : kSecondMomentValues;
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = table.values[codes[i]] * scales[i / kMomentBlock];
  }
}

} // namespace assay
