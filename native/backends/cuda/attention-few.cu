// Attention of a few new positions a sequence (decoding), which is limited by reading the cache once: it is cut into
// pieces of some keys, a block a piece and head, so that even one sequence keeps all of the device's memory busy; a
// block has its whole piece under way at once, and all of a sequence's new positions use it. A second kernel joins the
// pieces in order. Pieces begin at fixed keys, so a sequence's result depends neither on the other sequences nor on how
// long they are, and the launches depend on `longest` alone: they can be recorded. The block that has the place of a
// new key takes it from the projections and stores it.
#include "backends/cuda/attention-cached.h"
#include "backends/cuda/attention.h"
#include "backends/cuda/ptx.h"

#include <algorithm>
#include <string>

namespace assay::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;
constexpr int kPieceKeys = 64;           // two threads a key
constexpr int kPieceRowBytes = 512;      // of longer rows a piece has half as many keys, for the shared memory
constexpr std::int64_t kGroupRows = 128; // new positions whose pieces the planned workspace holds at a time

// Chunks of 16 bytes in a row of shared memory: an odd number, so that rows begin in different banks.
template <class T> __host__ __device__ __forceinline__ int chunks_of(int head_size) {
  return (head_size + Packed<T>::kSize - 1) / Packed<T>::kSize;
}
template <class T> __host__ __device__ __forceinline__ int row_chunks(int head_size) {
  return chunks_of<T>(head_size) | 1;
}

// Keys (or values) of a piece to shared memory: those of the cache, and the new ones from the projections.
template <class T>
__device__ __forceinline__ void load_piece(const CachedArguments<T>& a, T* shared, const T* cache, const T* fresh,
                                           int first, int keys, int past) {
  constexpr int kSize = Packed<T>::kSize;
  const std::int64_t fresh_stride = std::int64_t{3} * a.heads * a.head_size;
  const int chunks = chunks_of<T>(a.head_size);
  const int stride = row_chunks<T>(a.head_size) * kSize;
  for (int i = static_cast<int>(threadIdx.x); i < keys * chunks; i += kThreads) {
    const int row = i / chunks;
    const int d = i % chunks * kSize;
    const int key = first + row;
    const T* source = (key < past ? cache + std::int64_t{key} * a.head_size : fresh + (key - past) * fresh_stride) + d;
    T* target = shared + row * stride + d;
    if (a.vectors) {
      cp_async_16(target, source);
    } else {
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        store(target + j, d + j < a.head_size ? load(source + j) : 0.0F);
      }
    }
  }
  cp_async_commit();
}

// The new ones among them to the cache.
template <class T>
__device__ __forceinline__ void store_fresh(const CachedArguments<T>& a, const T* shared, T* cache, int first, int keys,
                                            int past) {
  constexpr int kSize = Packed<T>::kSize;
  const int chunks = chunks_of<T>(a.head_size);
  const int stride = row_chunks<T>(a.head_size) * kSize;
  const int before = past > first ? past - first : 0;
  const int known = before < keys ? before : keys;
  for (int i = known * chunks + static_cast<int>(threadIdx.x); i < keys * chunks; i += kThreads) {
    const int row = i / chunks;
    const int d = i % chunks * kSize;
    const T* source = shared + row * stride + d;
    T* target = cache + std::int64_t{first + row} * a.head_size + d;
    if (a.vectors) {
      store_packed(target, *reinterpret_cast<const Packed<T>*>(source));
    } else {
      for (int j = 0; j < kSize && d + j < a.head_size; ++j) {
        target[j] = source[j];
      }
    }
  }
}

