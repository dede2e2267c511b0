// The gradients of attention's queries: a block of queries meets the keys that any of them sees, a tile at a time
// (attention-backward.cu says why so).
#include "backends/cuda/attention-mma.h"
#include "backends/cuda/attention-ranges.h"
#include "backends/cuda/attention-simt.h"

namespace assay::cuda {

namespace {

// Rows are queries, columns keys.
template <class Engine>
__global__ void __launch_bounds__(Engine::kThreads)
    attention_queries_backward_kernel(const BackwardArguments<typename Engine::Element> a) {
  using Shared = typename Engine::Shared;
  Shared* query_tile = dynamic_shared<Shared>();
  Shared* d_output_tile = query_tile + Engine::kRowTile;
  Shared* stages = d_output_tile + Engine::kRowTile;
  float* scratch = reinterpret_cast<float*>(stages + 2 * Engine::kStages * Engine::kColumnTile);

  const int blocks = (a.seq_len + Engine::kRows - 1) / Engine::kRows;
  const int item = static_cast<int>(blockIdx.x);
  const int first_query = (blocks - 1 - item % blocks) * Engine::kRows;
  const int head = item / blocks % a.heads;
  const int sample = item / blocks / a.heads;
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  const std::int64_t qkv_at = std::int64_t{sample} * a.seq_len * 3 * channels + head * a.head_size;
  const typename Engine::Element* query = a.qkv + qkv_at;
  const QueryRow* query_rows = a.query_rows + (std::int64_t{sample} * a.heads + head) * a.seq_len;

  Engine::template load_tile<Engine::kRows>(query_tile, query, 3 * channels, first_query, a.seq_len, a.head_size);
  Engine::template load_tile<Engine::kRows>(
      d_output_tile, a.d_output + std::int64_t{sample} * a.seq_len * channels + head * a.head_size, channels,
      first_query, a.seq_len, a.head_size);
  cp_async_commit();
  const auto seen_by = [&](int at) { return KeyRange{query_rows[at].key_begin, query_rows[at].key_end}; };
  const BlockRanges ranges = block_ranges<Engine>([&](int row, auto&& take) {
    if (first_query + row < a.seq_len) {
      take(seen_by(first_query + row));
    }
  });
  float log2_sum_exp[Engine::kThreadRows];
  float correction[Engine::kThreadRows];
#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    const int at = first_query + Engine::row_of(r);
    log2_sum_exp[r] = at < a.seq_len ? query_rows[at].log2_sum_exp : infinity();
    correction[r] = at < a.seq_len ? query_rows[at].correction : 0.0F;
  }
  const auto load_stage = [&](int first_key, int stage) {
    Shared* tiles = stages + stage * 2 * Engine::kColumnTile;
    Engine::template load_tile<Engine::kColumns>(tiles, query + channels, 3 * channels, first_key, a.seq_len,
                                                 a.head_size);
    Engine::template load_tile<Engine::kColumns>(tiles + Engine::kColumnTile, query + 2 * channels, 3 * channels,
                                                 first_key, a.seq_len, a.head_size);
    cp_async_commit();
  };
  const int begin = ranges.any.begin / Engine::kColumns * Engine::kColumns;
  const bool sees_any = ranges.any.begin < ranges.any.end;
  if (Engine::kStages == 2 && sees_any) {
    load_stage(begin, 0);
    cp_async_wait<1>();
  } else {
    cp_async_wait<0>();
  }
  __syncthreads();
  typename Engine::Rows queries;
  typename Engine::Rows d_outputs;
  Engine::take_rows(queries, query_tile);
  Engine::take_rows(d_outputs, d_output_tile);

