// Layer norm with the residual add and the dropout before it, forward. A team of threads (one warp where rows are
// short) keeps a row in registers, so that memory is read once and written once. The norm is taken of the residual sum
// as it is stored, which is what backward sees. Rows that do not fit, or cannot be read 16 bytes at a time, take a
// plain kernel.
#include "backends/cuda/access.h"
#include "backends/cuda/dropout.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/layer-norm.h"
#include "backends/cuda/reduce.h"

namespace assay::cuda {

namespace {

__device__ __forceinline__ void store_statistics(const LayerNormForward& call, std::int64_t row, float mean,
                                                 float inverse) {
  if (call.mean != nullptr) {
    call.mean[row] = mean;
    call.inverse_deviation[row] = inverse;
  }
}

template <class T, int kThreads>
__global__ void __launch_bounds__(kThreads* kRowsPerBlock<kThreads>)
    layer_norm_forward_kernel(LayerNormForward call, DropoutMask mask) {
  constexpr int kWidth = kPackedWidth<T>;
  __shared__ float shared[kThreads / 32];
  const int lane = static_cast<int>(threadIdx.x % kThreads);
  const std::int64_t row = std::int64_t{blockIdx.x} * kRowsPerBlock<kThreads> + threadIdx.x / kThreads;
  if (row >= call.rows) {
    return; // only where a team is one warp, which waits for no other
  }
  const std::int64_t channels = call.channels;
  const std::int64_t groups = channels / kWidth;
  const T* residual = static_cast<const T*>(call.residual.data) + row * channels;
  const T* branch = call.branch.data != nullptr ? static_cast<const T*>(call.branch.data) + row * channels : nullptr;
  // All that is read is asked for before anything is written.
  float values[kGroups][kWidth];
  Packed<T> branches[kGroups];
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::int64_t group = lane + g * kThreads;
    if (group < groups) {
      load_values<Reuse::kNever>(values[g], residual + group * kWidth);
      if (branch != nullptr) {
        branches[g] = load_packed_streaming(branch + group * kWidth);
      }
    }
  }
  if (branch != nullptr) {
    T* sums = static_cast<T*>(call.residual_output.data) + row * channels;
    const auto sample = static_cast<std::uint32_t>(row / call.rows_per_sample);
    const auto first_element = row % call.rows_per_sample * channels;
#pragma unroll
    for (int g = 0; g < kGroups; ++g) {
      const std::int64_t group = lane + g * kThreads;
      if (group < groups) {
        float more[kWidth];
        widen(more, branches[g]);
        apply_dropout(more, mask, sample, first_element + group * kWidth);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          values[g][i] = to_float(from_float<T>(values[g][i] + more[i]));
        }
        store_values(sums + group * kWidth, values[g]);
      }
    }
  }

  float sum = 0.0F;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    if (lane + g * kThreads < groups) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        sum += values[g][i];
      }
    }
  }
  const float mean = team_sum<kThreads>(sum, shared) / static_cast<float>(channels);
  // The variance from deviations, not from squares: it does not cancel when the mean is large.
  float squares = 0.0F;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    if (lane + g * kThreads < groups) {
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[g][i] -= mean;
        squares += values[g][i] * values[g][i];
      }
    }
  }
  const float variance = team_sum<kThreads>(squares, shared) / static_cast<float>(channels);
  const float inverse = 1.0F / sqrtf(variance + call.epsilon);
  T* output = static_cast<T*>(call.output.data) + row * channels;
#pragma unroll
  for (int g = 0; g < kGroups; ++g) {
    const std::int64_t group = lane + g * kThreads;
    if (group < groups) {
      float weight[kWidth];
      float bias[kWidth];
      load_values(weight, call.weight + group * kWidth);
      load_values(bias, call.bias + group * kWidth);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        values[g][i] = values[g][i] * inverse * weight[i] + bias[i];
      }
      store_values(output + group * kWidth, values[g]);
    }
  }
  if (lane == 0) {
    store_statistics(call, row, mean, inverse);
  }
}

// Any number of channels: a block a row, which reads it again for each of its passes.
template <class T>
__global__ void __launch_bounds__(kPlainThreads)
    layer_norm_forward_plain_kernel(LayerNormForward call, DropoutMask mask) {
  __shared__ float shared[kPlainThreads / 32];
  const std::int64_t row = blockIdx.x;
  const std::int64_t channels = call.channels;
  const T* input = static_cast<const T*>(call.residual.data) + row * channels;
  float sum = 0.0F;
  if (call.branch.data != nullptr) {
    const T* branch = static_cast<const T*>(call.branch.data) + row * channels;
    T* sums = static_cast<T*>(call.residual_output.data) + row * channels;
    for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
      float more[1] = {load(branch + c)};
      apply_dropout(more, mask, static_cast<std::uint32_t>(row / call.rows_per_sample),
                    row % call.rows_per_sample * channels + c);
      store(sums + c, load(input + c) + more[0]);
      sum += load(sums + c);
    }
    input = sums; // each thread goes on to read what it wrote
  } else {
    for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
      sum += load(input + c);
    }
  }
  const float mean = team_sum<kPlainThreads>(sum, shared) / static_cast<float>(channels);
  float squares = 0.0F;
  for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
    const float deviation = load(input + c) - mean;
    squares += deviation * deviation;
  }
  const float variance = team_sum<kPlainThreads>(squares, shared) / static_cast<float>(channels);
  const float inverse = 1.0F / sqrtf(variance + call.epsilon);
  T* output = static_cast<T*>(call.output.data) + row * channels;
  for (std::int64_t c = threadIdx.x; c < channels; c += kPlainThreads) {
    store(output + c, (load(input + c) - mean) * inverse * call.weight[c] + call.bias[c]);
  }
  if (threadIdx.x == 0) {
    store_statistics(call, row, mean, inverse);
  }
}

} // namespace

void layer_norm_forward(const KernelContext& context, const LayerNormForward& call) {
  if (call.rows == 0) {
    return;
  }
  const DropoutMask mask = DropoutMask(call.dropout);
  with_type(call.output.type, [&](auto type) {
    using T = decltype(type);
    const bool is_packed = are_aligned(call.residual.data, call.branch.data, call.residual_output.data,
                                       call.output.data, call.weight, call.bias);
    const bool has_team = is_packed && with_team<T>(call.channels, [&](auto threads) {
                            constexpr int kThreads = decltype(threads)::value;
                            constexpr int kRows = kRowsPerBlock<kThreads>;
                            launch(context, layer_norm_forward_kernel<T, kThreads>,
                                   grid_of(divide_up(call.rows, kRows)), kThreads * kRows, 0, call, mask);
                          });
    if (!has_team) {
      launch(context, layer_norm_forward_plain_kernel<T>, grid_of(call.rows), kPlainThreads, 0, call, mask);
    }
  });
}

} // namespace assay::cuda
