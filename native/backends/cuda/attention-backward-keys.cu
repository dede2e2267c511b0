// The gradients of attention's keys and values: a block of keys meets the queries that see any of them, a tile at a
// time (attention-backward.cu says why so).
#include "backends/cuda/attention-mma.h"
#include "backends/cuda/attention-simt.h"

namespace assay::cuda {

namespace {

// From the first query that sees any of the keys first … last − 1 to the last one.
template <class Engine>
__device__ __forceinline__ KeyRange seeing_queries(const QueryRow* rows, int seq_len, int first, int last, bool causal,
                                                   bool has_ranges) {
  KeyRange seeing{causal ? first : 0, seq_len};
  if (!has_ranges) {
    return seeing;
  }
  constexpr int kWarps = Engine::kThreads / 32;
  __shared__ int parts[2 * kWarps];
  int begin = kLargestInt;
  int end = 0;
  for (int query = seeing.begin + static_cast<int>(threadIdx.x); query < seq_len; query += Engine::kThreads) {
    if (rows[query].key_begin < last && rows[query].key_end > first) {
      begin = query < begin ? query : begin;
      end = query + 1;
    }
  }
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    const int other_begin = __shfl_xor_sync(0xFFFFFFFFU, begin, step);
    const int other_end = __shfl_xor_sync(0xFFFFFFFFU, end, step);
    begin = other_begin < begin ? other_begin : begin;
    end = other_end > end ? other_end : end;
  }
  if (threadIdx.x % 32 == 0) {
    parts[threadIdx.x / 32 * 2] = begin;
    parts[threadIdx.x / 32 * 2 + 1] = end;
  }
  __syncthreads();
#pragma unroll
  for (int warp = 0; warp < kWarps; ++warp) {
    begin = parts[warp * 2] < begin ? parts[warp * 2] : begin;
    end = parts[warp * 2 + 1] > end ? parts[warp * 2 + 1] : end;
  }
  return begin < end ? KeyRange{begin, end} : KeyRange{0, 0};
}

// Rows are keys, columns queries.
template <class Engine>
__global__ void __launch_bounds__(Engine::kThreads)
    attention_keys_backward_kernel(const BackwardArguments<typename Engine::Element> a) {
  using Shared = typename Engine::Shared;
  Shared* key_tile = dynamic_shared<Shared>();
  Shared* value_tile = key_tile + Engine::kRowTile;
  Shared* stages = value_tile + Engine::kRowTile;
  QueryRow* row_stages = reinterpret_cast<QueryRow*>(stages + 2 * Engine::kStages * Engine::kColumnTile);
  float* scratch = reinterpret_cast<float*>(row_stages + Engine::kStages * Engine::kColumns);

  // The first keys are seen by the most queries.
  const int blocks = (a.seq_len + Engine::kRows - 1) / Engine::kRows;
  const int item = static_cast<int>(blockIdx.x);
  const int first_key = item % blocks * Engine::kRows;
  const int head = item / blocks % a.heads;
  const int sample = item / blocks / a.heads;
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  const std::int64_t qkv_at = std::int64_t{sample} * a.seq_len * 3 * channels + head * a.head_size;
  const typename Engine::Element* query = a.qkv + qkv_at;
  const typename Engine::Element* d_output =
      a.d_output + std::int64_t{sample} * a.seq_len * channels + head * a.head_size;
  const QueryRow* query_rows = a.query_rows + (std::int64_t{sample} * a.heads + head) * a.seq_len;

  Engine::template load_tile<Engine::kRows>(key_tile, query + channels, 3 * channels, first_key, a.seq_len,
                                            a.head_size);
  Engine::template load_tile<Engine::kRows>(value_tile, query + 2 * channels, 3 * channels, first_key, a.seq_len,
                                            a.head_size);
  cp_async_commit();
  const bool has_ranges = a.key_begin != nullptr;
  const KeyRange seeing =
      seeing_queries<Engine>(query_rows, a.seq_len, first_key, first_key + Engine::kRows, a.causal, has_ranges);
  const auto load_stage = [&](int first_query, int stage) {
    Shared* tiles = stages + stage * 2 * Engine::kColumnTile;
    Engine::template load_tile<Engine::kColumns>(tiles, query, 3 * channels, first_query, a.seq_len, a.head_size);
    Engine::template load_tile<Engine::kColumns>(tiles + Engine::kColumnTile, d_output, channels, first_query,
                                                 a.seq_len, a.head_size);
    for (int i = static_cast<int>(threadIdx.x); i < Engine::kColumns; i += Engine::kThreads) {
      const bool valid = first_query + i < a.seq_len;
      cp_async_16(row_stages + stage * Engine::kColumns + i, query_rows + (valid ? first_query + i : 0), valid);
    }
    cp_async_commit();
  };
  // Whole tiles of queries, so that four keys of one draw of dropout stay together whichever block they are in.
  const int begin = seeing.begin / Engine::kColumns * Engine::kColumns;
  const bool is_seen = seeing.begin < seeing.end;
  if (Engine::kStages == 2 && is_seen) {
    load_stage(begin, 0);
    cp_async_wait<1>();
  } else {
    cp_async_wait<0>();
  }
  __syncthreads();
  typename Engine::Rows keys;
  typename Engine::Rows values;
  Engine::take_rows(keys, key_tile);
  Engine::take_rows(values, value_tile);

  const float to_log2 = a.scale * kLog2E;
  const bool drops = Engine::kDrops && a.mask.drops();
  typename Engine::Output d_key;
  typename Engine::Output d_value;
  Engine::clear(d_key);
  Engine::clear(d_value);
  int stage = 0;
  for (int first_query = begin; is_seen && first_query < seeing.end; first_query += Engine::kColumns) {
    if constexpr (Engine::kStages == 2) {
      cp_async_wait<0>();
      __syncthreads();
      if (first_query + Engine::kColumns < seeing.end) {
        load_stage(first_query + Engine::kColumns, stage ^ 1);
      }
    } else {
      __syncthreads();
      load_stage(first_query, 0);
      cp_async_wait<0>();
      __syncthreads();
    }
    const Shared* query_tile = stages + stage * 2 * Engine::kColumnTile;
    const Shared* d_output_tile = query_tile + Engine::kColumnTile;
    const QueryRow* rows = row_stages + stage * Engine::kColumns;
    const bool masks = has_ranges || (a.causal && first_query < first_key + Engine::kRows);
    std::uint64_t kept = ~std::uint64_t{0};
    if constexpr (Engine::kDrops) {
      if (drops) {
        kept = Engine::template kept_scores<true>(a.mask, TilePlace{sample, head, a.seq_len, first_query, first_key});
      }
    }
    typename Engine::Scores weights;
    Engine::multiply(weights, keys, query_tile);
    if (masks) {
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        const QueryRow row = rows[Engine::column_of(c)];
#pragma unroll
        for (int r = 0; r < Engine::kThreadRows; ++r) {
          const int key = first_key + Engine::row_of(r);
          if (key < row.key_begin || key >= row.key_end) {
            Engine::at(weights, r, c) = -infinity();
          }
        }
      }
    }
#pragma unroll
    for (int c = 0; c < Engine::kThreadColumns; ++c) {
      const float log2_sum_exp = rows[Engine::column_of(c)].log2_sum_exp;
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        float& weight = Engine::at(weights, r, c);
        weight = power_of_two(fmaf(weight, to_log2, -log2_sum_exp));
      }
    }
    typename Engine::Scores d_weights;
    Engine::multiply(d_weights, values, d_output_tile);
#pragma unroll
    for (int c = 0; c < Engine::kThreadColumns; ++c) {
      const float row_correction = rows[Engine::column_of(c)].correction;
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        float& weight = Engine::at(weights, r, c);
        float& d_weight = Engine::at(d_weights, r, c);
        if constexpr (Engine::kDrops) {
          const bool keeps = (kept >> Engine::bit_of(r, c) & 1U) != 0;
          d_weight = weight * ((keeps ? d_weight * a.mask.scale : 0.0F) - row_correction);
          weight = keeps ? weight : 0.0F;
        } else {
          d_weight = weight * (d_weight - row_correction);
        }
      }
    }
    Engine::accumulate(d_value, weights, d_output_tile, scratch);
    Engine::accumulate(d_key, d_weights, query_tile, scratch);
    stage ^= Engine::kStages - 1;
  }

  typename Engine::Element* d_query = a.d_qkv + qkv_at;
