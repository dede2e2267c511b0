// Rounding to bf16 up or down by chance, so that what many small updates add up to is not lost: an update smaller than
// half a step of bf16 would otherwise never be seen. The chance is a function of seed, step and place alone.
#pragma once

#include "engine/base/philox.h"
#include "engine/ops/backend.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

namespace assay {

// As AdamWStep::stochastic_rounding defines it; `first` is the place of values[0] among all parameters.
inline void round_stochastically(std::span<const float> values, std::span<std::uint16_t> rounded, std::int64_t first,
                                 std::uint64_t seed, std::uint32_t step) {
  const PhiloxKey key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  std::int64_t drawn_group = -1;
  PhiloxCounter words{};
  for (std::size_t at = 0; at < values.size(); ++at) {
    const std::int64_t index = first + static_cast<std::int64_t>(at);
    if (index / 4 != drawn_group) {
      drawn_group = index / 4;
      words = philox4x32({static_cast<std::uint32_t>(drawn_group), 0, step, kRoundingSite}, key);
    }
    const auto bits = std::bit_cast<std::uint32_t>(values[at]);
    const bool goes_up = (words[static_cast<std::size_t>(index % 4)] & 0xFFFFU) < (bits & 0xFFFFU);
    const std::uint32_t moved = std::isnan(values[at]) ? bits | 0x400000U : bits + (goes_up ? 0x10000U : 0U);
    rounded[at] = static_cast<std::uint16_t>(moved >> 16);
  }
}

} // namespace assay
