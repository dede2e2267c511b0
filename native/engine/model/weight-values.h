// Weights as numbers on the host: from the narrower formats and back. Rounding to bf16 is to nearest even; int8 is
// symmetric with one scale an output channel, the largest magnitude over 127.
#pragma once

#include "engine/model/parameters.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace assay {

std::uint16_t to_bf16(float value);
float from_bf16(std::uint16_t bits);

// `tensor`'s values as (rows, columns) floats. `scales` is empty unless it is int8.
void decode_values(const StoredTensor& tensor, std::span<const std::byte> stored, std::span<const float> scales,
                   std::span<float> values);
void encode_values(const StoredTensor& tensor, std::span<const float> values, std::span<std::byte> stored,
                   std::span<float> scales);

} // namespace assay
