// The embedding, and its gradient without atomics. Rows of equal keys (tokens, positions or token types) lie side by
// side in an order, which is the caller's or sorted here; the order is cut into pieces of a few rows, a block a piece.
// A run of one key that lies in one piece goes straight to the table; one that crosses pieces leaves its parts in the
// workspace, and the block of the piece where it begins adds them, in order.
#include "backends/cuda/access.h"
#include "backends/cuda/dropout.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/row-order.h"

#include <algorithm>

namespace assay::cuda {

namespace {

constexpr int kThreads = 128;

// --- forward ---

template <int kWidth>
__device__ __forceinline__ void load_weights(float (&values)[kWidth], const WeightView& weight, std::int64_t row,
                                             std::int64_t channels, std::int64_t channel) {
  const std::int64_t at = row * channels + channel;
  if (weight.type == DataType::kF32) {
    load_values(values, static_cast<const float*>(weight.values) + at);
  } else if (weight.type == DataType::kBf16) {
    load_values(values, static_cast<const Bf16*>(weight.values) + at);
  } else {
    const float scale = weight.scales[row];
    const std::int8_t* codes = static_cast<const std::int8_t*>(weight.values) + at;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] = static_cast<float>(codes[i]) * scale;
    }
  }
}

// A block a row.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) embedding_forward_kernel(EmbeddingForward call, DropoutMask mask) {
  const std::int64_t row = blockIdx.x;
  const std::int64_t t = row % call.seq_len;
  const std::int64_t token = call.tokens[row];
  const std::int64_t place = call.positions != nullptr ? call.positions[row] : call.first_position + t;
  for (std::int64_t channel = std::int64_t{threadIdx.x} * kWidth; channel < call.channels;
       channel += std::int64_t{blockDim.x} * kWidth) {
    float sum[kWidth];
    float more[kWidth];
    load_weights(sum, call.token_weight, token, call.channels, channel);
    load_values(more, call.position_weight + place * call.channels + channel);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      sum[i] += more[i];
    }
    if (call.token_types != nullptr) {
      load_values(more, call.token_type_weight + call.token_types[row] * call.channels + channel);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        sum[i] += more[i];
      }
    }
    apply_dropout(sum, mask, static_cast<std::uint32_t>(row / call.seq_len), t * call.channels + channel);
    store_values(static_cast<T*>(call.output.data) + row * call.channels + channel, sum);
  }
}

// --- backward ---

struct Gradient {
  ConstValues d_output;
  std::int64_t rows, seq_len, channels;
  DropoutMask mask;
};

template <class T, int kWidth>
__device__ __forceinline__ void load_gradient(float (&values)[kWidth], const Gradient& gradient, std::int64_t row,
                                              std::int64_t channel) {
  load_values(values, static_cast<const T*>(gradient.d_output.data) + row * gradient.channels + channel);
  apply_dropout(values, gradient.mask, static_cast<std::uint32_t>(row / gradient.seq_len),
                row % gradient.seq_len * gradient.channels + channel);
}

template <int kWidth> __device__ __forceinline__ void add_to(float* target, const float (&values)[kWidth]) {
  float sum[kWidth];
  load_values(sum, target);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    sum[i] += values[i];
  }
  store_values(target, sum);
}

// How the rows with equal keys are added to a table.
struct KeyedSum {
  const std::int32_t* keys;  // by row
  const std::int32_t* order; // rows by their keys
  float* table;
  // Two rows a piece: what belongs to a run from pieces before, and to a run that goes on in the next.
  float* parts;
  std::int64_t piece_rows;
};