#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    Engine::scale_row(d_key, r, a.scale);
    if constexpr (Engine::kDrops) {
      Engine::scale_row(d_value, r, a.mask.scale);
    }
  }
  Engine::store_rows(d_key, key_tile, d_query + channels, 3 * channels, first_key, a.seq_len, a.head_size);
  Engine::store_rows(d_value, value_tile, d_query + 2 * channels, 3 * channels, first_key, a.seq_len, a.head_size);
}

template <class Engine>
void launch_backward(const KernelContext& context, const BackwardArguments<typename Engine::Element>& arguments) {
  constexpr std::size_t kSharedBytes =
      (2 * Engine::kRowTile + 2 * Engine::kStages * Engine::kColumnTile) * sizeof(typename Engine::Shared) +
      Engine::kStages * Engine::kColumns * sizeof(QueryRow) + Engine::kScratch * sizeof(float);
  static_assert(kSharedBytes + kMostStaticSharedBytes <= kLargestSharedBytes);
  const std::int64_t blocks = (arguments.seq_len + Engine::kRows - 1) / Engine::kRows;
  launch(context, attention_keys_backward_kernel<Engine>,
         dim3(block_count(blocks * arguments.heads * arguments.samples)), dim3(Engine::kThreads), kSharedBytes,
         arguments);
}

