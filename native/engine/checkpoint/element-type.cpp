#include "engine/checkpoint/element-type.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace assay {

namespace {

static_assert(std::endian::native == std::endian::little, "elements are read as they lie in the file");

struct TypeSize {
  std::string_view name;
  std::uint64_t size_bytes;
};
constexpr std::array kTypes = {
    TypeSize{"F32", 4}, TypeSize{"F16", 2}, TypeSize{"BF16", 2}, TypeSize{"F64", 8},     TypeSize{"I64", 8},
    TypeSize{"I32", 4}, TypeSize{"I16", 2}, TypeSize{"I8", 1},   TypeSize{"U64", 8},     TypeSize{"U32", 4},
    TypeSize{"U16", 2}, TypeSize{"U8", 1},  TypeSize{"BOOL", 1}, TypeSize{"F8_E4M3", 1}, TypeSize{"F8_E5M2", 1},
};

template <typename Element, typename Convert>
void read_as(const std::byte* bytes, std::uint64_t stride, std::span<float> values, const Convert& convert) {
  for (std::size_t index = 0; index < values.size(); ++index) {
    Element element{};
    std::memcpy(&element, bytes + index * stride * sizeof(Element), sizeof(Element));
    values[index] = convert(element);
  }
}

// F64 beyond fp32's range becomes infinite instead of undefined.
float narrow(double value) {
  if (std::abs(value) > 0x1.fffffefffffffp+127) {
    return std::copysign(INFINITY, static_cast<float>(std::signbit(value) ? -1 : 1));
  }
  return static_cast<float>(value);
}

} // namespace

std::uint64_t element_bytes(std::string_view dtype) {
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeSize& each) { return each.name == dtype; });
  return type == kTypes.end() ? 0 : type->size_bytes;
}

bool is_float_type(std::string_view dtype) {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16" || dtype == "F64";
}

void read_floats(std::string_view dtype, const std::byte* bytes, std::uint64_t stride, std::span<float> values) {
  if (values.empty()) {
    return;
  }
  if (dtype == "F32") {
    if (stride == 1) {
      std::memcpy(values.data(), bytes, values.size_bytes());
    } else {
      read_as<float>(bytes, stride, values, [](float value) { return value; });
    }
  } else if (dtype == "F16") {
    read_as<std::uint16_t>(bytes, stride, values, half_to_float);
  } else if (dtype == "BF16") {
    read_as<std::uint16_t>(bytes, stride, values, [](std::uint16_t value) {
      return std::bit_cast<float>(static_cast<std::uint32_t>(value) << 16);
    });
  } else {
    read_as<double>(bytes, stride, values, narrow);
  }
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t wide_exponent = exponent == 0x1FU ? 0xFFU : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
  const std::uint32_t magnitude = bits & 0x7FFFFFFFU;
  if (magnitude > 0x7F800000U) {
    return static_cast<std::uint16_t>(sign | 0x7E00U);
  }
  // 65520 and above round to infinity.
  if (magnitude >= 0x477FF000U) {
    return static_cast<std::uint16_t>(sign | 0x7C00U);
  }
  if (magnitude < 0x38800000U) {
    // Below 2^-14: adding 0.5 leaves the count of 2^-24 steps, rounded by the processor, in the lowest bits.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5F;
    return static_cast<std::uint16_t>(sign | (std::bit_cast<std::uint32_t>(shifted) - 0x3F000000U));
  }
  const std::uint32_t odd = (magnitude >> 13) & 1U;
  return static_cast<std::uint16_t>(sign | ((magnitude + 0xFFFU + odd - (112U << 23)) >> 13));
}

std::uint16_t float_to_bfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {
    return static_cast<std::uint16_t>((bits >> 16) | 0x40U);
  }
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

} // namespace assay
