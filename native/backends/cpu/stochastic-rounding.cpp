// Rounding to bf16 up or down by chance, so that what many small updates add up to is not lost: an update smaller than
// half a step of bf16 would otherwise never be seen. This is the definition that other backends are compared with.
#include "backends/cpu/cpu-backend-class.h"

#include "engine/base/philox.h"

#include <bit>
#include <cmath>

namespace assay {

void round_stochastically(const AdamWStep& call, std::int64_t first, std::int64_t count) {
  const PhiloxKey key = {static_cast<std::uint32_t>(call.seed), static_cast<std::uint32_t>(call.seed >> 32)};
  std::int64_t drawn_group = -1;
  PhiloxCounter words{};
  for (std::int64_t at = first; at < first + count; ++at) {
    const std::int64_t index = call.first_parameter + at;
    if (index / 4 != drawn_group) {
      drawn_group = index / 4;
      words = philox4x32({static_cast<std::uint32_t>(drawn_group), 0, call.step, kRoundingSite}, key);
    }
    const float value = call.parameters[at];
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const bool goes_up = (words[static_cast<std::size_t>(index % 4)] & 0xFFFFU) < (bits & 0xFFFFU);
    const std::uint32_t rounded = std::isnan(value) ? bits | 0x400000U : bits + (goes_up ? 0x10000U : 0U);
    call.bf16_parameters[at] = static_cast<std::uint16_t>(rounded >> 16);
  }
}

} // namespace assay
