// Rows and columns moved, added and widened: copies between matrices of different strides, chosen rows out of and into
// a matrix, a bias with its activation, and stored weights to plain ones. Threads of a block go along a row; blocks
// take rows a grid apart.
#include "backends/cuda/access.h"
#include "backends/cuda/activation.h"
#include "backends/cuda/kernels.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string>

namespace assay::cuda {

namespace {

constexpr int kThreads = 128;

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    copy_columns_kernel(T* target, std::int64_t target_stride, const T* source, std::int64_t source_stride,
                        std::int64_t rows, std::int64_t columns, bool adds) {
  const std::int64_t column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= columns) {
    return;
  }
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float values[kWidth];
    load_values(values, source + row * source_stride + column);
    if (adds) {
      float before[kWidth];
      load_values(before, target + row * target_stride + column);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[i] += before[i];
      }
    }
    store_values(target + row * target_stride + column, values);
  }
}

// target[indices[r]] += source[r], or target[r] = source[indices[r]].
template <class T, int kWidth, bool kScatters>
__global__ void __launch_bounds__(kThreads) indexed_rows_kernel(T* target, const T* source, const std::int32_t* indices,
                                                                std::int64_t rows, std::int64_t channels) {
  const std::int64_t column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= channels) {
    return;
  }
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const std::int64_t other = indices[row];
    float values[kWidth];
    load_values(values, source + (kScatters ? row : other) * channels + column);
    T* to = target + (kScatters ? other : row) * channels + column;
    if constexpr (kScatters) {
      float before[kWidth];
      load_values(before, to);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[i] += before[i];
      }
    }
    store_values(to, values);
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    bias_activation_kernel(T* values, const float* bias, std::int64_t rows, std::int64_t columns, Activation activation,
                           T* pre_activation) {
  const std::int64_t column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= columns) {
    return;
  }
  float own_bias[kWidth] = {};
  if (bias != nullptr) {
    load_values(own_bias, bias + column);
  }
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    float own[kWidth];
    load_values(own, values + row * columns + column);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      own[i] += own_bias[i];
    }
    if (pre_activation != nullptr) {
      store_values(pre_activation + row * columns + column, own);
    }
    if (activation != Activation::kNone) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        own[i] = activation_value(activation, own[i]);
      }
    }
    store_values(values + row * columns + column, own);
  }
}

template <class Source, class Target, int kWidth>
__global__ void __launch_bounds__(kThreads)
    dequantize_kernel(const Source* source, const float* scales, bool scales_by_row, Target* target, std::int64_t rows,
                      std::int64_t columns) {
  const std::int64_t column = (std::int64_t{blockIdx.y} * blockDim.x + threadIdx.x) * kWidth;
  if (column >= columns) {
    return;
  }
  float column_scales[kWidth];
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    column_scales[i] = scales != nullptr && !scales_by_row ? scales[column + i] : 1.0F;
  }
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) {
    const float row_scale = scales != nullptr && scales_by_row ? scales[row] : 1.0F;
    float values[kWidth];
    if constexpr (sizeof(Source) == 1) {
      // Widths fit the target; of so narrow a source that is half a group.
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[i] = static_cast<float>(source[row * columns + column + i]);
      }
    } else {
      load_values<Reuse::kNever>(values, source + row * columns + column);
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] *= column_scales[i] * row_scale;
    }
    store_values(target + row * columns + column, values);
  }
}

struct Shape {
  dim3 grid;
  unsigned threads;
};

// One block a row, as long as there are not very many.
Shape shape_of(std::int64_t rows, std::int64_t columns, int width) {
  const std::int64_t groups = divide_up(columns, width);
  const std::int64_t threads = std::min<std::int64_t>(divide_up(groups, 32) * 32, kThreads);
  return {grid_of(std::min<std::int64_t>(rows, 1 << 20), divide_up(groups, threads)), static_cast<unsigned>(threads)};
}

template <bool kScatters>
void indexed_rows(const KernelContext& context, Values target, ConstValues source, const std::int32_t* indices,
                  std::int64_t rows, std::int64_t channels) {
  if (rows == 0) {
    return;
  }
  with_type(target.type, [&](auto type) {
    using T = decltype(type);
    const bool is_packed = channels % kPackedWidth<T> == 0 && are_aligned(target.data, source.data);
    const auto kernel =
        is_packed ? indexed_rows_kernel<T, kPackedWidth<T>, kScatters> : indexed_rows_kernel<T, 1, kScatters>;
    const Shape shape = shape_of(rows, channels, is_packed ? kPackedWidth<T> : 1);
    launch(context, kernel, shape.grid, shape.threads, 0, pointer<T>(target), pointer<T>(source), indices, rows,
           channels);
  });
}

