// Layer norm's gradients in one pass over the rows: through the norm, with the gradients of a second user and of the
// residual, and out to the branch through its dropout. Each block takes rows a grid apart and sums its rows' gradients
// of weight and bias in registers; the blocks' sums go to the workspace and are added column by column, in order.
#include "backends/cuda/access.h"
#include "backends/cuda/dropout.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/layer-norm.h"
#include "backends/cuda/reduce.h"

#include <algorithm>

namespace assay::cuda {

namespace {

template <class T> __device__ __forceinline__ const T* row_of(const void* data, std::int64_t at) {
  return data != nullptr ? static_cast<const T*>(data) + at : nullptr;
}

// A block's sums: d_weight, then d_bias.
template <class T, int kThreads>
__global__ void __launch_bounds__(kThreads* kRowsPerBlock<kThreads>, kThreads <= 128 ? 3 : 1)
    layer_norm_backward_kernel(LayerNormBackward call, DropoutMask mask, float* block_sums) {
  constexpr int kWidth = kPackedWidth<T>;
  constexpr int kRows = kRowsPerBlock<kThreads>;
  __shared__ float shared[2 * kThreads / 32];
  const int lane = static_cast<int>(threadIdx.x % kThreads);
  const std::int64_t channels = call.channels;
  const std::int64_t groups = channels / kWidth;
  const float inverse_channels = 1.0F / static_cast<float>(channels);
  float weight_sums[kGroups][kWidth] = {};
  float bias_sums[kGroups][kWidth] = {};

  for (std::int64_t row = std::int64_t{blockIdx.x} * kRows + threadIdx.x / kThreads; row < call.rows;
       row += std::int64_t{gridDim.x} * kRows) {
    const std::int64_t at = row * channels;
    const T* input = static_cast<const T*>(call.input.data) + at;
    const T* d_output = static_cast<const T*>(call.d_output.data) + at;
    const T* d_output_2 = row_of<T>(call.d_output_2.data, at);
    const T* d_residual = row_of<T>(call.d_residual.data, at);
    const float mean = call.mean[row];
    const float inverse = call.inverse_deviation[row];
    Packed<T> inputs[kGroups];
    float upper[kGroups][kWidth]; // the gradient of the norm's output, then multiplied by the weight
    Packed<T> residuals[kGroups];
    // All that is read is asked for before anything is written.
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t group = lane + g * kThreads;
      if (group < groups) {
        inputs[g] = load_packed_streaming(input + group * kWidth);
        load_values<Reuse::kNever>(upper[g], d_output + group * kWidth);
        if (d_residual != nullptr) {
          residuals[g] = load_packed_streaming(d_residual + group * kWidth);
        }
      }
    }
    if (d_output_2 != nullptr) {
#pragma unroll
      for (int g = 0; g < kGroups; ++g) {
        const std::int64_t group = lane + g * kThreads;
        if (group < groups) {
          float more[kWidth];
          load_values<Reuse::kNever>(more, d_output_2 + group * kWidth);
#pragma unroll
          for (int i = 0; i < kWidth; ++i) {
            upper[g][i] += more[i];
          }
        }
      }
    }
    float sum = 0.0F;
    float dot = 0.0F;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t group = lane + g * kThreads;
      if (group < groups) {
        float weight[kWidth];
        load_values(weight, call.weight + group * kWidth);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float normalized = (to_float(inputs[g].values[i]) - mean) * inverse;
          weight_sums[g][i] += upper[g][i] * normalized;
          bias_sums[g][i] += upper[g][i];
          upper[g][i] *= weight[i];
          sum += upper[g][i];
          dot += upper[g][i] * normalized;
        }
      }
    }
    team_sums<kThreads>(sum, dot, shared);
    const float mean_sum = sum * inverse_channels;
    const float mean_dot = dot * inverse_channels;
    T* d_input = static_cast<T*>(call.d_residual_output.data) + at;
    const auto sample = static_cast<std::uint32_t>(row / call.rows_per_sample);
    const auto first_element = row % call.rows_per_sample * channels;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t group = lane + g * kThreads;
      if (group < groups) {
        float result[kWidth] = {};
        if (d_residual != nullptr) {
          widen(result, residuals[g]);
        }
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          const float normalized = (to_float(inputs[g].values[i]) - mean) * inverse;
          result[i] += (upper[g][i] - mean_sum - normalized * mean_dot) * inverse;
        }
        store_values(d_input + group * kWidth, result);
        if (call.d_branch.data != nullptr) {
          apply_dropout(result, mask, sample, first_element + group * kWidth);
          store_values(static_cast<T*>(call.d_branch.data) + at + group * kWidth, result);
        }
      }
    }
  }
  if (block_sums == nullptr) {
    return;
  }

  float* own_sums = block_sums + std::int64_t{blockIdx.x} * 2 * channels;
  if constexpr (kRows == 1) {
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t group = lane + g * kThreads;
      if (group < groups) {
        store_values(own_sums + group * kWidth, weight_sums[g]);
        store_values(own_sums + channels + group * kWidth, bias_sums[g]);
      }
    }
  } else {
    // The block's warps have the same columns; their sums are added warp by warp.
    constexpr int kColumns = kGroups * kThreads * kWidth;
    __shared__ float joined[2][kColumns];
    for (int warp = 0; warp < kRows; ++warp) {
      if (static_cast<int>(threadIdx.x / kThreads) == warp) {
#pragma unroll
        for (int g = 0; g < kGroups; ++g) {
#pragma unroll
          for (int i = 0; i < kWidth; ++i) {
            // Lane by lane, which keeps the banks apart.
            const int place = (g * kWidth + i) * kThreads + lane;
            joined[0][place] = (warp == 0 ? 0.0F : joined[0][place]) + weight_sums[g][i];
            joined[1][place] = (warp == 0 ? 0.0F : joined[1][place]) + bias_sums[g][i];
          }
        }
      }
      __syncthreads();
    }
    for (std::int64_t c = threadIdx.x; c < channels; c += kThreads * kRows) {
      const int group = static_cast<int>(c) / kWidth;
      const int place = (group / kThreads * kWidth + static_cast<int>(c) % kWidth) * kThreads + group % kThreads;
      own_sums[c] = joined[0][place];
      own_sums[channels + c] = joined[1][place];
    }
  }
}