template <class T, int kQueries>
__global__ void __launch_bounds__(kThreads) attention_pieces_kernel(const CachedArguments<T> a) {
  constexpr int kSize = Packed<T>::kSize;
  const int piece = static_cast<int>(blockIdx.x) % a.pieces;
  const int head = static_cast<int>(blockIdx.x) / a.pieces % a.heads;
  const int sequence = static_cast<int>(blockIdx.x) / a.pieces / a.heads;
  const int past = past_of(a, sequence);
  const int first = piece * a.piece_keys;
  const int left = keys_of(a, past, a.count - 1) - first;
  const int keys = left < a.piece_keys ? left : a.piece_keys;
  if (keys <= 0) {
    return;
  }
  const int chunks = chunks_of<T>(a.head_size);
  const int stride = row_chunks<T>(a.head_size) * kSize;
  const int padded = chunks * kSize;
  T* key_rows = dynamic_shared<T>();
  T* value_rows = key_rows + a.piece_keys * stride;
  float* queries = reinterpret_cast<float*>(value_rows + a.piece_keys * stride); // (kQueries, padded)
  float* weights = queries + kQueries * padded;                                  // (kQueries, piece_keys)
  float* partial = weights + kQueries * a.piece_keys;                            // (kThreads, kSize)

  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  const T* fresh = a.qkv + std::int64_t{sequence} * a.count * 3 * channels + head * a.head_size;
  const std::int64_t cache_at = (std::int64_t{sequence} * a.heads + head) * a.capacity * a.head_size;
  load_piece(a, key_rows, a.key_cache + cache_at, fresh + channels, first, keys, past);
  load_piece(a, value_rows, a.value_cache + cache_at, fresh + 2 * channels, first, keys, past);
  const float to_log2 = a.scale * kLog2E;
  for (int i = static_cast<int>(threadIdx.x); i < kQueries * padded; i += kThreads) {
    const int row = i / padded;
    const int d = i % padded;
    queries[i] = row < a.count && d < a.head_size ? load(fresh + row * 3 * channels + d) * to_log2 : 0.0F;
  }
  cp_async_wait<1>();
  __syncthreads();

  // Two threads a key take turns at its chunks.
  {
    const int key = static_cast<int>(threadIdx.x) / 2;
    float dots[kQueries];
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
      dots[q] = 0.0F;
    }
    for (int chunk = static_cast<int>(threadIdx.x) % 2; key < keys && chunk < chunks; chunk += 2) {
      const Packed<T> packed = *reinterpret_cast<const Packed<T>*>(key_rows + key * stride + chunk * kSize);
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        const float value = load(&packed.values[j]);
#pragma unroll
        for (int q = 0; q < kQueries; ++q) {
          dots[q] = fmaf(value, queries[q * padded + chunk * kSize + j], dots[q]);
        }
      }
    }