template <class Source>
void dequantize_from(const KernelContext& context, const WeightView& weight, std::int64_t rows, std::int64_t columns,
                     bool scales_by_row, Values output) {
  with_type(output.type, [&](auto type) {
    using Target = decltype(type);
    constexpr int kWidth = sizeof(Source) == 1 ? kPackedWidth<Target>
                                               : std::max(kPackedWidth<Target>, static_cast<int>(16 / sizeof(Source)));
    const bool is_packed = columns % kWidth == 0 && are_aligned(weight.values, output.data);
    const auto kernel = is_packed ? dequantize_kernel<Source, Target, kWidth> : dequantize_kernel<Source, Target, 1>;
    const Shape shape = shape_of(rows, columns, is_packed ? kWidth : 1);
    launch(context, kernel, shape.grid, shape.threads, 0, static_cast<const Source*>(weight.values),
           weight.type == DataType::kInt8 ? weight.scales : nullptr, scales_by_row, pointer<Target>(output), rows,
           columns);
  });
}

} // namespace

void check_workspace(const KernelContext& context, std::size_t size_bytes) {
  if (size_bytes > context.workspace_bytes) {
    throw Error("WORKSPACE_TOO_SMALL", "An operation needs " + std::to_string(size_bytes) + " bytes of workspace but " +
                                           std::to_string(context.workspace_bytes) +
                                           " were reserved; call reserve_workspace() with its shape first.");
  }
}

void copy_columns(const KernelContext& context, Values target, std::int64_t target_stride, ConstValues source,
                  std::int64_t source_stride, std::int64_t rows, std::int64_t columns, bool add) {
  if (rows == 0 || columns == 0) {
    return;
  }
  with_type(target.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const bool is_packed = columns % kWidth == 0 && target_stride % kWidth == 0 && source_stride % kWidth == 0 &&
                           are_aligned(target.data, source.data);
    const auto kernel = is_packed ? copy_columns_kernel<T, kWidth> : copy_columns_kernel<T, 1>;
    const Shape shape = shape_of(rows, columns, is_packed ? kWidth : 1);
    launch(context, kernel, shape.grid, shape.threads, 0, pointer<T>(target), target_stride, pointer<T>(source),
           source_stride, rows, columns, add);
  });
}

void gather_rows(const KernelContext& context, ConstValues source, const std::int32_t* indices, Values output,
                 std::int64_t rows, std::int64_t channels) {
  indexed_rows<false>(context, output, source, indices, rows, channels);
}

void scatter_add_rows(const KernelContext& context, ConstValues values, const std::int32_t* indices, Values target,
                      std::int64_t rows, std::int64_t channels) {
  indexed_rows<true>(context, target, values, indices, rows, channels);
}

void add_bias_activation(const KernelContext& context, Values values, const float* bias, std::int64_t rows,
                         std::int64_t columns, Activation activation, Values pre_activation_out) {
  if (rows == 0 || (bias == nullptr && activation == Activation::kNone && !pre_activation_out)) {
    return;
  }
  with_type(values.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const bool is_packed = columns % kWidth == 0 && are_aligned(values.data, bias, pre_activation_out.data);
    const auto kernel = is_packed ? bias_activation_kernel<T, kWidth> : bias_activation_kernel<T, 1>;
    Shape shape = shape_of(rows, columns, is_packed ? kWidth : 1);
    // Several rows a block, which then reads its bias once for all of them.
    shape.grid.x = static_cast<unsigned>(divide_up(rows, rows >= 4096 ? 8 : 1));
    launch(context, kernel, shape.grid, shape.threads, 0, pointer<T>(values), bias, rows, columns, activation,
           pointer<T>(pre_activation_out));
  });
}

void dequantize(const KernelContext& context, const WeightView& weight, std::int64_t rows, std::int64_t columns,
                bool scales_by_row, Values output) {
  switch (weight.type) {
  case DataType::kF32:
    return dequantize_from<float>(context, weight, rows, columns, scales_by_row, output);
  case DataType::kBf16:
    return dequantize_from<Bf16>(context, weight, rows, columns, scales_by_row, output);
  case DataType::kInt8:
    return dequantize_from<std::int8_t>(context, weight, rows, columns, scales_by_row, output);
  }
}

} // namespace assay::cuda