// Any number of channels, without the sums.
template <class T>
__global__ void __launch_bounds__(kPlainThreads)
    layer_norm_backward_plain_kernel(LayerNormBackward call, DropoutMask mask) {
  __shared__ float shared[2 * kPlainThreads / 32];
  const std::int64_t row = blockIdx.x;
  const std::int64_t channels = call.channels;
  const std::int64_t at = row * channels;
  const T* input = static_cast<const T*>(call.input.data) + at;
  const T* d_output = static_cast<const T*>(call.d_output.data) + at;
  const T* d_output_2 = row_of<T>(call.d_output_2.data, at);
  const T* d_residual = row_of<T>(call.d_residual.data, at);
  const float mean = call.mean[row];
  const float inverse = call.inverse_deviation[row];
  const auto weighted_at = [&](std::int64_t c) {
    return (load(d_output + c) + (d_output_2 != nullptr ? load(d_output_2 + c) : 0.0F)) * call.weight[c];
  };
  float sum = 0.0F;
  float dot = 0.0F;
  for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
    const float weighted = weighted_at(c);
    sum += weighted;
    dot += weighted * (load(input + c) - mean) * inverse;
  }
  team_sums<kPlainThreads>(sum, dot, shared);
  const float mean_sum = sum / static_cast<float>(channels);
  const float mean_dot = dot / static_cast<float>(channels);
  for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
    const float normalized = (load(input + c) - mean) * inverse;
    float result[1] = {(weighted_at(c) - mean_sum - normalized * mean_dot) * inverse};
    if (d_residual != nullptr) {
      result[0] += load(d_residual + c);
    }
    store(static_cast<T*>(call.d_residual_output.data) + at + c, result[0]);
    if (call.d_branch.data != nullptr) {
      apply_dropout(result, mask, static_cast<std::uint32_t>(row / call.rows_per_sample),
                    row % call.rows_per_sample * channels + c);
      store(static_cast<T*>(call.d_branch.data) + at + c, result[0]);
    }
  }
}