  const float to_log2 = a.scale * kLog2E;
  const bool drops = Engine::kDrops && a.mask.drops();
  typename Engine::Output d_query;
  Engine::clear(d_query);
  int stage = 0;
  for (int first_key = begin; sees_any && first_key < ranges.any.end; first_key += Engine::kColumns) {
    if constexpr (Engine::kStages == 2) {
      cp_async_wait<0>();
      __syncthreads();
      if (first_key + Engine::kColumns < ranges.any.end) {
        load_stage(first_key + Engine::kColumns, stage ^ 1);
      }
    } else {
      __syncthreads();
      load_stage(first_key, 0);
      cp_async_wait<0>();
      __syncthreads();
    }
    const Shared* key_tile = stages + stage * 2 * Engine::kColumnTile;
    const Shared* value_tile = key_tile + Engine::kColumnTile;
    std::uint64_t kept = ~std::uint64_t{0};
    if constexpr (Engine::kDrops) {
      if (drops) {
        kept = Engine::template kept_scores<false>(a.mask, TilePlace{sample, head, a.seq_len, first_query, first_key});
      }
    }
    typename Engine::Scores weights;
    Engine::multiply(weights, queries, key_tile);
    if (first_key < ranges.all.begin || first_key + Engine::kColumns > ranges.all.end) {
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        const int at = first_query + Engine::row_of(r);
        const KeyRange seen = at < a.seq_len ? seen_by(at) : KeyRange{0, 0};
#pragma unroll
        for (int c = 0; c < Engine::kThreadColumns; ++c) {
          const int key = first_key + Engine::column_of(c);
          if (key < seen.begin || key >= seen.end) {
            Engine::at(weights, r, c) = -infinity();
          }
        }
      }
    }
#pragma unroll
    for (int r = 0; r < Engine::kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        float& weight = Engine::at(weights, r, c);
        weight = power_of_two(fmaf(weight, to_log2, -log2_sum_exp[r]));
      }
    }
    typename Engine::Scores d_weights;
    Engine::multiply(d_weights, d_outputs, value_tile);
#pragma unroll
    for (int r = 0; r < Engine::kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        float& d_weight = Engine::at(d_weights, r, c);
        if constexpr (Engine::kDrops) {
          d_weight = (kept >> Engine::bit_of(r, c) & 1U) != 0 ? d_weight * a.mask.scale : 0.0F;
        }
        d_weight = Engine::at(weights, r, c) * (d_weight - correction[r]);
      }
    }
    Engine::accumulate(d_query, d_weights, key_tile, scratch);
    stage ^= Engine::kStages - 1;
  }
#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    Engine::scale_row(d_query, r, a.scale);
  }
  Engine::store_rows(d_query, query_tile, a.d_qkv + qkv_at, 3 * channels, first_query, a.seq_len, a.head_size);
}

template <class Engine>
void launch_backward(const KernelContext& context, const BackwardArguments<typename Engine::Element>& arguments) {
  constexpr std::size_t kSharedBytes =
      (2 * Engine::kRowTile + 2 * Engine::kStages * Engine::kColumnTile) * sizeof(typename Engine::Shared) +
      Engine::kScratch * sizeof(float);
  static_assert(kSharedBytes + kMostStaticSharedBytes <= kLargestSharedBytes);
  const std::int64_t blocks = (arguments.seq_len + Engine::kRows - 1) / Engine::kRows;
  launch(context, attention_queries_backward_kernel<Engine>,
         dim3(block_count(blocks * arguments.heads * arguments.samples)), dim3(Engine::kThreads), kSharedBytes,
         arguments);
}

// Rows and columns are as many as registers allow; masks of dropout take some.
template <bool kDrops> void backward_on_tensor_cores(const KernelContext& context, const BackwardArguments<Bf16>& a) {
  constexpr int kColumns = kDrops ? 16 : 32;
  if (a.head_size <= 32) {
    launch_backward<MmaEngine<32, 4, 2, 32, true, kDrops>>(context, a);
  } else if (a.head_size <= 64) {
    launch_backward<MmaEngine<64, 4, 2, 32, false, kDrops>>(context, a);
  } else if (a.head_size <= 80) {
    launch_backward<MmaEngine<80, 4, 2, kColumns, false, kDrops>>(context, a);
  } else if (a.head_size <= 96) {
    launch_backward<MmaEngine<96, 4, 2, kColumns, false, kDrops>>(context, a);
  } else if (context.compute_capability == 80) {
    // Its multiprocessors hold two blocks only with the smaller tile of keys; later ones hold two of the larger, or one
    // of either.
    launch_backward<MmaEngine<128, 4, 2, 16, false, kDrops>>(context, a);
  } else {
    launch_backward<MmaEngine<128, 4, 2, kColumns, false, kDrops>>(context, a);
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

void run_queries_backward(const KernelContext& context, const BackwardArguments<float>& arguments,
                          bool /*tensor_cores*/) {
  backward_without(context, arguments);
}

void run_queries_backward(const KernelContext& context, const BackwardArguments<Bf16>& arguments, bool tensor_cores) {
  if (!tensor_cores) {
    backward_without(context, arguments);
  } else if (arguments.mask.drops()) {
    backward_on_tensor_cores<true>(context, arguments);
  } else {
    backward_on_tensor_cores<false>(context, arguments);
  }
}

} // namespace assay::cuda
