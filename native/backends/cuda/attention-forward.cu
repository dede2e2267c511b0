// Attention's forward pass: a block of queries meets the keys a tile at a time, with online softmax in powers of two
// (Milakov and Gimelshein 2018; Dao, "FlashAttention-2", 2023). The copy of the next tiles of keys and values runs
// during the products of the present ones. Tiles that no query of the block sees are not visited: those above the
// diagonal, padding, other documents. What is masked costs nothing in tiles that every query sees whole.
#include "backends/cuda/attention-mma.h"
#include "backends/cuda/attention-ranges.h"
#include "backends/cuda/attention-simt.h"
#include "backends/cuda/attention.h"

namespace assay::cuda {

namespace {

template <class Engine>
__global__ void __launch_bounds__(Engine::kThreads)
    attention_forward_kernel(const ForwardArguments<typename Engine::Element> a) {
  using Shared = typename Engine::Shared;
  Shared* query_tile = dynamic_shared<Shared>();
  Shared* stages = query_tile + Engine::kRowTile;
  float* scratch = reinterpret_cast<float*>(stages + 2 * Engine::kStages * Engine::kColumnTile);

  // Under a causal mask the last queries have the most keys; they go first, so that no long block is left at the end.
  const int blocks = (a.queries + Engine::kRows - 1) / Engine::kRows;
  const int item = static_cast<int>(blockIdx.x);
  const int first_query = (blocks - 1 - item % blocks) * Engine::kRows;
  const int head = item / blocks % a.heads;
  const int sample = item / blocks / a.heads;

  const typename Engine::Element* query = a.query + sample * a.query_sample_stride + head * a.head_size;
  const std::int64_t key_at = sample * a.key_sample_stride + head * a.key_head_stride;
  Engine::template load_tile<Engine::kRows>(query_tile, query, a.query_row_stride, first_query, a.queries, a.head_size);
  cp_async_commit();

  const std::int32_t* key_begin = a.key_begin != nullptr ? a.key_begin + std::int64_t{sample} * a.queries : nullptr;
  const std::int32_t* key_end = a.key_begin != nullptr ? a.key_end + std::int64_t{sample} * a.queries : nullptr;
  const int past = a.past != nullptr && a.past[sample] > 0 ? a.past[sample] : 0;
  const int key_count = past < a.key_capacity - a.queries ? past + a.queries : a.key_capacity;
  const auto seen_by = [&](int at) { return visible_keys(key_begin, key_end, at, past + at, a.causal, key_count); };
  const BlockRanges ranges = block_ranges<Engine>([&](int row, auto&& take) {
    if (first_query + row < a.queries) {
      take(seen_by(first_query + row));
    }
  });
  const auto load_stage = [&](int first_key, int stage) {
    Shared* tiles = stages + stage * 2 * Engine::kColumnTile;
    Engine::template load_tile<Engine::kColumns>(tiles, a.key + key_at, a.key_row_stride, first_key, key_count,
                                                 a.head_size);
    Engine::template load_tile<Engine::kColumns>(tiles + Engine::kColumnTile, a.value + key_at, a.key_row_stride,
                                                 first_key, key_count, a.head_size);
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
  typename Engine::Rows rows;
  Engine::take_rows(rows, query_tile);

  const float to_log2 = a.scale * kLog2E;
  const bool drops = Engine::kDrops && a.mask.drops();
  typename Engine::Output output;
  Engine::clear(output);
  float maximum[Engine::kThreadRows]; // of the row's scores before scaling
  float sum[Engine::kThreadRows];     // this thread's part
#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    maximum[r] = -infinity();
    sum[r] = 0.0F;
  }
  int stage = 0;
  for (int first_key = begin; sees_any && first_key < ranges.any.end; first_key += Engine::kColumns) {
    if constexpr (Engine::kStages == 2) {
      // Once all threads are here, the present tiles have arrived, and nobody reads the ones before them.
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
    const Shared* tiles = stages + stage * 2 * Engine::kColumnTile;
    typename Engine::Scores scores;
    Engine::multiply(scores, rows, tiles);
    if (first_key < ranges.all.begin || first_key + Engine::kColumns > ranges.all.end) {
      // Asked for again in each such tile: kept, the ranges would take registers from all tiles.
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        const int at = first_query + Engine::row_of(r);
        const KeyRange seen = at < a.queries ? seen_by(at) : KeyRange{0, 0};
#pragma unroll
        for (int c = 0; c < Engine::kThreadColumns; ++c) {
          const int key = first_key + Engine::column_of(c);
          if (key < seen.begin || key >= seen.end) {
            Engine::at(scores, r, c) = -infinity();
          }
        }
      }
    }
    float correction[Engine::kThreadRows];
    bool raised = false;
#pragma unroll
    for (int r = 0; r < Engine::kThreadRows; ++r) {
      float highest = maximum[r];
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        highest = fmaxf(highest, Engine::at(scores, r, c));
      }
      highest = Engine::row_maximum(highest);
      // A row that has seen nothing yet must not subtract infinity from infinity.
      const float shift = highest == -infinity() ? 0.0F : highest * to_log2;
      correction[r] = highest == maximum[r] ? 1.0F : power_of_two(fmaf(maximum[r], to_log2, -shift));
      raised = raised || highest != maximum[r];
      maximum[r] = highest;
      float own = 0.0F;
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        float& score = Engine::at(scores, r, c);
        score = power_of_two(fmaf(score, to_log2, -shift));
        own += score;
      }
      sum[r] = fmaf(sum[r], correction[r], own);
    }
    // After a few tiles most maxima stay; then there is nothing to correct.
    if (__any_sync(0xFFFFFFFFU, raised)) {
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        Engine::scale_row(output, r, correction[r]);
      }
    }
    if constexpr (Engine::kDrops) {
      if (drops) {
        const std::uint64_t kept =
            Engine::template kept_scores<false>(a.mask, TilePlace{sample, head, a.queries, first_query, first_key});
#pragma unroll
        for (int r = 0; r < Engine::kThreadRows; ++r) {
#pragma unroll
          for (int c = 0; c < Engine::kThreadColumns; ++c) {
            if ((kept >> Engine::bit_of(r, c) & 1U) == 0) {
              Engine::at(scores, r, c) = 0.0F;
            }
          }
        }
      }
    }
    Engine::accumulate(output, scores, tiles + Engine::kColumnTile, scratch);
    stage ^= Engine::kStages - 1;
  }

