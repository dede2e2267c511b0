// Sums over the rows of a matrix, which gradients of biases are, with the slope of an activation on the way where one
// is due. A block sums a piece of the rows for some columns, each of its warps every eighth row; the pieces' sums go to
// the workspace and are added in order.
#include "backends/cuda/access.h"
#include "backends/cuda/activation.h"
#include "backends/cuda/kernels.h"

#include <algorithm>

namespace assay::cuda {

namespace {

constexpr int kWarps = 8;
constexpr int kThreads = 32 * kWarps;
constexpr int kAtOnce = 4;          // rows a warp has on their way
constexpr std::int64_t kBlocks = 8; // a multiprocessor
constexpr std::int64_t kBlockColumns = 32 * kPackedWidth<Bf16>;

// With an activation `values` are multiplied by its slope at `inputs`, in place.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    sum_pieces_kernel(T* values, const T* inputs, Activation activation, std::int64_t rows, std::int64_t columns,
                      std::int64_t stride, std::int64_t piece_rows, float* piece_sums) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const std::int64_t column = (std::int64_t{blockIdx.x} * 32 + lane) * kWidth;
  const std::int64_t begin = std::int64_t{blockIdx.y} * piece_rows;
  const std::int64_t end = begin + piece_rows < rows ? begin + piece_rows : rows;
  float sums[kWidth] = {};
  if (column < columns) {
    for (std::int64_t first = begin + warp; first < end; first += kWarps * kAtOnce) {
      // All that is read is asked for before anything is written.
      float own[kAtOnce][kWidth];
      float input[kAtOnce][kWidth];
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const std::int64_t row = first + i * kWarps;
        if (row < end) {
          load_values(own[i], values + row * stride + column);
          if (inputs != nullptr) {
            load_values<Reuse::kNever>(input[i], inputs + row * stride + column);
          }
        }
      }
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) {
        const std::int64_t row = first + i * kWarps;
        if (row < end) {
          if (inputs != nullptr) {
#pragma unroll
            for (int c = 0; c < kWidth; ++c) {
              own[i][c] *= activation_slope(activation, input[i][c]);
            }
            store_values(values + row * stride + column, own[i]);
          }
#pragma unroll
          for (int c = 0; c < kWidth; ++c) {
            sums[c] += own[i][c];
          }
        }
      }
    }
  }
  __shared__ float shared[kWarps][kWidth][32];
#pragma unroll
  for (int c = 0; c < kWidth; ++c) {
    shared[warp][c][lane] = sums[c];
  }
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 32 * kWidth; i += kThreads) {
    const std::int64_t own_column = std::int64_t{blockIdx.x} * 32 * kWidth + i;
    if (own_column < columns) {
      float sum = 0.0F;
      for (int w = 0; w < kWarps; ++w) {
        sum += shared[w][i % kWidth][i / kWidth];
      }
      piece_sums[std::int64_t{blockIdx.y} * columns + own_column] = sum;
    }
  }
}

// 32 columns a block; each of its 8 warps takes every eighth piece.
__global__ void __launch_bounds__(kThreads) join_pieces_kernel(const float* piece_sums, std::int64_t pieces,
                                                               std::int64_t columns, float* sums, bool accumulate) {
  __shared__ float shared[kWarps][32];
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int warp = static_cast<int>(threadIdx.x / 32);
  const std::int64_t column = std::int64_t{blockIdx.x} * 32 + lane;
  float sum = 0.0F;
  if (column < columns) {
    for (std::int64_t piece = warp; piece < pieces; piece += kWarps) {
      sum += piece_sums[piece * columns + column];
    }
  }
  shared[warp][lane] = sum;
  __syncthreads();
  if (warp == 0 && column < columns) {
    sum = 0.0F;
    for (int w = 0; w < kWarps; ++w) {
      sum += shared[w][lane];
    }
    sums[column] = accumulate ? sums[column] + sum : sum;
  }
}

// Rows of a piece: enough pieces for some blocks a multiprocessor, none shorter than what a block has on its way.
std::int64_t piece_rows_of(std::int64_t rows, std::int64_t columns, int multiprocessors) {
  const std::int64_t pieces = std::max<std::int64_t>(kBlocks * multiprocessors / divide_up(columns, kBlockColumns), 1);
  return std::max<std::int64_t>(divide_up(divide_up(rows, pieces), kWarps * kAtOnce), 1) * kWarps * kAtOnce;
}

void sum_columns(const KernelContext& context, Values values, ConstValues inputs, Activation activation,
                 std::int64_t rows, std::int64_t columns, std::int64_t stride, float* sums, bool accumulate) {
  check_workspace(context, column_sums_workspace(rows, columns, context.multiprocessors));
  auto* piece_sums = static_cast<float*>(context.workspace);
  const std::int64_t piece_rows = piece_rows_of(rows, columns, context.multiprocessors);
  const std::int64_t pieces = divide_up(rows, piece_rows);
  if (pieces > 0) {
    with_type(values.type, [&](auto type) {
      using T = decltype(type);
      constexpr int kWidth = kPackedWidth<T>;
      const bool is_packed = columns % kWidth == 0 && stride % kWidth == 0 && are_aligned(values.data, inputs.data);
      const auto kernel = is_packed ? sum_pieces_kernel<T, kWidth> : sum_pieces_kernel<T, 1>;
      launch(context, kernel, grid_of(divide_up(columns, 32 * (is_packed ? kWidth : 1)), pieces), kThreads, 0,
             pointer<T>(values), pointer<T>(inputs), activation, rows, columns, stride, piece_rows, piece_sums);
    });
  }
  launch(context, join_pieces_kernel, grid_of(divide_up(columns, 32)), kThreads, 0, piece_sums, pieces, columns, sums,
         accumulate);
}

} // namespace

// An upper bound that grows with rows and columns, so that a plan for the largest call does for all: fewer rows may be
// cut into more pieces.
std::size_t column_sums_workspace(std::int64_t rows, std::int64_t columns, int multiprocessors) {
  const std::int64_t by_rows = divide_up(rows, kWarps * kAtOnce) * columns;
  const std::int64_t by_blocks = std::max(kBlocks * multiprocessors * kBlockColumns, columns);
  return static_cast<std::size_t>(std::min(by_rows, by_blocks)) * sizeof(float);
}

void column_sums(const KernelContext& context, ConstValues values, std::int64_t rows, std::int64_t columns,
                 std::int64_t stride, float* sums, bool accumulate) {
  // Without an activation the kernel does not write.
  sum_columns(context, Values(const_cast<void*>(values.data), values.type), nullptr, Activation::kNone, rows, columns,
              stride, sums, accumulate);
}

void activation_backward_with_bias(const KernelContext& context, Values gradient, ConstValues pre_activation,
                                   std::int64_t rows, std::int64_t columns, Activation activation, float* d_bias,
                                   bool accumulate) {
  sum_columns(context, gradient, activation == Activation::kNone ? ConstValues(nullptr) : pre_activation, activation,
              rows, columns, columns, d_bias, accumulate);
}

} // namespace assay::cuda