// The plain kernel's sums: a thread a column, a block of them every so many rows.
template <class T>
__global__ void __launch_bounds__(kPlainThreads)
    layer_norm_sums_plain_kernel(LayerNormBackward call, float* block_sums) {
  const std::int64_t c = std::int64_t{blockIdx.y} * kPlainThreads + threadIdx.x;
  if (c >= call.channels) {
    return;
  }
  float weight_sum = 0.0F;
  float bias_sum = 0.0F;
  for (std::int64_t row = blockIdx.x; row < call.rows; row += gridDim.x) {
    const std::int64_t at = row * call.channels + c;
    float upper = load(static_cast<const T*>(call.d_output.data) + at);
    if (call.d_output_2.data != nullptr) {
      upper += load(static_cast<const T*>(call.d_output_2.data) + at);
    }
    const float input = load(static_cast<const T*>(call.input.data) + at);
    weight_sum += upper * (input - call.mean[row]) * call.inverse_deviation[row];
    bias_sum += upper;
  }
  float* own_sums = block_sums + std::int64_t{blockIdx.x} * 2 * call.channels;
  own_sums[c] = weight_sum;
  own_sums[call.channels + c] = bias_sum;
}

// Every column over the blocks: 32 columns a block, 8 of its threads a column.
constexpr int kJoinRows = 8;
__global__ void __launch_bounds__(32 * kJoinRows)
    join_sums_kernel(const float* block_sums, std::int64_t blocks, std::int64_t channels, float* d_weight,
                     float* d_bias, bool accumulate) {
  __shared__ float shared[kJoinRows][32];
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int slot = static_cast<int>(threadIdx.x / 32);
  const std::int64_t column = std::int64_t{blockIdx.x} * 32 + lane; // of 2 · channels
  float sum = 0.0F;
  if (column < 2 * channels) {
    for (std::int64_t block = slot; block < blocks; block += kJoinRows) {
      sum += block_sums[block * 2 * channels + column];
    }
  }
  shared[slot][lane] = sum;
  __syncthreads();
  if (slot == 0 && column < 2 * channels) {
    sum = 0.0F;
    for (int i = 0; i < kJoinRows; ++i) {
      sum += shared[i][lane];
    }
    float* target = column < channels ? d_weight + column : d_bias + (column - channels);
    *target = accumulate ? *target + sum : sum;
  }
}

// Blocks that take the rows; each leaves 2 · channels sums.
std::int64_t backward_blocks(std::int64_t rows, int multiprocessors) {
  return std::max<std::int64_t>(std::min<std::int64_t>(divide_up(rows, 4), 3LL * multiprocessors), 1);
}

} // namespace

std::size_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t channels, int multiprocessors) {
  return static_cast<std::size_t>(backward_blocks(rows, multiprocessors) * 2 * channels) * sizeof(float);
}

void layer_norm_backward(const KernelContext& context, const LayerNormBackward& call) {
  const bool is_frozen = call.d_weight == nullptr;
  if (!is_frozen) {
    check_workspace(context, layer_norm_backward_workspace(call.rows, call.channels, context.multiprocessors));
  }
  float* block_sums = is_frozen ? nullptr : static_cast<float*>(context.workspace);
  const std::int64_t blocks = backward_blocks(call.rows, context.multiprocessors);
  const DropoutMask mask = DropoutMask(call.dropout);
  with_type(call.d_output.type, [&](auto type) {
    using T = decltype(type);
    const bool is_packed = are_aligned(call.d_output.data, call.d_output_2.data, call.input.data, call.d_residual.data,
                                       call.d_residual_output.data, call.d_branch.data, call.weight, context.workspace);
    const bool has_team = is_packed && with_team<T>(call.channels, [&](auto threads) {
                            constexpr int kThreads = decltype(threads)::value;
                            launch(context, layer_norm_backward_kernel<T, kThreads>, grid_of(blocks),
                                   kThreads * kRowsPerBlock<kThreads>, 0, call, mask, block_sums);
                          });
    if (has_team) {
      return;
    }
    // The sums first: the gradient may be written over what they are taken of.
    if (!is_frozen) {
      launch(context, layer_norm_sums_plain_kernel<T>, grid_of(blocks, divide_up(call.channels, kPlainThreads)),
             kPlainThreads, 0, call, block_sums);
    }
    if (call.rows > 0) {
      launch(context, layer_norm_backward_plain_kernel<T>, grid_of(call.rows), kPlainThreads, 0, call, mask);
    }
  });
  if (!is_frozen) {
    launch(context, join_sums_kernel, grid_of(divide_up(2 * call.channels, 32)), 32 * kJoinRows, 0, block_sums, blocks,
           call.channels, call.d_weight, call.d_bias, call.accumulate);
  }
}

} // namespace assay::cuda
