// A stable radix sort of row numbers by key, in one block: the rows of a batch are at most some ten thousands and are
// sorted once a batch. Every warp owns a run of rows; a pass over 8 bits of the key counts how many of each digit every
// warp has, turns the counts into places, and lets the warps place their rows, in order.
#include "backends/cuda/reduce.h"
#include "backends/cuda/row-order.h"

namespace assay::cuda {

namespace {

constexpr int kWarps = 32;
constexpr int kThreads = kWarps * 32;
constexpr int kDigits = 256;

__device__ __forceinline__ int count_bits(unsigned mask) {
#if defined(__CUDA_ARCH__)
  return __popc(mask);
#else
  return __builtin_popcount(mask);
#endif
}

// The lanes whose digit is this lane's; lanes without a row have none.
__device__ __forceinline__ unsigned lanes_alike(unsigned digit, bool has_row) {
  unsigned alike = __ballot_sync(kAllLanes, has_row);
#pragma unroll
  for (int bit = 0; bit < 8; ++bit) {
    const bool is_set = ((digit >> bit) & 1U) != 0U;
    const unsigned set = __ballot_sync(kAllLanes, is_set);
    alike &= is_set ? set : ~set;
  }
  return alike;
}

__global__ void __launch_bounds__(kThreads)
    order_rows_kernel(const std::int32_t* keys, std::int64_t rows, std::int32_t* order, std::int32_t* scratch) {
  __shared__ int places[kWarps][kDigits];
  __shared__ int digit_totals[kDigits];
  __shared__ unsigned used_bits[kWarps];
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const std::int64_t own_rows = ((rows + kWarps - 1) / kWarps + 31) / 32 * 32;
  const std::int64_t begin = warp * own_rows;
  const std::int64_t end = begin + own_rows < rows ? begin + own_rows : rows;

  // Digits that are 0 in every key need no pass.
  unsigned bits = 0;
  for (std::int64_t row = threadIdx.x; row < rows; row += kThreads) {
    bits |= static_cast<unsigned>(keys[row]);
  }
  for (int offset = 16; offset > 0; offset /= 2) {
    bits |= __shfl_xor_sync(kAllLanes, bits, offset);
  }
  if (lane == 0) {
    used_bits[warp] = bits;
  }
  __syncthreads();
  bits = 0;
  for (int i = 0; i < kWarps; ++i) {
    bits |= used_bits[i];
  }
  int passes = 1;
  while (passes < 4 && (bits >> (8 * passes)) != 0U) {
    ++passes;
  }

  // The passes swap two buffers so that the last writes to `order`. The first reads rows in their own order.
  for (int pass = 0; pass < passes; ++pass) {
    std::int32_t* target = (passes - pass) % 2 == 1 ? order : scratch;
    const std::int32_t* source = target == order ? scratch : order;
    const auto row_at = [&](std::int64_t place) {
      return pass == 0 ? static_cast<std::int32_t>(place) : source[place];
    };
    const auto digit_of = [&](std::int32_t row) {
      return (static_cast<unsigned>(keys[row]) >> (8 * pass)) & (kDigits - 1U);
    };
    for (int digit = lane; digit < kDigits; digit += 32) {
      places[warp][digit] = 0;
    }
    __syncwarp();
    for (std::int64_t first = begin; first < end; first += 32) {
      const bool has_row = first + lane < end;
      const unsigned digit = has_row ? digit_of(row_at(first + lane)) : 0U;
      const unsigned alike = lanes_alike(digit, has_row);
      if (has_row && (alike >> lane) == 1U) { // the last of its kind counts for all
        places[warp][digit] += count_bits(alike);
      }
      __syncwarp();
    }
    __syncthreads();
    if (threadIdx.x < kDigits) {
      int total = 0;
      for (int i = 0; i < kWarps; ++i) {
        const int count = places[i][threadIdx.x];
        places[i][threadIdx.x] = total;
        total += count;
      }
      digit_totals[threadIdx.x] = total;
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      int before = 0;
      for (int digit = 0; digit < kDigits; ++digit) {
        const int total = digit_totals[digit];
        digit_totals[digit] = before;
        before += total;
      }
    }
    __syncthreads();
    for (std::int64_t first = begin; first < end; first += 32) {
      const bool has_row = first + lane < end;
      const std::int32_t row = has_row ? row_at(first + lane) : 0;
      const unsigned digit = has_row ? digit_of(row) : 0U;
      const unsigned alike = lanes_alike(digit, has_row);
      const int ahead = count_bits(alike & ((1U << lane) - 1U));
      if (has_row) {
        target[digit_totals[digit] + places[warp][digit] + ahead] = row;
      }
      __syncwarp();
      if (has_row && (alike >> lane) == 1U) {
        places[warp][digit] += ahead + 1;
      }
      __syncwarp();
    }
    __syncthreads();
  }
}

} // namespace

void order_rows(const KernelContext& context, const std::int32_t* keys, std::int64_t rows, std::int32_t* order,
                std::int32_t* scratch) {
  launch(context, order_rows_kernel, 1, kThreads, 0, keys, rows, order, scratch);
}

} // namespace assay::cuda
