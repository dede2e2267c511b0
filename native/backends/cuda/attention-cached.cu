// Attention of new positions against their sequences' caches. Few positions go as attention-few.cu has it. Many (a
// prompt) are stored first and then go through the tiles of training.
#include "backends/cuda/attention-cached.h"
#include "backends/cuda/attention.h"

#include <algorithm>

namespace assay::cuda {

namespace {

constexpr int kThreads = 128;

template <class T> __global__ void __launch_bounds__(kThreads) attention_append_kernel(const CachedArguments<T> a) {
  constexpr int kSize = Packed<T>::kSize;
  const int step = a.vectors ? kSize : 1;
  const int steps = a.head_size / step;
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  const std::int64_t item = std::int64_t{blockIdx.x} * kThreads + static_cast<int>(threadIdx.x);
  const int d = static_cast<int>(item % steps) * step;
  const std::int64_t row = item / steps / a.heads; // (sequence, position)
  const int head = static_cast<int>(item / steps % a.heads);
  if (row >= std::int64_t{a.sequences} * a.count) {
    return;
  }
  const int sequence = static_cast<int>(row / a.count);
  const int position = static_cast<int>(row % a.count);
  const int past = past_of(a, sequence);
  if (past >= a.capacity - position) {
    return; // the cache is full
  }
  const T* key = a.qkv + row * 3 * channels + channels + std::int64_t{head} * a.head_size + d;
  const T* value = key + channels;
  const std::int64_t at = ((std::int64_t{sequence} * a.heads + head) * a.capacity + past + position) * a.head_size + d;
  if (a.vectors) {
    store_packed(a.key_cache + at, load_packed(key));
    store_packed(a.value_cache + at, load_packed(value));
  } else {
    a.key_cache[at] = *key;
    a.value_cache[at] = *value;
  }
}

template <class T> void attend_many(const KernelContext& context, const CachedArguments<T>& a) {
  const std::int64_t steps = a.vectors ? a.head_size / Packed<T>::kSize : a.head_size;
  const std::int64_t items = std::int64_t{a.sequences} * a.count * a.heads * steps;
  launch(context, attention_append_kernel<T>, dim3(block_count((items + kThreads - 1) / kThreads)), dim3(kThreads), 0,
         a);
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  ForwardArguments<T> forward{};
  forward.query = a.qkv;
  forward.query_sample_stride = a.count * 3 * channels;
  forward.query_row_stride = 3 * channels;
  forward.key = a.key_cache;
  forward.value = a.value_cache;
  forward.key_sample_stride = channels * a.capacity;
  forward.key_row_stride = a.head_size;
  forward.key_head_stride = std::int64_t{a.capacity} * a.head_size;
  forward.output = a.output;
  forward.samples = a.sequences;
  forward.queries = a.count;
  forward.heads = a.heads;
  forward.head_size = a.head_size;
  forward.key_capacity = a.capacity;
  forward.past = a.past;
  forward.causal = true;
  forward.scale = a.scale;
  run_attention_forward(context, forward);
}

template <class T> void attend_cached(const KernelContext& context, const AttentionCached& call) {
  CachedArguments<T> a{};
  a.qkv = static_cast<const T*>(call.qkv.data);
  a.key_cache = static_cast<T*>(call.key_cache.data);
  a.value_cache = static_cast<T*>(call.value_cache.data);
  a.output = static_cast<T*>(call.output.data);
  a.past = call.past;
  a.sequences = static_cast<int>(call.sequences);
  a.count = static_cast<int>(call.count);
  a.capacity = static_cast<int>(call.capacity);
  a.heads = static_cast<int>(call.heads);
  a.head_size = static_cast<int>(call.head_size);
  a.vectors = reads_vectors(a.qkv, call.head_size, sizeof(T)) &&
              reads_vectors(a.key_cache, call.head_size, sizeof(T)) &&
              reads_vectors(a.value_cache, call.head_size, sizeof(T));
  a.scale = softmax_scale(call.head_size);
  if (call.count <= kFewPositions) {
    attend_few(context, a, std::max(call.count, std::min(call.longest, call.capacity)));
  } else {
    attend_many(context, a);
  }
}

} // namespace

void attention_cached(const KernelContext& context, const AttentionCached& call) {
  if (call.sequences == 0 || call.count == 0) {
    return;
  }
  check_attention_sizes("attention", call.head_size, call.capacity, call.sequences * call.heads);
  if (call.key_cache.type != call.qkv.type || call.value_cache.type != call.qkv.type) {
    throw Error("NOT_SUPPORTED", "The CUDA backend keeps caches in the type of the activations; give both the same.");
  }
  if (call.qkv.type == DataType::kBf16) {
    attend_cached<Bf16>(context, call);
  } else {
    attend_cached<float>(context, call);
  }
}

} // namespace assay::cuda
