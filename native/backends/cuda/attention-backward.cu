// Attention's backward pass. Probabilities are rebuilt from forward's log-sum-exp, twice: one kernel takes a block of
// keys past the queries and adds up the gradients of keys and values, another takes a block of queries past the keys
// and adds up theirs. That is seven products of tiles where one loop would need five, and deterministic without
// atomics: one loop would have to add the queries' gradients across blocks, in fp32 through memory (T² · D / tile
// values a head written and read again, about what the two products cost, and a workspace that grows with T²), or have
// blocks wait for each other. In return weights and their gradients never leave the registers: in both kernels the
// scores lie such that they are the left operand of the next product, so nothing is exchanged between warps and a tile
// costs one barrier. A first kernel gathers what both need to know of a query (QueryRow).
#include "backends/cuda/attention-arguments.h"
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

template <class T> void run_backward(const KernelContext& context, const BackwardArguments<T>& a) {
  const bool tensor_cores = takes_tensor_cores(a.qkv, a.head_size) && takes_tensor_cores(a.d_output, a.head_size) &&
                            takes_tensor_cores(a.d_qkv, a.head_size);
  run_keys_backward(context, a, tensor_cores);
  run_queries_backward(context, a, tensor_cores);
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
  if (call.qkv.type == DataType::kBf16) {
    run_backward(context, prepare<Bf16>(context, call));
  } else {
    run_backward(context, prepare<float>(context, call));
  }
}

} // namespace assay::cuda
