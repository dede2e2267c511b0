// A linear layer on at most 16 rows, which is what decoding costs: every weight comes from memory once, and memory sets
// the pace. A block owns a strip of output columns; its warps take turns along the inputs, and their sums are joined in
// shared memory, in order, so that no second kernel is needed. A row's sum does not depend on the other rows.
//
// bf16 rows go through the tensor cores as a 16-row tile. Their product does not mind in which order inputs and columns
// come, as long as both operands agree, so lanes hold whatever a wide load gives them: lane (g, j) = (lane / 4, lane %
// 4) reads weights of inputs 4j … 4j + 3 of a step and of kColumns columns from g · kColumns on, and tile t of the
// product is made of the t-th column of every g. Other types are multiplied one by one.
#include "backends/cuda/access.h"
#include "backends/cuda/activation.h"
#include "backends/cuda/few-rows.h"
#include "backends/cuda/kernels.h"

#include "engine/base/error.h"

#include <string>

namespace assay::cuda {

namespace {

// From the sum to the output, for one value.
template <class T>
__device__ __forceinline__ void finish(const LinearForward& call, std::int64_t row, std::int64_t column, float sum) {
  float value = sum * call.scale;
  if (call.weight.type == DataType::kInt8) {
    value *= call.weight.scales[column];
  }
  T* output = static_cast<T*>(call.output.data) + row * call.out + column;
  if (call.add) {
    store(output, load(output) + value);
    return;
  }
  if (call.bias != nullptr) {
    value += call.bias[column];
  }
  if (call.pre_activation.data != nullptr) {
    store(static_cast<T*>(call.pre_activation.data) + row * call.out + column, value);
  }
  store(output, activation_value(call.activation, value));
}

// The block's sums, a strip of kStrip columns from `first` on, out of every warp's share of them.
template <class T, int kWarps, int kRows, int kStrip>
__device__ __forceinline__ void join_and_finish(const LinearForward& call, std::int64_t first,
                                                const float (&shares)[kWarps][kRows][kStrip]) {
  for (int i = static_cast<int>(threadIdx.x); i < static_cast<int>(call.rows) * kStrip; i += 32 * kWarps) {
    const int row = i / kStrip;
    const int column = i % kStrip;
    if (first + column < call.out) {
      float sum = 0.0F;
#pragma unroll
      for (int warp = 0; warp < kWarps; ++warp) {
        sum += shares[warp][row][column];
      }
      finish<T>(call, row, first + column, sum);
    }
  }
}

// --- tensor cores ---

template <int kWords> struct alignas(4 * kWords) Words { std::uint32_t words[kWords]; };

// Weights of one lane for a step of 16 inputs: kColumns columns of 4 inputs, in words as they are stored.
template <class W, int kColumns> struct StepWeights {
  static constexpr int kWords = kColumns * static_cast<int>(sizeof(W)) / 4;
  Words<kWords> inputs[4];

  __device__ __forceinline__ void load_from(const W* weights, std::int64_t stride, bool exists) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      inputs[i] = {};
      if (exists) {
        if constexpr (kWords == 4) {
          const auto group = load_packed_streaming(reinterpret_cast<const std::uint32_t*>(weights + i * stride));
#pragma unroll
          for (int word = 0; word < 4; ++word) {
            inputs[i].words[word] = group.values[word];
          }
        } else {
          inputs[i] = *reinterpret_cast<const Words<kWords>*>(weights + i * stride);
        }
      }
    }
  }

  // The fragments of all tiles.
  __device__ __forceinline__ void fragments(std::uint32_t (&b)[kColumns][2]) const {
#pragma unroll
    for (int word = 0; word < kWords; ++word) {
      if constexpr (sizeof(W) == 2) {
#pragma unroll
        for (int pair = 0; pair < 2; ++pair) {
          const std::uint32_t first = inputs[2 * pair].words[word];
          const std::uint32_t second = inputs[2 * pair + 1].words[word];
          b[2 * word][pair] = (first & 0xFFFFU) | (second << 16);
          b[2 * word + 1][pair] = (first >> 16) | (second & 0xFFFF0000U);
        }
      } else {
        float wide[4][4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          int8_values(wide[i], inputs[i].words[word]);
        }
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          b[4 * word + t][0] = pack_bf16(wide[0][t], wide[1][t]);
          b[4 * word + t][1] = pack_bf16(wide[2][t], wide[3][t]);
        }
      }
    }
  }
};