#pragma unroll
    for (int q = 0; q < kQueries; ++q) {
      dots[q] += __shfl_xor_sync(0xFFFFFFFFU, dots[q], 1);
      if (threadIdx.x % 2 == 0 && key < keys) {
        weights[q * a.piece_keys + key] = dots[q];
      }
    }
  }
  __syncthreads();

  // A warp a query: weights from scores.
  const std::int64_t parts_at = (std::int64_t{sequence} * a.count * a.heads + head) * a.pieces + piece;
  for (int q = static_cast<int>(threadIdx.x) / 32; q < a.count; q += kWarps) {
    const int seen = keys_of(a, past, q) - first;
    float* own = weights + q * a.piece_keys;
    float highest = -infinity();
    for (int key = static_cast<int>(threadIdx.x) % 32; key < keys && key < seen; key += 32) {
      highest = fmaxf(highest, own[key]);
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      highest = fmaxf(highest, __shfl_xor_sync(0xFFFFFFFFU, highest, step));
    }
    float total = 0.0F;
    for (int key = static_cast<int>(threadIdx.x) % 32; key < keys; key += 32) {
      own[key] = key < seen ? power_of_two(own[key] - highest) : 0.0F;
      total += own[key];
    }
#pragma unroll
    for (int step = 16; step > 0; step /= 2) {
      total += __shfl_xor_sync(0xFFFFFFFFU, total, step);
    }
    if (threadIdx.x % 32 == 0) {
      a.parts[parts_at + std::int64_t{q} * a.heads * a.pieces] = make_float2(highest, total);
    }
  }
  cp_async_wait<0>();
  __syncthreads();

  // A thread has a chunk of a query's values, and where that leaves threads over, a share of the keys.
  const int slots = a.count * chunks;
  const int shares = slots < kThreads ? kThreads / slots : 1;
  for (int first_slot = 0; first_slot < slots; first_slot += kThreads) {
    const int slot = first_slot + static_cast<int>(threadIdx.x) % (shares > 1 ? slots : kThreads);
    const int share = shares > 1 ? static_cast<int>(threadIdx.x) / slots : 0;
    const int chunk = slot % chunks;
    const int q = slot / chunks;
    const bool works = share < shares && slot < slots;
    float sums[kSize];
#pragma unroll
    for (int j = 0; j < kSize; ++j) {
      sums[j] = 0.0F;
    }
    for (int key = share; works && key < keys; key += shares) {
      const float weight = weights[q * a.piece_keys + key];
      const Packed<T> packed = *reinterpret_cast<const Packed<T>*>(value_rows + key * stride + chunk * kSize);
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        sums[j] = fmaf(weight, load(&packed.values[j]), sums[j]);
      }
    }
    if (shares > 1) {
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        partial[static_cast<int>(threadIdx.x) * kSize + j] = sums[j];
      }
      __syncthreads();
      for (int other = 1; works && share == 0 && other < shares; ++other) {
#pragma unroll
        for (int j = 0; j < kSize; ++j) {
          sums[j] += partial[(other * slots + slot) * kSize + j];
        }
      }
    }
    if (works && share == 0) {
      float* target = a.sums + (parts_at + std::int64_t{q} * a.heads * a.pieces) * a.head_size;
#pragma unroll
      for (int j = 0; j < kSize; ++j) {
        if (chunk * kSize + j < a.head_size) {
          target[chunk * kSize + j] = sums[j];
        }
      }
    }
  }
  store_fresh(a, key_rows, a.key_cache + cache_at, first, keys, past);
  store_fresh(a, value_rows, a.value_cache + cache_at, first, keys, past);
}

// A block joins the pieces of a head of a new position.
template <class T> __global__ void __launch_bounds__(kThreads) attention_join_kernel(const CachedArguments<T> a) {
  const int item = static_cast<int>(blockIdx.x); // (sequence, position, head)
  const int row = item / a.heads;
  const int keys = keys_of(a, past_of(a, row / a.count), row % a.count);
  const int needed = (keys + a.piece_keys - 1) / a.piece_keys;
  const int pieces = needed < a.pieces ? needed : a.pieces;
  const float2* parts = a.parts + std::int64_t{item} * a.pieces;
  const float* sums = a.sums + std::int64_t{item} * a.pieces * a.head_size;
  float highest = -infinity();
  for (int piece = 0; piece < pieces; ++piece) {
    highest = fmaxf(highest, parts[piece].x);
  }
  for (int d = static_cast<int>(threadIdx.x); d < a.head_size; d += kThreads) {
    float total = 0.0F;
    float sum = 0.0F;
    for (int piece = 0; piece < pieces; ++piece) {
      const float factor = power_of_two(parts[piece].x - highest);
      total = fmaf(factor, parts[piece].y, total);
      sum = fmaf(factor, sums[std::int64_t{piece} * a.head_size + d], sum);
    }
    store(a.output + std::int64_t{item} * a.head_size + d, sum / total);
  }
}

int piece_keys_of(std::int64_t head_size, std::size_t value_bytes) {
  return static_cast<std::size_t>(head_size) * value_bytes <= kPieceRowBytes ? kPieceKeys : kPieceKeys / 2;
}