// Rows and columns are as many as registers allow; masks of dropout take some.
template <bool kDrops> void backward_on_tensor_cores(const KernelContext& context, const BackwardArguments<Bf16>& a) {
  constexpr int kColumns = kDrops ? 16 : 32;
  if (a.head_size <= 32) {
    launch_backward<MmaEngine<32, 4, 2, 32, false, kDrops>>(context, a);
  } else if (a.head_size <= 64) {
    launch_backward<MmaEngine<64, 4, 2, kColumns, false, kDrops>>(context, a);
  } else if (a.head_size <= 80) {
    launch_backward<MmaEngine<80, 4, 1, 32, false, kDrops>>(context, a);
  } else if (a.head_size <= 96) {
    launch_backward<MmaEngine<96, 4, 1, 32, false, kDrops>>(context, a);
  } else {
    launch_backward<MmaEngine<128, 4, 1, kColumns, false, kDrops>>(context, a);
  }
}

template <class T> void backward_without(const KernelContext& context, const BackwardArguments<T>& a) {
  if (a.head_size <= 64) {
    launch_backward<SimtEngine<T, 64>>(context, a);
  } else if (a.head_size <= 128) {
    launch_backward<SimtEngine<T, 128>>(context, a);
  } else {
    launch_backward<SimtEngine<T, 256>>(context, a);
  }
}

} // namespace

void run_keys_backward(const KernelContext& context, const BackwardArguments<float>& arguments, bool /*tensor_cores*/) {
  backward_without(context, arguments);
}

void run_keys_backward(const KernelContext& context, const BackwardArguments<Bf16>& arguments, bool tensor_cores) {
  if (!tensor_cores) {
    backward_without(context, arguments);
  } else if (arguments.mask.drops()) {
    backward_on_tensor_cores<true>(context, arguments);
  } else {
    backward_on_tensor_cores<false>(context, arguments);
  }
}

} // namespace assay::cuda
