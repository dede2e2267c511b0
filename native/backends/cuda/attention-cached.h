// What the two ways of attending to caches share: their arguments, and how many keys a new position sees.
#pragma once

#include "backends/cuda/attention-arguments.h"

namespace assay::cuda {

// More new positions of a sequence are a prompt.
inline constexpr int kFewPositions = 16;

template <class T> struct CachedArguments {
  const T* qkv; // (sequences, count, 3 · channels)
  T* key_cache; // (sequences, heads, capacity, head_size)
  T* value_cache;
  T* output; // (sequences, count, channels)
  const std::int32_t* past;
  int sequences, count, capacity, heads, head_size;
  int piece_keys, pieces;
  bool vectors;
  float scale;
  float* sums;   // (sequences, count, heads, pieces, head_size): weighted values
  float2* parts; // (sequences, count, heads, pieces): maximum of the scores over ln 2, and sum of the weights
};

template <class T> __device__ __forceinline__ int past_of(const CachedArguments<T>& a, int sequence) {
  return a.past[sequence] > 0 ? a.past[sequence] : 0;
}

// Positions up to and with new position `row` of a sequence that are in the cache.
template <class T> __device__ __forceinline__ int keys_of(const CachedArguments<T>& a, int past, int row) {
  return past < a.capacity - row ? past + row + 1 : a.capacity;
}

// `longest` as the call has it.
void attend_few(const KernelContext& context, const CachedArguments<float>& arguments, std::int64_t longest);
void attend_few(const KernelContext& context, const CachedArguments<Bf16>& arguments, std::int64_t longest);

} // namespace assay::cuda
