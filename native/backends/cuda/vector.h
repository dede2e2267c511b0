// What all kernels compute with: bf16, vectors of 16 bytes, sums and maxima over a warp or a block in a fixed order,
// and the random words of dropout.
#pragma once

#include "backends/cuda/device.h"
#include "engine/ops/backend.h"

#if !defined(ASSAY_CUDA_EMULATION)
#include <cuda_bf16.h>
#endif

namespace assay {

// --- bf16 ---
struct Bf16 {
  std::uint16_t bits;
};

__device__ __forceinline__ float to_float(float value) {
  return value;
}
__device__ __forceinline__ float to_float(Bf16 value) {
  return __uint_as_float(static_cast<std::uint32_t>(value.bits) << 16);
}

// Rounds to nearest even; a NaN stays one.
__device__ __forceinline__ Bf16 to_bf16(float value) {
#if defined(ASSAY_CUDA_EMULATION)
  const std::uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7FFFFFFFU) > 0x7F800000U) {
    return Bf16{0x7FFF}; // what the hardware gives for any NaN
  }
  return Bf16{static_cast<std::uint16_t>((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16)};
#else
  return Bf16{__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#endif
}

// A value of type T from fp32.
template <class T> __device__ __forceinline__ T from_float(float value) {
  if constexpr (sizeof(T) == sizeof(float)) {
    return value;
  } else {
    return to_bf16(value);
  }
}

template <class T> __device__ __forceinline__ float load(const T* address) {
  return to_float(*address);
}
template <class T> __device__ __forceinline__ void store(T* address, float value) {
  *address = from_float<T>(value);
}

// --- vectors of 16 bytes ---
template <class T> struct alignas(16) Packed {
  static constexpr int kSize = 16 / static_cast<int>(sizeof(T));
  T values[kSize];
};

#if defined(ASSAY_CUDA_EMULATION)
template <class T> Packed<T> load_packed(const T* address) {
  emulation::check_aligned(address, 16, "a vector that is read");
  Packed<T> result;
  __builtin_memcpy(&result, address, sizeof(result));
  return result;
}
template <class T> Packed<T> load_packed_streaming(const T* address) {
  return load_packed(address);
}
template <class T> void store_packed(T* address, const Packed<T>& vector) {
  emulation::check_aligned(address, 16, "a vector that is written");
  __builtin_memcpy(static_cast<void*>(address), &vector, sizeof(vector));
}
template <class T> void store_packed_streaming(T* address, const Packed<T>& vector) {
  store_packed(address, vector);
}
#else
template <class T> __device__ __forceinline__ Packed<T> load_packed(const T* address) {
  return *reinterpret_cast<const Packed<T>*>(address);
}
// Of what is read or written once: does not displace what others need from the caches.
template <class T> __device__ __forceinline__ Packed<T> load_packed_streaming(const T* address) {
  union {
    int4 words;
    Packed<T> vector;
  } both{__ldcs(reinterpret_cast<const int4*>(address))};
  return both.vector;
}
template <class T> __device__ __forceinline__ void store_packed(T* address, const Packed<T>& vector) {
  *reinterpret_cast<Packed<T>*>(address) = vector;
}
template <class T> __device__ __forceinline__ void store_packed_streaming(T* address, const Packed<T>& vector) {
  __stcs(reinterpret_cast<int4*>(address), *reinterpret_cast<const int4*>(&vector));
}
#endif

// --- reductions; all threads get the result ---
inline constexpr int kWarpSize = 32;
inline constexpr unsigned int kAllLanes = 0xFFFFFFFFU;

struct SumOf {
  static constexpr float kNeutral = 0.0F;
  template <class T> __device__ __forceinline__ T operator()(T a, T b) const { return a + b; }
};
struct MaximumOf {
  static constexpr float kNeutral = -INFINITY;
  __device__ __forceinline__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// Over groups of `Lanes` neighbouring lanes, a power of two.
template <int Lanes, class T, class Operation> __device__ __forceinline__ T reduce_lanes(T value, Operation operation) {
#pragma unroll
  for (int distance = Lanes / 2; distance > 0; distance /= 2) {
    value = operation(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}
template <class T> __device__ __forceinline__ T warp_sum(T value) {
  return reduce_lanes<kWarpSize>(value, SumOf());
}
__device__ __forceinline__ float warp_max(float value) {
  return reduce_lanes<kWarpSize>(value, MaximumOf());
}

// Over the block (one-dimensional, whole warps, at most 1024 threads). `scratch` is shared memory for 32 values; it may
// be used again at once.
template <class T, class Operation>
__device__ __forceinline__ T reduce_block(T value, T* scratch, Operation operation) {
  value = reduce_lanes<kWarpSize>(value, operation);
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warps = static_cast<int>(blockDim.x) / kWarpSize;
  if (lane == 0) {
    scratch[threadIdx.x / kWarpSize] = value;
  }
  __syncthreads();
  value = reduce_lanes<kWarpSize>(lane < warps ? scratch[lane] : static_cast<T>(Operation::kNeutral), operation);
  __syncthreads();
  return value;
}
template <class T> __device__ __forceinline__ T block_sum(T value, T* scratch) {
  return reduce_block(value, scratch, SumOf());
}
__device__ __forceinline__ float block_max(float value, float* scratch) {
  return reduce_block(value, scratch, MaximumOf());
}

// --- random words: Philox4x32-10, the same as in engine/base/philox.h ---
struct RandomWords {
  std::uint32_t words[4];
};

__device__ __forceinline__ RandomWords philox(std::uint32_t counter0, std::uint32_t counter1, std::uint32_t counter2,
                                              std::uint32_t counter3, std::uint32_t key0, std::uint32_t key1) {
  constexpr std::uint32_t kMultiplier0 = 0xD2511F53U;
  constexpr std::uint32_t kMultiplier1 = 0xCD9E8D57U;
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint32_t high0 = __umulhi(kMultiplier0, counter0);
    const std::uint32_t low0 = kMultiplier0 * counter0;
    const std::uint32_t high1 = __umulhi(kMultiplier1, counter2);
    const std::uint32_t low1 = kMultiplier1 * counter2;
    counter0 = high1 ^ counter1 ^ key0;
    counter1 = low1;
    counter2 = high0 ^ counter3 ^ key1;
    counter3 = low0;
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return {{counter0, counter1, counter2, counter3}};
}

// `Dropout` as a kernel takes it: by value, with the probability as a threshold on 32 random bits.
struct DropoutMask {
  std::uint32_t key0 = 0, key1 = 0, step = 0, first_sample = 0, site = 0;
  std::uint32_t threshold = 0;
  float scale = 1.0F; // 1 / (1 − probability)

  DropoutMask() = default;
  explicit DropoutMask(const Dropout& dropout)
      : key0(static_cast<std::uint32_t>(dropout.seed)), key1(static_cast<std::uint32_t>(dropout.seed >> 32)),
        step(dropout.step), first_sample(dropout.first_sample), site(dropout.site) {
    const double share = static_cast<double>(dropout.probability) * 0x1.0p32;
    threshold = share < 4294967295.0 ? static_cast<std::uint32_t>(share) : 0xFFFFFFFFU;
    scale = 1.0F / (1.0F - dropout.probability);
  }

  __host__ __device__ bool drops() const { return threshold != 0; }
  // The words of elements 4 · group … 4 · group + 3 of a sample, counted from the call's first.
  __device__ __forceinline__ RandomWords words(std::uint32_t group, std::uint32_t sample_in_call) const {
    return philox(group, first_sample + sample_in_call, step, site, key0, key1);
  }
  // What an element with this word is multiplied by.
  __device__ __forceinline__ float factor(std::uint32_t word) const { return word >= threshold ? scale : 0.0F; }
  // The same for one element; four neighbours are cheaper together.
  __device__ __forceinline__ float factor_of(std::int64_t element, std::uint32_t sample_in_call) const {
    const RandomWords four = words(static_cast<std::uint32_t>(element >> 2), sample_in_call);
    const int place = static_cast<int>(element & 3);
    // Not indexed, so that the words stay in registers.
    const std::uint32_t word = place == 0   ? four.words[0]
                               : place == 1 ? four.words[1]
                               : place == 2 ? four.words[2]
                                            : four.words[3];
    return factor(word);
  }
};

} // namespace assay