// Rows whose gradients are on their way at a time.
constexpr int kAtOnce = 4;

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) sum_pieces_kernel(Gradient gradient, KeyedSum sum) {
  const std::int64_t channels = gradient.channels;
  const std::int64_t channel = (std::int64_t{blockIdx.y} * kThreads + threadIdx.x) * kWidth;
  if (channel >= channels) {
    return;
  }
  const std::int64_t begin = std::int64_t{blockIdx.x} * sum.piece_rows;
  const std::int64_t end = begin + sum.piece_rows < gradient.rows ? begin + sum.piece_rows : gradient.rows;
  const std::int32_t key_before = begin > 0 ? sum.keys[sum.order[begin - 1]] : -1;
  const std::int32_t key_after = end < gradient.rows ? sum.keys[sum.order[end]] : -1;
  float* before = sum.parts + std::int64_t{blockIdx.x} * 2 * channels + channel;
  float* after = before + channels;

  std::int32_t key = sum.keys[sum.order[begin]];
  bool is_from_before = begin > 0 && key == key_before;
  float total[kWidth] = {};
  for (std::int64_t first = begin; first < end; first += kAtOnce) {
    float values[kAtOnce][kWidth];
    std::int32_t keys[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i < end) {
        const std::int64_t row = sum.order[first + i];
        keys[i] = sum.keys[row];
        load_gradient<T>(values[i], gradient, row, channel);
      }
    }
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      if (first + i < end) {
        if (keys[i] != key) {
          if (is_from_before) {
            store_values(before, total);
          } else {
            add_to(sum.table + key * channels + channel, total);
          }
#pragma unroll
          for (int c = 0; c < kWidth; ++c) {
            total[c] = 0.0F;
          }
          is_from_before = false;
          key = keys[i];
        }
#pragma unroll
        for (int c = 0; c < kWidth; ++c) {
          total[c] += values[i][c];
        }
      }
    }
  }
  if (is_from_before) {
    store_values(before, total);
  } else if (end < gradient.rows && key == key_after) {
    store_values(after, total);
  } else {
    add_to(sum.table + key * channels + channel, total);
  }
}

// Adds up the runs that cross pieces: the block of the piece where a run begins does it.
template <int kWidth>
__global__ void __launch_bounds__(kThreads) join_pieces_kernel(KeyedSum sum, std::int64_t rows, std::int64_t channels) {
  const std::int64_t channel = (std::int64_t{blockIdx.y} * kThreads + threadIdx.x) * kWidth;
  const std::int64_t piece = blockIdx.x;
  const std::int64_t begin = piece * sum.piece_rows;
  std::int64_t next = begin + sum.piece_rows;
  if (channel >= channels || next >= rows) {
    return;
  }
  const auto key_at = [&](std::int64_t place) { return sum.keys[sum.order[place]]; };
  const std::int32_t key = key_at(next - 1);
  const bool is_whole_piece = key_at(begin) == key;
  if (key_at(next) != key || (is_whole_piece && begin > 0 && key_at(begin - 1) == key)) {
    return; // no run goes on, or it began earlier
  }
  float total[kWidth];
  load_values(total, sum.parts + (2 * piece + 1) * channels + channel);
  for (std::int64_t part = piece + 1; next < rows && key_at(next) == key; ++part, next += sum.piece_rows) {
    float more[kWidth];
    load_values(more, sum.parts + 2 * part * channels + channel);
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      total[c] += more[c];
    }
  }
  add_to(sum.table + key * channels + channel, total);
}

// Position t of every sequence, where positions simply count.
template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) sum_positions_kernel(Gradient gradient, float* d_position_weight) {
  const std::int64_t t = blockIdx.x;
  const std::int64_t channel = (std::int64_t{blockIdx.y} * kThreads + threadIdx.x) * kWidth;
  if (channel >= gradient.channels) {
    return;
  }
  float total[kWidth] = {};
#pragma unroll 4
  for (std::int64_t row = t; row < gradient.rows; row += gradient.seq_len) {
    float values[kWidth];
    load_gradient<T>(values, gradient, row, channel);
#pragma unroll
    for (int c = 0; c < kWidth; ++c) {
      total[c] += values[c];
    }
  }
  add_to(d_position_weight + t * gradient.channels + channel, total);
}

// Short pieces fill the device where rows are few.
constexpr std::int64_t kFewPieces = 1024;
std::int64_t piece_rows_of(std::int64_t rows) {
  return rows <= 16 * kFewPieces ? 16 : 64;
}