#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    const float total = Engine::row_sum(sum[r]);
    const bool sees_nothing = total == 0.0F;
    Engine::scale_row(output, r, sees_nothing ? 0.0F : (drops ? a.mask.scale : 1.0F) / total);
    const int at = first_query + Engine::row_of(r);
    if (a.log_sum_exp != nullptr && at < a.queries && Engine::leads_row()) {
      // Nobody reads that of a query without keys; 0 is finite.
      a.log_sum_exp[(std::int64_t{sample} * a.heads + head) * a.queries + at] =
          sees_nothing ? 0.0F : fmaf(maximum[r], a.scale, log2f(total) * kLn2);
    }
  }
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  Engine::store_rows(output, query_tile, a.output + std::int64_t{sample} * a.queries * channels + head * a.head_size,
                     channels, first_query, a.queries, a.head_size);
}

template <class Engine>
void launch_forward(const KernelContext& context, const ForwardArguments<typename Engine::Element>& arguments) {
  constexpr std::size_t kSharedBytes =
      (Engine::kRowTile + 2 * Engine::kStages * Engine::kColumnTile) * sizeof(typename Engine::Shared) +
      Engine::kScratch * sizeof(float);
  static_assert(kSharedBytes + kMostStaticSharedBytes <= kLargestSharedBytes);
  const std::int64_t blocks = (arguments.queries + Engine::kRows - 1) / Engine::kRows;
  launch(context, attention_forward_kernel<Engine>, dim3(block_count(blocks * arguments.heads * arguments.samples)),
         dim3(Engine::kThreads), kSharedBytes, arguments);
}