// For one new position.
std::size_t piece_bytes(std::int64_t context, std::int64_t heads, std::int64_t head_size, int piece_keys) {
  const std::int64_t pieces = (context + piece_keys - 1) / piece_keys;
  return static_cast<std::size_t>(pieces * heads) *
         (static_cast<std::size_t>(head_size) * sizeof(float) + sizeof(float2));
}

template <class T, int kQueries> void launch_pieces(const KernelContext& context, const CachedArguments<T>& a) {
  constexpr int kSize = Packed<T>::kSize;
  const std::size_t shared_bytes =
      std::size_t{2} * a.piece_keys * row_chunks<T>(a.head_size) * kSize * sizeof(T) +
      sizeof(float) * (std::size_t{kQueries} * (chunks_of<T>(a.head_size) * kSize + a.piece_keys) + kThreads * kSize);
  launch(context, attention_pieces_kernel<T, kQueries>,
         dim3(block_count(std::int64_t{a.sequences} * a.heads * a.pieces)), dim3(kThreads), shared_bytes, a);
}

// Sequences go in groups whose pieces fit the workspace; what is computed does not depend on the groups.
template <class T> void attend_in_pieces(const KernelContext& context, CachedArguments<T> a, std::int64_t longest) {
  a.piece_keys = piece_keys_of(a.head_size, sizeof(T));
  a.pieces = static_cast<int>((longest + a.piece_keys - 1) / a.piece_keys);
  const std::size_t row_bytes = piece_bytes(longest, a.heads, a.head_size, a.piece_keys);
  const std::size_t needed = row_bytes * static_cast<std::size_t>(a.count);
  if (context.workspace_bytes < needed) {
    throw Error("WORKSPACE_TOO_SMALL", "Attention against a cache of " + std::to_string(longest) +
                                           " positions needs a workspace of " + std::to_string(needed) +
                                           " bytes and has " + std::to_string(context.workspace_bytes) +
                                           "; reserve it before the call.");
  }
  const int all = a.sequences;
  const int group =
      static_cast<int>(std::min<std::size_t>(context.workspace_bytes / needed, static_cast<std::size_t>(all)));
  const std::int64_t channels = std::int64_t{a.heads} * a.head_size;
  for (int done = 0; done < all; done += group) {
    a.sequences = std::min(group, all - done);
    const std::size_t items = std::size_t{1} * a.sequences * a.count * a.heads;
    a.parts = static_cast<float2*>(context.workspace);
    a.sums = reinterpret_cast<float*>(a.parts + items * a.pieces);
    if (a.count == 1) {
      launch_pieces<T, 1>(context, a);
    } else if (a.count <= 4) {
      launch_pieces<T, 4>(context, a);
    } else {
      launch_pieces<T, kFewPositions>(context, a);
    }
    launch(context, attention_join_kernel<T>, dim3(block_count(static_cast<std::int64_t>(items))), dim3(kThreads), 0,
           a);
    a.qkv += std::int64_t{a.sequences} * a.count * 3 * channels;
    a.output += std::int64_t{a.sequences} * a.count * channels;
    a.key_cache += a.sequences * channels * a.capacity;
    a.value_cache += a.sequences * channels * a.capacity;
    a.past += a.sequences;
  }
}

} // namespace

void attend_few(const KernelContext& context, const CachedArguments<float>& arguments, std::int64_t longest) {
  attend_in_pieces(context, arguments, longest);
}

void attend_few(const KernelContext& context, const CachedArguments<Bf16>& arguments, std::int64_t longest) {
  attend_in_pieces(context, arguments, longest);
}

std::size_t attention_workspace_bytes(const WorkspaceRequest& request) {
  if (request.heads < 1) {
    return 0;
  }
  if (request.training) {
    return backward_workspace_bytes(request.rows, request.heads);
  }
  const std::int64_t head_size = request.channels / request.heads;
  return static_cast<std::size_t>(std::min(request.rows, kGroupRows)) *
         piece_bytes(request.seq_len, request.heads, head_size, piece_keys_of(head_size, sizeof(float)));
}

} // namespace assay::cuda
