// Which tiles of keys a block of queries visits, and in which of them a mask is to be applied.
#pragma once

#include "backends/cuda/attention-arguments.h"

namespace assay::cuda {

// Keys that any of the block's queries sees, and those that all of them see.
struct BlockRanges {
  KeyRange any, all;
};

// visible(row, take) calls take(range) for each row of the block that is a query.
template <class Engine, class Visible> __device__ __forceinline__ BlockRanges block_ranges(const Visible& visible) {
  constexpr int kWarps = Engine::kThreads / 32;
  __shared__ int parts[4 * kWarps];
  KeyRange any{kLargestInt, 0};
  KeyRange all{0, kLargestInt};
  for (int row = static_cast<int>(threadIdx.x); row < Engine::kRows; row += Engine::kThreads) {
    visible(row, [&](const KeyRange& seen) {
      all.begin = seen.begin > all.begin ? seen.begin : all.begin;
      all.end = seen.end < all.end ? seen.end : all.end;
      if (seen.begin < seen.end) {
        any.begin = seen.begin < any.begin ? seen.begin : any.begin;
        any.end = seen.end > any.end ? seen.end : any.end;
      }
    });
  }
  const auto merge = [&](int any_begin, int any_end, int all_begin, int all_end) {
    any.begin = any_begin < any.begin ? any_begin : any.begin;
    any.end = any_end > any.end ? any_end : any.end;
    all.begin = all_begin > all.begin ? all_begin : all.begin;
    all.end = all_end < all.end ? all_end : all.end;
  };
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const int any_begin = __shfl_xor_sync(0xFFFFFFFFU, any.begin, step);
    const int any_end = __shfl_xor_sync(0xFFFFFFFFU, any.end, step);
    const int all_begin = __shfl_xor_sync(0xFFFFFFFFU, all.begin, step);
    const int all_end = __shfl_xor_sync(0xFFFFFFFFU, all.end, step);
    merge(any_begin, any_end, all_begin, all_end);
  }
  if (threadIdx.x % 32 == 0) {
    int* part = parts + threadIdx.x / 32 * 4;
    part[0] = any.begin;
    part[1] = any.end;
    part[2] = all.begin;
    part[3] = all.end;
  }
  __syncthreads();
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    merge(parts[warp * 4], parts[warp * 4 + 1], parts[warp * 4 + 2], parts[warp * 4 + 3]);
  }
  return {any, all};
}

} // namespace assay::cuda
