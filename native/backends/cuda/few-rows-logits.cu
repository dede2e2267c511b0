// Logits of at most 16 rows: hidden states times every row of the embedding, which comes from memory once. bf16 states
// go through the tensor cores: a warp takes some words, lane (g, j) = (lane / 4, lane % 4) reads 16 bytes of word g of
// each eight, from channel j · kRun on, and the states' channels in the same order, so that nothing needs rearranging.
// Other types: a warp a word, one by one.
#include "backends/cuda/access.h"
#include "backends/cuda/few-rows.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/reduce.h"

#include "engine/base/error.h"

#include <string>

namespace assay::cuda {

namespace {

constexpr int kWarps = 4;
constexpr int kThreads = 32 * kWarps;
// Tiles of eight words that a warp takes; of int8 a lane reads twice as many channels at a time.
template <class W> constexpr int kTilesOf = sizeof(W) == 1 ? 2 : 4;

struct Logits {
  const void* hidden; // (rows, channels)
  const void* weight; // (V, channels)
  const float* scales;
  const float* bias;
  float* output; // (rows, V)
  std::int64_t rows, channels, vocab_size;
};

__device__ __forceinline__ void store_logit(const Logits& call, std::int64_t row, std::int64_t word, float sum) {
  if (row < call.rows && word < call.vocab_size) {
    const float scaled = call.scales != nullptr ? sum * call.scales[word] : sum;
    call.output[row * call.vocab_size + word] = call.bias != nullptr ? scaled + call.bias[word] : scaled;
  }
}

// The fragments of a lane's run of weights, two a step of 16 channels.
__device__ __forceinline__ void fragments(std::uint32_t (&b)[2][2], const Packed<std::uint32_t>& run) {
#pragma unroll
  for (int word = 0; word < 4; ++word) {
    b[word / 2][word % 2] = run.values[word];
  }
}
__device__ __forceinline__ void fragments(std::uint32_t (&b)[4][2], const Packed<std::uint32_t>& run) {
#pragma unroll
  for (int word = 0; word < 4; ++word) {
    float wide[4];
    int8_values(wide, run.values[word]);
    b[word][0] = pack_bf16(wide[0], wide[1]);
    b[word][1] = pack_bf16(wide[2], wide[3]);
  }
}

template <class W> __global__ void __launch_bounds__(kThreads, 4) tensor_logits_kernel(Logits call) {
  constexpr int kRun = Packed<W>::kSize; // channels a load
  constexpr int kSteps = kRun / 4;
  constexpr int kTiles = kTilesOf<W>;
  const int g = static_cast<int>(threadIdx.x % 32 / 4);
  const int j = static_cast<int>(threadIdx.x % 4);
  const std::int64_t first_word = (std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32) * (8 * kTiles);
  const Bf16* hidden = static_cast<const Bf16*>(call.hidden);
  const W* weight = static_cast<const W*>(call.weight);
  float sums[kTiles][4] = {};
  // The weights of the next channels are on their way while these are multiplied.
  Packed<std::uint32_t> ahead[kTiles];
  const auto load_ahead = [&](std::int64_t at) {
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      const std::int64_t word = first_word + 8 * t + g;
      ahead[t] = Packed<std::uint32_t>{};
      if (word < call.vocab_size && at < call.channels) {
        ahead[t] = load_packed_streaming(reinterpret_cast<const std::uint32_t*>(weight + word * call.channels + at));
      }
    }
  };
  load_ahead(j * kRun);
#pragma unroll 2
  for (std::int64_t begin = 0; begin < call.channels; begin += 4 * kRun) {
    const std::int64_t at = begin + j * kRun;
    Packed<std::uint32_t> runs[kTiles];
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      runs[t] = ahead[t];
    }
    load_ahead(at + 4 * kRun);
    std::uint32_t a[kSteps][4];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::int64_t row = g + 8 * half;
#pragma unroll
      for (int eight = 0; eight < kRun / 8; ++eight) {
        Packed<std::uint32_t> states{};
        if (row < call.rows && at < call.channels) {
          states = load_packed(reinterpret_cast<const std::uint32_t*>(hidden + row * call.channels + at + 8 * eight));
        }
#pragma unroll
        for (int step = 0; step < 2; ++step) {
          a[2 * eight + step][half] = states.values[2 * step];
          a[2 * eight + step][2 + half] = states.values[2 * step + 1];
        }
      }
    }
#pragma unroll
    for (int t = 0; t < kTiles; ++t) {
      std::uint32_t b[kSteps][2];
      fragments(b, runs[t]);
#pragma unroll
      for (int step = 0; step < kSteps; ++step) {
        mma_m16n8k16_bf16(sums[t], a[step], b[step]);
      }
    }
  }
