// What the products of few rows share.
#pragma once

#include "backends/cuda/ptx.h"

#include <cstdint>

namespace assay::cuda {

// Whether the tensor cores take these operands: activations of bf16, and weights that are exact in it.
inline bool can_multiply_as_bf16(DataType activations, DataType weights) {
  return activations == DataType::kBf16 && weights != DataType::kF32;
}

// Four int8 codes in a word, as floats: by bits and one subtraction, since conversions from integers run at a fraction
// of the rate that memory delivers codes at.
__device__ __forceinline__ void int8_values(float (&values)[4], std::uint32_t codes) {
  // A code plus 128 is a byte; behind the exponent of 2^23 it is 2^23 + code + 128.
  const std::uint32_t bytes = codes ^ 0x80808080U;
#pragma unroll
  for (unsigned i = 0; i < 4; ++i) {
#if defined(ASSAY_CUDA_EMULATION)
    const std::uint32_t bits = 0x4B000000U | ((bytes >> (8 * i)) & 0xFFU);
#else
    const std::uint32_t bits = __byte_perm(bytes, 0x4B000000U, 0x7540U | i);
#endif
    values[i] = __uint_as_float(bits) - 8388736.0F;
  }
}

} // namespace assay::cuda
