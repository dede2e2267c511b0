// Sums over a team of threads, which is a warp or a whole block, always in the same order: equal inputs give equal
// bits.
#pragma once

#include "backends/cuda/vector.h"

namespace assay::cuda {

// The sum over a block of kThreads, in every thread. `shared` holds kThreads / 32 numbers; a second call may follow at
// once. A block of one warp needs none and does not synchronise, so its warps may be others' blocks.
template <int kThreads, class Number> __device__ __forceinline__ Number team_sum(Number value, Number* shared) {
  value = warp_sum(value);
  if constexpr (kThreads > 32) {
    if (threadIdx.x % 32 == 0) {
      shared[threadIdx.x / 32] = value;
    }
    __syncthreads();
    value = Number{};
#pragma unroll
    for (int warp = 0; warp < kThreads / 32; ++warp) {
      value += shared[warp];
    }
    __syncthreads();
  }
  return value;
}

// Two sums at the cost of one.
template <int kThreads> __device__ __forceinline__ void team_sums(float& first, float& second, float* shared) {
  first = warp_sum(first);
  second = warp_sum(second);
  if constexpr (kThreads > 32) {
    constexpr int kWarps = kThreads / 32;
    if (threadIdx.x % 32 == 0) {
      shared[threadIdx.x / 32] = first;
      shared[kWarps + threadIdx.x / 32] = second;
    }
    __syncthreads();
    first = 0.0F;
    second = 0.0F;
#pragma unroll
    for (int warp = 0; warp < kWarps; ++warp) {
      first += shared[warp];
      second += shared[kWarps + warp];
    }
    __syncthreads();
  }
}

} // namespace assay::cuda
