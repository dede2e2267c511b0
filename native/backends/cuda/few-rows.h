// What the products of few rows share.
#pragma once

#include "backends/cuda/ptx.h"

#include <cstdint>

namespace assay::cuda {

// Whether the tensor cores take these operands: activations of bf16, and weights that are exact in it.
inline bool can_multiply_as_bf16(DataType activations, DataType weights) {
  return activations == DataType::kBf16 && weights != DataType::kF32;
}

__device__ __forceinline__ std::uint32_t pack(Bf16 low, Bf16 high) {
  return std::uint32_t{low.bits} | (std::uint32_t{high.bits} << 16);
}

} // namespace assay::cuda
