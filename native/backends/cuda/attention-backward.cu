// Attention's backward pass. Probabilities are rebuilt from forward's log-sum-exp, twice: one kernel takes a block of
// keys past the queries and adds up the gradients of keys and values, another takes a block of queries past the keys
// and adds up theirs. That is seven products of tiles where one loop would need five, and deterministic without
// atomics: one loop would have to add the queries' gradients across blocks, in fp32 through memory (T² · D / tile
// values a head written and read again, about what the two products cost, and a workspace that grows with T²), or have
// blocks wait for each other. In return weights and their gradients never leave the registers: in both kernels the
// scores lie such that they are the left operand of the next product, so nothing is exchanged between warps and a tile
// costs one barrier. A first kernel gathers what both need to know of a query (QueryRow).
#include "backends/cuda/attention-mma.h"
#include "backends/cuda/attention-ranges.h"
#include "backends/cuda/attention-simt.h"
#include "backends/cuda/attention.h"

#include <string>

namespace assay::cuda {

namespace {

constexpr int kPrepareThreads = 128;
constexpr int kPrepareLanes = 8; // for each row of a head

template <class T>
__global__ void __launch_bounds__(kPrepareThreads)
    attention_prepare_kernel(const BackwardArguments<T> a, bool vectors, std::int64_t rows) {
  constexpr int kSize = Packed<T>::kSize;
  const int lane = static_cast<int>(threadIdx.x) % kPrepareLanes;
  // Heads of one position follow each other in memory.
  const std::int64_t item =
      std::int64_t{blockIdx.x} * (kPrepareThreads / kPrepareLanes) + static_cast<int>(threadIdx.x) / kPrepareLanes;
  float sum = 0.0F;
  if (item < rows) {
    const T* d_output = a.d_output + item * a.head_size;
    const T* output = a.output + item * a.head_size;
    if (vectors) {
      for (int d = lane * kSize; d < a.head_size; d += kPrepareLanes * kSize) {
        const Packed<T> left = load_packed(d_output + d);
        const Packed<T> right = load_packed(output + d);
#pragma unroll
        for (int i = 0; i < kSize; ++i) {
          sum = fmaf(load(&left.values[i]), load(&right.values[i]), sum);
        }
      }
    } else {
      for (int d = lane; d < a.head_size; d += kPrepareLanes) {
        sum = fmaf(load(d_output + d), load(output + d), sum);
      }
    }
  }
#pragma unroll
  for (int step = 1; step < kPrepareLanes; step *= 2) {
    sum += __shfl_xor_sync(0xFFFFFFFFU, sum, step);
  }
  if (item < rows && lane == 0) {
    const int head = static_cast<int>(item % a.heads);
    const std::int64_t position = item / a.heads;
    const int query = static_cast<int>(position % a.seq_len);
    const std::int64_t sample = position / a.seq_len;
    const KeyRange seen = visible_keys(a.key_begin != nullptr ? a.key_begin + sample * a.seq_len : nullptr,
                                       a.key_begin != nullptr ? a.key_end + sample * a.seq_len : nullptr, query, query,
                                       a.causal, a.seq_len);
    const std::int64_t at = (sample * a.heads + head) * a.seq_len + query;
    // A query that sees nothing has probabilities 2^−∞.
    a.query_rows[at] = {seen.begin < seen.end ? a.log_sum_exp[at] * kLog2E : infinity(), sum, seen.begin, seen.end};
  }
}

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
#pragma unroll
    for (int c = 0; c < Engine::kThreadColumns; ++c) {
      const QueryRow row = rows[Engine::column_of(c)];
#pragma unroll
      for (int r = 0; r < Engine::kThreadRows; ++r) {
        float& weight = Engine::at(weights, r, c);
        const int key = first_key + Engine::row_of(r);
        const bool is_masked = masks && (key < row.key_begin || key >= row.key_end);
        weight = is_masked ? 0.0F : power_of_two(fmaf(weight, to_log2, -row.log2_sum_exp));
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
  QueryRow own[Engine::kThreadRows];
#pragma unroll
  for (int r = 0; r < Engine::kThreadRows; ++r) {
    const int at = first_query + Engine::row_of(r);
    own[r] = at < a.seq_len ? query_rows[at] : QueryRow{infinity(), 0.0F, 0, 0};
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
    const bool masks = first_key < ranges.all.begin || first_key + Engine::kColumns > ranges.all.end;
    typename Engine::Scores weights;
    Engine::multiply(weights, queries, key_tile);
#pragma unroll
    for (int r = 0; r < Engine::kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < Engine::kThreadColumns; ++c) {
        float& weight = Engine::at(weights, r, c);
        const int key = first_key + Engine::column_of(c);
        const bool is_masked = masks && (key < own[r].key_begin || key >= own[r].key_end);
        weight = is_masked ? 0.0F : power_of_two(fmaf(weight, to_log2, -own[r].log2_sum_exp));
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
        d_weight = Engine::at(weights, r, c) * (d_weight - own[r].correction);
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

template <class Engine> constexpr std::size_t shared_bytes() {
  return (2 * Engine::kRowTile + 2 * Engine::kStages * Engine::kColumnTile) * sizeof(typename Engine::Shared) +
         Engine::kScratch * sizeof(float);
}

template <class KeysEngine, class QueriesEngine>
void launch_backward(const KernelContext& context, const BackwardArguments<typename KeysEngine::Element>& arguments) {
  constexpr std::size_t kKeysBytes =
      shared_bytes<KeysEngine>() + KeysEngine::kStages * KeysEngine::kColumns * sizeof(QueryRow);
  constexpr std::size_t kQueriesBytes = shared_bytes<QueriesEngine>();
  static_assert(kKeysBytes <= kLargestSharedBytes && kQueriesBytes <= kLargestSharedBytes);
  const std::int64_t all_heads = std::int64_t{arguments.samples} * arguments.heads;
  const auto blocks = [&](std::int64_t rows) {
    return dim3(block_count((arguments.seq_len + rows - 1) / rows * all_heads));
  };
  launch(context, attention_keys_backward_kernel<KeysEngine>, blocks(KeysEngine::kRows), dim3(KeysEngine::kThreads),
         kKeysBytes, arguments);
  launch(context, attention_queries_backward_kernel<QueriesEngine>, blocks(QueriesEngine::kRows),
         dim3(QueriesEngine::kThreads), kQueriesBytes, arguments);
}

template <bool kDrops> void backward_on_tensor_cores(const KernelContext& context, const BackwardArguments<Bf16>& a) {
  if (a.head_size <= 32) {
    launch_backward<MmaEngine<32, 4, 2, 32, false, kDrops>, MmaEngine<32, 4, 2, 32, true, kDrops>>(context, a);
  } else if (a.head_size <= 64) {
    launch_backward<MmaEngine<64, 4, 2, 32, false, kDrops>, MmaEngine<64, 4, 2, 32, false, kDrops>>(context, a);
  } else if (a.head_size <= 80) {
    launch_backward<MmaEngine<80, 4, 1, 32, false, kDrops>, MmaEngine<80, 4, 2, 32, false, kDrops>>(context, a);
  } else if (a.head_size <= 96) {
    launch_backward<MmaEngine<96, 4, 1, 32, false, kDrops>, MmaEngine<96, 4, 1, 32, false, kDrops>>(context, a);
  } else {
    launch_backward<MmaEngine<128, 4, 1, 32, false, kDrops>, MmaEngine<128, 4, 1, 32, false, kDrops>>(context, a);
  }
}

template <class T> void backward_without(const KernelContext& context, const BackwardArguments<T>& a) {
  if (a.head_size <= 64) {
    launch_backward<SimtEngine<T, 64>, SimtEngine<T, 64>>(context, a);
  } else if (a.head_size <= 128) {
    launch_backward<SimtEngine<T, 128>, SimtEngine<T, 128>>(context, a);
  } else {
    launch_backward<SimtEngine<T, 256>, SimtEngine<T, 256>>(context, a);
  }
}

template <class T> BackwardArguments<T> prepare(const KernelContext& context, const AttentionBackward& call) {
  const bool has_ranges = call.key_begin != nullptr && call.key_end != nullptr;
  BackwardArguments<T> a{};
  a.d_output = static_cast<const T*>(call.d_output.data);
  a.output = static_cast<const T*>(call.output.data);
  a.qkv = static_cast<const T*>(call.qkv.data);
  a.d_qkv = static_cast<T*>(call.d_qkv.data);
  a.log_sum_exp = call.log_sum_exp;
  a.query_rows = static_cast<QueryRow*>(context.workspace);
  a.samples = static_cast<int>(call.batch);
  a.seq_len = static_cast<int>(call.seq_len);
  a.heads = static_cast<int>(call.heads);
  a.head_size = static_cast<int>(call.head_size);
  a.causal = call.causal;
  a.key_begin = has_ranges ? call.key_begin : nullptr;
  a.key_end = has_ranges ? call.key_end : nullptr;
  a.scale = softmax_scale(call.head_size);
  a.mask = DropoutMask(call.dropout);
  const std::int64_t rows = call.batch * call.seq_len * call.heads;
  const std::size_t needed = backward_workspace_bytes(call.batch * call.seq_len, call.heads);
  if (context.workspace_bytes < needed) {
    throw Error("WORKSPACE_TOO_SMALL", "Attention's backward pass needs a workspace of " + std::to_string(needed) +
                                           " bytes and has " + std::to_string(context.workspace_bytes) +
                                           "; reserve it before the call.");
  }
  constexpr int kItems = kPrepareThreads / kPrepareLanes;
  const bool vectors =
      reads_vectors(a.d_output, call.head_size, sizeof(T)) && reads_vectors(a.output, call.head_size, sizeof(T));
  launch(context, attention_prepare_kernel<T>, dim3(block_count((rows + kItems - 1) / kItems)), dim3(kPrepareThreads),
         0, a, vectors, rows);
  return a;
}

} // namespace

std::size_t backward_workspace_bytes(std::int64_t rows, std::int64_t heads) {
  return static_cast<std::size_t>(rows * heads) * sizeof(QueryRow);
}

void attention_backward(const KernelContext& context, const AttentionBackward& call) {
  if (call.batch == 0 || call.seq_len == 0) {
    return;
  }
  check_attention_sizes("attention", call.head_size, call.seq_len, call.batch * call.heads);
  if (call.qkv.type != DataType::kBf16) {
    backward_without(context, prepare<float>(context, call));
    return;
  }
  const BackwardArguments<Bf16> a = prepare<Bf16>(context, call);
  const bool tensor_cores = takes_tensor_cores(a.qkv, a.head_size) && takes_tensor_cores(a.d_output, a.head_size) &&
                            takes_tensor_cores(a.d_qkv, a.head_size);
  if (!tensor_cores) {
    backward_without(context, a);
  } else if (a.mask.drops()) {
    backward_on_tensor_cores<true>(context, a);
  } else {
    backward_on_tensor_cores<false>(context, a);
  }
}

} // namespace assay::cuda
