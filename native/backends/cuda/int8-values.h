// Four int8 codes in a word, as floats: by bits and one subtraction, since conversions from integers run at a fraction
// of the rate that memory delivers codes at.
#pragma once

#include "backends/cuda/vector.h"

#include <cstdint>

namespace assay::cuda {

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