// Rows, columns and what is held are as large as registers allow without spilling.
template <bool kDrops> void forward_on_tensor_cores(const KernelContext& context, const ForwardArguments<Bf16>& a) {
  if (a.head_size <= 32) {
    launch_forward<MmaEngine<32, 4, 2, 64, true, kDrops>>(context, a);
  } else if (a.head_size <= 64) {
    launch_forward<MmaEngine<64, 4, 2, 64, true, kDrops>>(context, a);
  } else if (a.head_size <= 80) {
    launch_forward<MmaEngine<80, 4, 2, 32, true, kDrops>>(context, a);
  } else if (a.head_size <= 96) {
    launch_forward<MmaEngine<96, 4, 2, 32, false, kDrops>>(context, a);
  } else {
    launch_forward<MmaEngine<128, 4, 2, 32, false, kDrops>>(context, a);
  }
}

template <class T> void forward_without(const KernelContext& context, const ForwardArguments<T>& a) {
  if (a.head_size <= 64) {
    launch_forward<SimtEngine<T, 64>>(context, a);
  } else if (a.head_size <= 128) {
    launch_forward<SimtEngine<T, 128>>(context, a);
  } else {
    launch_forward<SimtEngine<T, 256>>(context, a);
  }
}

template <class T> ForwardArguments<T> training_arguments(const AttentionForward& call) {
  const std::int64_t channels = call.heads * call.head_size;
  const bool has_ranges = call.key_begin != nullptr && call.key_end != nullptr;
  ForwardArguments<T> a{};
  a.query = static_cast<const T*>(call.qkv.data);
  a.key = a.query + channels;
  a.value = a.key + channels;
  a.query_sample_stride = a.key_sample_stride = call.seq_len * 3 * channels;
  a.query_row_stride = a.key_row_stride = 3 * channels;
  a.key_head_stride = call.head_size;
  a.output = static_cast<T*>(call.output.data);
  a.log_sum_exp = call.log_sum_exp;
  a.samples = static_cast<int>(call.batch);
  a.queries = a.key_capacity = static_cast<int>(call.seq_len);
  a.heads = static_cast<int>(call.heads);
  a.head_size = static_cast<int>(call.head_size);
  a.causal = call.causal;
  a.key_begin = has_ranges ? call.key_begin : nullptr;
  a.key_end = has_ranges ? call.key_end : nullptr;
  a.scale = softmax_scale(call.head_size);
  a.mask = DropoutMask(call.dropout);
  return a;
}

} // namespace

void run_attention_forward(const KernelContext& context, const ForwardArguments<float>& arguments) {
  forward_without(context, arguments);
}

void run_attention_forward(const KernelContext& context, const ForwardArguments<Bf16>& arguments) {
  const bool tensor_cores = takes_tensor_cores(arguments.query, arguments.head_size) &&
                            takes_tensor_cores(arguments.key, arguments.head_size) &&
                            takes_tensor_cores(arguments.value, arguments.head_size) &&
                            takes_tensor_cores(arguments.output, arguments.head_size);
  if (!tensor_cores) {
    forward_without(context, arguments);
  } else if (arguments.mask.drops()) {
    forward_on_tensor_cores<true>(context, arguments);
  } else {
    forward_on_tensor_cores<false>(context, arguments);
  }
}

void attention_forward(const KernelContext& context, const AttentionForward& call) {
  if (call.batch == 0 || call.seq_len == 0) {
    return;
  }
  check_attention_sizes("attention", call.head_size, call.seq_len, call.batch * call.heads);
  if (call.qkv.type == DataType::kBf16) {
    run_attention_forward(context, training_arguments<Bf16>(call));
  } else {
    run_attention_forward(context, training_arguments<float>(call));
  }
}

} // namespace assay::cuda
