// What attention's kernels are given, and what all of them ask: which keys a query sees, and which probabilities
// dropout keeps. Positions are 32 bits wide here (the host functions see to it), addresses 64.
#pragma once

#include "backends/cuda/device.h"
#include "backends/cuda/vector.h"
#include "engine/ops/backend.h"

#include <cstdint>

namespace assay::cuda {

inline constexpr float kLog2E = 1.44269504088896341F;
inline constexpr float kLn2 = 0.693147180559945309F;
inline constexpr int kLargestInt = 0x7FFFFFFF;

__device__ __forceinline__ float infinity() {
  return __builtin_huge_valf();
}

// 2^x; results below the normal numbers are 0, of no use to any softmax.
__device__ __forceinline__ float power_of_two(float x) {
#if defined(__CUDA_ARCH__)
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
#else
  return exp2f(x);
#endif
}

// Of four words the one that is known only when the kernel runs, without an array in memory.
__device__ __forceinline__ std::uint32_t word_at(const RandomWords& random, int index) {
  const std::uint32_t low = (index & 1) != 0 ? random.words[1] : random.words[0];
  const std::uint32_t high = (index & 1) != 0 ? random.words[3] : random.words[2];
  return (index & 2) != 0 ? high : low;
}

// Where a tile of scores lies: which sample and head of sequences of `seq_len`, and its first query and key.
struct TilePlace {
  int sample, head, seq_len;
  int first_query, first_key;

  __device__ __forceinline__ std::uint64_t element(int query, int key) const {
    const std::uint64_t row = static_cast<std::uint64_t>(head) * static_cast<std::uint64_t>(seq_len) +
                              static_cast<std::uint64_t>(first_query + query);
    return row * static_cast<std::uint64_t>(seq_len) + static_cast<std::uint64_t>(first_key + key);
  }
  // Of the four elements that the given one is among.
  __device__ __forceinline__ RandomWords words(const DropoutMask& mask, std::uint64_t element) const {
    return mask.words(static_cast<std::uint32_t>(element / 4), static_cast<std::uint32_t>(sample));
  }
};

__device__ __forceinline__ bool is_kept(const DropoutMask& mask, const TilePlace& place, int query, int key) {
  const std::uint64_t element = place.element(query, key);
  return word_at(place.words(mask, element), static_cast<int>(element % 4)) >= mask.threshold;
}

// Keys begin … end − 1; none is {0, 0}.
struct KeyRange {
  int begin, end;
};

// What the query at `position` sees of `key_count` keys. `begin` and `end` are its sequence's ranges by query, or null;
// whatever they hold, no key beyond the count is named.
__device__ __forceinline__ KeyRange visible_keys(const std::int32_t* begin, const std::int32_t* end, int query,
                                                 int position, bool causal, int key_count) {
  KeyRange seen{0, causal && position < key_count ? position + 1 : key_count};
  if (begin != nullptr) {
    seen.begin = begin[query] > 0 ? begin[query] : 0;
    seen.end = end[query] < seen.end ? end[query] : seen.end;
  }
  return seen.begin < seen.end ? seen : KeyRange{0, 0};
}

// Attention of `queries` rows of each sample against keys that lie among them or in caches. Strides count values;
// consecutive heads of queries and output are head_size apart.
template <class T> struct ForwardArguments {
  const T* query;
  std::int64_t query_sample_stride, query_row_stride;
  const T* key;
  const T* value;
  std::int64_t key_sample_stride, key_row_stride, key_head_stride;
  T* output;          // (samples, queries, heads · head_size)
  float* log_sum_exp; // (samples, heads, queries) or null
  int samples, queries, heads, head_size;
  int key_capacity;         // of a sample; as many are there as queries, without `past`
  const std::int32_t* past; // (samples) or null: keys before the first query
  bool causal;
  const std::int32_t* key_begin; // (samples, queries) or null
  const std::int32_t* key_end;
  float scale;
  DropoutMask mask;
};

// What backward knows of a query and head: its log-sum-exp over ln 2, Σ d_output · output, and the keys it sees.
// As large as one asynchronous copy.
struct alignas(16) QueryRow {
  float log2_sum_exp;
  float correction;
  int key_begin, key_end;
};

template <class T> struct BackwardArguments {
  const T* d_output; // (samples, seq_len, channels)
  const T* output;
  const T* qkv; // (samples, seq_len, 3 · channels)
  T* d_qkv;
  const float* log_sum_exp; // (samples, heads, seq_len)
  QueryRow* query_rows;     // (samples, heads, seq_len): workspace
  int samples, seq_len, heads, head_size;
  bool causal;
  const std::int32_t* key_begin; // (samples, seq_len) or null
  const std::int32_t* key_end;
  float scale;
  DropoutMask mask;
};

float softmax_scale(std::int64_t head_size);
// Throws NOT_SUPPORTED where the head is too large, or a position or the number of heads does not fit 31 bits.
void check_attention_sizes(const char* operation, std::int64_t head_size, std::int64_t seq_len, std::int64_t all_heads);
// Throws NOT_SUPPORTED where a grid cannot have so many blocks.
unsigned block_count(std::int64_t blocks);
// Whether rows of heads of this size can be read 16 bytes at a time.
bool reads_vectors(const void* values, std::int64_t head_size, std::size_t value_bytes);
// Whether bf16 heads fit the tiles of MmaEngine.
bool takes_tensor_cores(const void* values, std::int64_t head_size);
std::size_t backward_workspace_bytes(std::int64_t rows, std::int64_t heads);

// The kernels, for fp32 and bf16. Forward serves training and prompts alike.
void run_attention_forward(const KernelContext& context, const ForwardArguments<float>& arguments);
void run_attention_forward(const KernelContext& context, const ForwardArguments<Bf16>& arguments);
void run_keys_backward(const KernelContext& context, const BackwardArguments<float>& arguments, bool tensor_cores);
void run_keys_backward(const KernelContext& context, const BackwardArguments<Bf16>& arguments, bool tensor_cores);
void run_queries_backward(const KernelContext& context, const BackwardArguments<float>& arguments, bool tensor_cores);
void run_queries_backward(const KernelContext& context, const BackwardArguments<Bf16>& arguments, bool tensor_cores);

} // namespace assay::cuda