// Grows with the rows, so that a plan for the most of them does for all.
std::int64_t most_pieces(std::int64_t rows) {
  return std::max(std::min(divide_up(rows, 16), kFewPieces), divide_up(rows, 64));
}

template <class T, int kWidth>
void add_by_key(const KernelContext& context, const Gradient& gradient, const std::int32_t* keys,
                const std::int32_t* order, float* table) {
  KeyedSum sum{keys, order, table, static_cast<float*>(context.workspace), piece_rows_of(gradient.rows)};
  if (order == nullptr) {
    std::int32_t* sorted =
        reinterpret_cast<std::int32_t*>(sum.parts + 2 * divide_up(gradient.rows, sum.piece_rows) * gradient.channels);
    order_rows(context, keys, gradient.rows, sorted, sorted + gradient.rows);
    sum.order = sorted;
  }
  const dim3 grid = grid_of(divide_up(gradient.rows, sum.piece_rows), divide_up(gradient.channels, kThreads * kWidth));
  launch(context, sum_pieces_kernel<T, kWidth>, grid, kThreads, 0, gradient, sum);
  launch(context, join_pieces_kernel<kWidth>, grid, kThreads, 0, sum, gradient.rows, gradient.channels);
}

template <class T, int kWidth> void run_backward(const KernelContext& context, const EmbeddingBackward& call) {
  const Gradient gradient{call.d_output, call.batch * call.seq_len, call.seq_len, call.channels,
                          DropoutMask(call.dropout)};
  if (call.d_token_weight != nullptr) {
    add_by_key<T, kWidth>(context, gradient, call.tokens, call.token_order, call.d_token_weight);
  }
  if (call.d_position_weight != nullptr && call.positions != nullptr) {
    add_by_key<T, kWidth>(context, gradient, call.positions, nullptr, call.d_position_weight);
  } else if (call.d_position_weight != nullptr) {
    launch(context, sum_positions_kernel<T, kWidth>, grid_of(call.seq_len, divide_up(call.channels, kThreads * kWidth)),
           kThreads, 0, gradient, call.d_position_weight);
  }
  if (call.d_token_type_weight != nullptr && call.token_types != nullptr) {
    add_by_key<T, kWidth>(context, gradient, call.token_types, nullptr, call.d_token_type_weight);
  }
}

} // namespace

void embedding_forward(const KernelContext& context, const EmbeddingForward& call) {
  const std::int64_t rows = call.batch * call.seq_len;
  if (rows == 0) {
    return;
  }
  with_type(call.output.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const bool is_packed = call.channels % kWidth == 0 && are_aligned(call.output.data, call.token_weight.values,
                                                                      call.position_weight, call.token_type_weight);
    const auto kernel = is_packed ? embedding_forward_kernel<T, kWidth> : embedding_forward_kernel<T, 1>;
    const std::int64_t groups = is_packed ? call.channels / kWidth : call.channels;
    const auto threads = static_cast<unsigned>(std::min<std::int64_t>(divide_up(groups, 32) * 32, kThreads));
    launch(context, kernel, grid_of(rows), threads, 0, call, DropoutMask(call.dropout));
  });
}

std::size_t embedding_backward_workspace(std::int64_t rows, std::int64_t channels) {
  const std::int64_t parts = 2 * most_pieces(rows) * channels;
  return static_cast<std::size_t>(parts + rows + row_order_scratch_count(rows)) * sizeof(float);
}

void embedding_backward(const KernelContext& context, const EmbeddingBackward& call) {
  const std::int64_t rows = call.batch * call.seq_len;
  if (rows == 0) {
    return;
  }
  check_workspace(context, embedding_backward_workspace(rows, call.channels));
  with_type(call.d_output.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const bool is_packed =
        call.channels % kWidth == 0 && are_aligned(call.d_output.data, call.d_token_weight, call.d_position_weight,
                                                   call.d_token_type_weight, context.workspace);
    if (is_packed) {
      run_backward<T, kWidth>(context, call);
    } else {
      run_backward<T, 1>(context, call);
    }
  });
}

} // namespace assay::cuda
