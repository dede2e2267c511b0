// The element types of tensors in files, under safetensors' names, and their conversion to and from fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace assay {

// Bytes an element; 0 for a type that is not known.
std::uint64_t element_bytes(std::string_view dtype);

// F32, F16, BF16 and F64: what weights are read from.
bool is_float_type(std::string_view dtype);

// Widens (or, from F64, rounds) values.size() elements that lie `stride` elements apart, beginning at `bytes`; nothing
// needs to be aligned. `dtype` must be a float type and the bytes must be there.
void read_floats(std::string_view dtype, const std::byte* bytes, std::uint64_t stride, std::span<float> values);

float half_to_float(std::uint16_t half);
// To the nearest, ties to even; beyond F16's range to infinity.
std::uint16_t float_to_half(float value);
// To the nearest, ties to even; what is not a number stays so.
std::uint16_t float_to_bfloat16(float value);

} // namespace assay