#pragma unroll
  for (int t = 0; t < kTiles; ++t) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      store_logit(call, g + 8 * (i / 2), first_word + 8 * t + 2 * j + i % 2, sums[t][i]);
    }
  }
}

template <class T, class W, int kWidth> __global__ void __launch_bounds__(kThreads) plain_logits_kernel(Logits call) {
  const std::int64_t word = std::int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (word >= call.vocab_size) {
    return; // the whole warp
  }
  const T* hidden = static_cast<const T*>(call.hidden);
  const W* weight = static_cast<const W*>(call.weight) + word * call.channels;
  float sums[kFewRows] = {};
  for (std::int64_t at = threadIdx.x % 32 * kWidth; at < call.channels; at += 32 * kWidth) {
    float weights[kWidth];
    load_values<Reuse::kNever>(weights, weight + at);
#pragma unroll
    for (int row = 0; row < kFewRows; ++row) {
      if (row < call.rows) {
        float states[kWidth];
        load_values(states, hidden + row * call.channels + at);
#pragma unroll
        for (int i = 0; i < kWidth; ++i) {
          sums[row] += states[i] * weights[i];
        }
      }
    }
  }
#pragma unroll
  for (int row = 0; row < kFewRows; ++row) {
    if (row < call.rows) {
      const float sum = warp_sum(sums[row]);
      if (threadIdx.x % 32 == 0) {
        store_logit(call, row, word, sum);
      }
    }
  }
}

template <class T, class W> void run_plain(const KernelContext& context, const Logits& call) {
  constexpr int kWidth = sizeof(W) == 1 ? 4 : kPackedWidth<W>;
  // States are read in runs as long as the weights'.
  const bool is_packed =
      call.channels % kWidth == 0 && call.channels % kPackedWidth<T> == 0 && are_aligned(call.hidden, call.weight);
  const auto kernel = is_packed ? plain_logits_kernel<T, W, kWidth> : plain_logits_kernel<T, W, 1>;
  launch(context, kernel, grid_of(divide_up(call.vocab_size, kWarps)), kThreads, 0, call);
}

} // namespace

void logits_few_rows(const KernelContext& context, ConstValues hidden, const WeightView& weight, const float* bias,
                     float* output, std::int64_t rows, std::int64_t channels, std::int64_t vocab_size) {
  if (rows > kFewRows) {
    throw Error("BAD_ARGUMENT", "Logits of " + std::to_string(rows) + " rows are no product of few rows; " +
                                    std::to_string(kFewRows) + " are the most.");
  }
  if (rows == 0 || vocab_size == 0) {
    return;
  }
  const Logits call{hidden.data, weight.values, weight.type == DataType::kInt8 ? weight.scales : nullptr,
                    bias,        output,        rows,
                    channels,    vocab_size};
  const bool is_packed =
      channels % (weight.type == DataType::kInt8 ? 16 : 8) == 0 && are_aligned(hidden.data, weight.values);
  if (is_packed && can_multiply_as_bf16(hidden.type, weight.type)) {
    const auto kernel = weight.type == DataType::kBf16 ? tensor_logits_kernel<Bf16> : tensor_logits_kernel<std::int8_t>;
    const int tiles = weight.type == DataType::kBf16 ? kTilesOf<Bf16> : kTilesOf<std::int8_t>;
    launch(context, kernel, grid_of(divide_up(vocab_size, 8 * tiles * kWarps)), kThreads, 0, call);
    return;
  }
  with_type(hidden.type, [&](auto type) {
    using T = decltype(type);
    switch (weight.type) {
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