template <class W, int kColumns, int kWarps>
__global__ void __launch_bounds__(32 * kWarps, 16 / kWarps) tensor_kernel(LinearForward call) {
  constexpr int kStrip = 8 * kColumns;
  // Steps on their way: 128 bytes a lane, with which few blocks keep the memory busy.
  constexpr int kAhead = 128 / (4 * kColumns * static_cast<int>(sizeof(W)));
  __shared__ float shares[kWarps][16][kStrip];
  const int warp = static_cast<int>(threadIdx.x / 32);
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int j = static_cast<int>(threadIdx.x % 4);
  const std::int64_t first = std::int64_t{blockIdx.x} * kStrip;
  const std::int64_t column = first + g * kColumns;
  const bool has_column = column < call.out;
  const W* weights = static_cast<const W*>(call.weight.values) + column;
  const Bf16* input = static_cast<const Bf16*>(call.input.data);
  float sums[kColumns][4] = {};

  const auto load_inputs = [&](std::int64_t row, std::int64_t at) {
    return row < call.rows && at < call.in ? *reinterpret_cast<const Words<2>*>(input + row * call.in + at)
                                           : Words<2>{};
  };
  // The weights of the next steps are on their way while these are multiplied.
  constexpr std::int64_t kStride = kWarps * kAhead * 16;
  StepWeights<W, kColumns> ahead[kAhead];
  const auto load_ahead = [&](std::int64_t step) {
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      const std::int64_t at = step + s * kWarps * 16 + 4 * j;
      ahead[s].load_from(weights + at * call.out, call.out, has_column && at < call.in);
    }
  };
  load_ahead(warp * 16);
  for (std::int64_t step = warp * 16; step < call.in; step += kStride) {
    StepWeights<W, kColumns> current[kAhead];
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      current[s] = ahead[s];
    }
    load_ahead(step + kStride);
#pragma unroll
    for (int s = 0; s < kAhead; ++s) {
      const std::int64_t at = step + s * kWarps * 16 + 4 * j;
      const Words<2> upper = load_inputs(g, at);
      const Words<2> lower = load_inputs(g + 8, at);
      const std::uint32_t a[4] = {upper.words[0], lower.words[0], upper.words[1], lower.words[1]};
      std::uint32_t b[kColumns][2];
      current[s].fragments(b);
#pragma unroll
      for (int t = 0; t < kColumns; ++t) {
        mma_m16n8k16_bf16(sums[t], a, b[t]);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kColumns; ++t) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      shares[warp][g][(2 * j + half) * kColumns + t] = sums[t][half];
      shares[warp][g + 8][(2 * j + half) * kColumns + t] = sums[t][2 + half];
    }
  }
  __syncthreads();
  join_and_finish<Bf16>(call, first, shares);
}

template <class W> void run_tensor(const KernelContext& context, const LinearForward& call) {
  if (divide_up(call.out, 64) >= context.multiprocessors && call.out % 8 == 0) {
    launch(context, tensor_kernel<W, 8, 8>, grid_of(divide_up(call.out, 64)), 256, 0, call);
  } else {
    // Wide strips would leave multiprocessors idle. The busy ones get twice the warps.
    launch(context, tensor_kernel<W, 4, 16>, grid_of(divide_up(call.out, 32)), 512, 0, call);
  }
}

// --- one by one ---

// kLanes lanes go along the columns, kWidth each; the rest of the block goes along the inputs.
constexpr int kLanes = 8;
constexpr int kPlainWarps = 8;
constexpr int kPlainThreads = 32 * kPlainWarps;

