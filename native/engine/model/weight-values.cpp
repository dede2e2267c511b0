#include "engine/model/weight-values.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

namespace assay {

std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40U); // stays not a number
  }
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float from_bf16(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

namespace {

// Index of the scale of element (row, column).
std::size_t channel_of(const StoredTensor& tensor, std::int64_t row, std::int64_t column) {
  return static_cast<std::size_t>(tensor.kind == ParameterKind::kEmbedding ? row : column);
}

} // namespace

void decode_values(const StoredTensor& tensor, std::span<const std::byte> stored, std::span<const float> scales,
                   std::span<float> values) {
  switch (tensor.type) {
  case DataType::kF32:
    std::memcpy(values.data(), stored.data(), values.size_bytes());
    return;
  case DataType::kBf16:
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint16_t bits = 0;
      std::memcpy(&bits, stored.data() + 2 * i, 2);
      values[i] = from_bf16(bits);
    }
    return;
  case DataType::kInt8:
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      for (std::int64_t column = 0; column < tensor.columns(); ++column) {
        const auto i = static_cast<std::size_t>(row * tensor.columns() + column);
        values[i] = scales[channel_of(tensor, row, column)] *
                    static_cast<float>(static_cast<std::int8_t>(std::to_integer<std::uint8_t>(stored[i])));
      }
    }
    return;
  }
}

void encode_values(const StoredTensor& tensor, std::span<const float> values, std::span<std::byte> stored,
                   std::span<float> scales) {
  switch (tensor.type) {
  case DataType::kF32:
    std::memcpy(stored.data(), values.data(), values.size_bytes());
    return;
  case DataType::kBf16:
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::uint16_t bits = to_bf16(values[i]);
      std::memcpy(stored.data() + 2 * i, &bits, 2);
    }
    return;
  case DataType::kInt8: {
    std::fill(scales.begin(), scales.end(), 0.0F);
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      for (std::int64_t column = 0; column < tensor.columns(); ++column) {
        float& largest = scales[channel_of(tensor, row, column)];
        largest = std::max(largest, std::fabs(values[static_cast<std::size_t>(row * tensor.columns() + column)]));
      }
    }
    for (float& scale : scales) {
      scale /= 127.0F;
    }
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      for (std::int64_t column = 0; column < tensor.columns(); ++column) {
        const auto i = static_cast<std::size_t>(row * tensor.columns() + column);
        const float scale = scales[channel_of(tensor, row, column)];
        const float code = scale > 0.0F ? std::clamp(std::nearbyint(values[i] / scale), -127.0F, 127.0F) : 0.0F;
        stored[i] = static_cast<std::byte>(static_cast<std::int8_t>(code));
      }
    }
    return;
  }
  }
}

} // namespace assay
