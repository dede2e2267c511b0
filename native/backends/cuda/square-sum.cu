// The sum of squares of a long run, in double, in an order that does not depend on the device: a fixed number of blocks
// at most, whose sums are added by one block.
#include "backends/cuda/access.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/reduce.h"

#include <algorithm>

namespace assay::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kMostBlocks = 2048;
constexpr int kWidth = 4;
constexpr int kAtOnce = 4; // groups; their squares are added in fp32 before they join the double

template <bool kIsPacked>
__global__ void __launch_bounds__(kThreads)
    square_sum_kernel(const float* values, std::int64_t count, double* block_sums) {
  __shared__ double shared[kThreads / 32];
  const std::int64_t groups = count / kWidth;
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  double total = 0.0;
  for (std::int64_t first = thread; first < groups; first += step * kAtOnce) {
    float own[kAtOnce][kWidth] = {};
#pragma unroll
    for (int g = 0; g < kAtOnce; ++g) {
      const std::int64_t at = (first + g * step) * kWidth;
      if (first + g * step < groups) {
        if constexpr (kIsPacked) {
          load_values(own[g], values + at);
        } else {
          for (int i = 0; i < kWidth; ++i) {
            own[g][i] = values[at + i];
          }
        }
      }
    }
    float squares = 0.0F;
#pragma unroll
    for (int g = 0; g < kAtOnce; ++g) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        squares += own[g][i] * own[g][i];
      }
    }
    total += static_cast<double>(squares);
  }
  if (thread < count - groups * kWidth) {
    const float value = values[groups * kWidth + thread];
    total += static_cast<double>(value * value);
  }
  total = team_sum<kThreads>(total, shared);
  if (threadIdx.x == 0) {
    block_sums[blockIdx.x] = total;
  }
}

__global__ void __launch_bounds__(kThreads) add_block_sums_kernel(const double* block_sums, int blocks, double* sum) {
  __shared__ double shared[kThreads / 32];
  double total = 0.0;
  for (int block = static_cast<int>(threadIdx.x); block < blocks; block += kThreads) {
    total += block_sums[block];
  }
  total = team_sum<kThreads>(total, shared);
  if (threadIdx.x == 0) {
    *sum += total;
  }
}

} // namespace

std::size_t square_sum_workspace() {
  return kMostBlocks * sizeof(double);
}

void square_sum(const KernelContext& context, const float* values, std::int64_t count, double* sum) {
  if (count == 0) {
    return;
  }
  check_workspace(context, square_sum_workspace());
  const auto blocks = static_cast<int>(
      std::clamp<std::int64_t>(divide_up(count, std::int64_t{kThreads} * kWidth * kAtOnce), 1, kMostBlocks));
  auto* block_sums = static_cast<double*>(context.workspace);
  const auto kernel = are_aligned(values) ? square_sum_kernel<true> : square_sum_kernel<false>;
  launch(context, kernel, grid_of(blocks), kThreads, 0, values, count, block_sums);
  launch(context, add_block_sums_kernel, 1, kThreads, 0, block_sums, blocks, sum);
}

} // namespace assay::cuda