template <class T, class W, int kWidth, int kRows>
__global__ void __launch_bounds__(kPlainThreads) plain_kernel(LinearForward call) {
  constexpr int kStrip = kLanes * kWidth;
  constexpr int kChunk = 2048 / kRows; // inputs of all rows that wait in shared memory
  constexpr int kSlots = kPlainThreads / kLanes;
  __shared__ float inputs[kChunk][kRows];
  __shared__ float shares[kPlainWarps][kRows][kStrip];
  const int lane = static_cast<int>(threadIdx.x % kLanes);
  const int slot = static_cast<int>(threadIdx.x / kLanes);
  const std::int64_t first = std::int64_t{blockIdx.x} * kStrip;
  const std::int64_t column = first + lane * kWidth;
  const W* weights = static_cast<const W*>(call.weight.values) + column;
  float sums[kRows][kWidth] = {};
  for (std::int64_t begin = 0; begin < call.in; begin += kChunk) {
    const int here = call.in - begin < kChunk ? static_cast<int>(call.in - begin) : kChunk;
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kChunk; i += kPlainThreads) {
      const int row = i / kChunk;
      const int at = i % kChunk;
      inputs[at][row] = row < call.rows && at < here
                            ? load(static_cast<const T*>(call.input.data) + row * call.in + begin + at)
                            : 0.0F;
    }
    __syncthreads();
    for (int at = slot; at < here && column < call.out; at += kSlots) {
      float weight[kWidth];
      load_values<Reuse::kNever>(weight, weights + (begin + at) * call.out);
#pragma unroll
      for (int row = 0; row < kRows; ++row) {
        const float input = inputs[at][row];
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          sums[row][i] += input * weight[i];
        }
      }
    }
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      float sum = sums[row][i];
#pragma unroll
      for (int distance = kLanes; distance < 32; distance *= 2) {
        sum += __shfl_xor_sync(kAllLanes, sum, distance);
      }
      if (threadIdx.x % 32 < kLanes) {
        shares[threadIdx.x / 32][row][lane * kWidth + i] = sum;
      }
    }
  }
  __syncthreads();
  join_and_finish<T>(call, first, shares);
}

template <class T, class W> void run_plain(const KernelContext& context, const LinearForward& call) {
  constexpr int kWidth = sizeof(W) == 1 ? 4 : kPackedWidth<W>;
  const auto run = [&](auto width) {
    constexpr int kOwnWidth = decltype(width)::value;
    const auto kernel = call.rows <= 4 ? plain_kernel<T, W, kOwnWidth, 4> : plain_kernel<T, W, kOwnWidth, 16>;
    launch(context, kernel, grid_of(divide_up(call.out, kLanes * kOwnWidth)), kPlainThreads, 0, call);
  };
  if (call.out % kWidth == 0 && are_aligned(call.weight.values)) {
    run(std::integral_constant<int, kWidth>{});
  } else {
    run(std::integral_constant<int, 1>{});
  }
}

} // namespace

void linear_few_rows(const KernelContext& context, const LinearForward& call) {
  if (call.rows > kFewRows) {
    throw Error("BAD_ARGUMENT", "A product of " + std::to_string(call.rows) + " rows is no product of few rows; " +
                                    std::to_string(kFewRows) + " are the most.");
  }
  if (call.rows == 0 || call.out == 0) {
    return;
  }
  const bool is_packed = call.in % 4 == 0 && call.out % 4 == 0 && are_aligned(call.input.data, call.weight.values);
  if (is_packed && can_multiply_as_bf16(call.input.type, call.weight.type)) {
    if (call.weight.type == DataType::kBf16) {
      run_tensor<Bf16>(context, call);
    } else {
      run_tensor<std::int8_t>(context, call);
    }
    return;
  }
  with_type(call.input.type, [&](auto type) {
    using T = decltype(type);
    switch (call.weight.type) {
    case DataType::kF32:
      return run_plain<T, float>(context, call);
    case DataType::kBf16:
      return run_plain<T, Bf16>(context, call);
    case DataType::kInt8:
      return run_plain<T, std::int8_t>(context, call);
    }
  });
}

} // namespace assay::cuda
