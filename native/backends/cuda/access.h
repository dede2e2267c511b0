// Runs of kWidth values of any stored type, read into and written from floats: 16 bytes an access where kWidth fills
// them, one by one where it is 1. Also what the host needs to choose between the two.
#pragma once

#include "backends/cuda/device.h"
#include "backends/cuda/vector.h"
#include "engine/ops/backend.h"

#include <cstdint>

namespace assay::cuda {

enum class Reuse { kSoon, kNever }; // kNever: the caches need not keep it

template <class T> inline constexpr int kPackedWidth = Packed<T>::kSize;

template <class T> __device__ __forceinline__ void widen(float (&values)[Packed<T>::kSize], const Packed<T>& group) {
#pragma unroll
  for (int i = 0; i < Packed<T>::kSize; ++i) {
    values[i] = to_float(group.values[i]);
  }
}

template <Reuse kReuse = Reuse::kSoon, class T, int kWidth>
__device__ __forceinline__ void load_values(float (&values)[kWidth], const T* source) {
  if constexpr (kWidth % Packed<T>::kSize == 0) {
#pragma unroll
    for (int first = 0; first < kWidth; first += Packed<T>::kSize) {
      const Packed<T> packed =
          kReuse == Reuse::kNever ? load_packed_streaming(source + first) : load_packed(source + first);
#pragma unroll
      for (int i = 0; i < Packed<T>::kSize; ++i) {
        values[first + i] = load(&packed.values[i]);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] = load(source + i);
    }
  }
}

// Stores 16 bytes in global memory at once: left to itself the compiler may store them value by value.
template <Reuse kReuse = Reuse::kSoon, class T>
__device__ __forceinline__ void store_group(T* target, const Packed<T>& group) {
#if defined(ASSAY_CUDA_EMULATION)
  store_packed(target, group);
#else
  int words[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    if constexpr (sizeof(T) == 4) {
      words[i] = __float_as_int(group.values[i]);
    } else {
      words[i] = static_cast<int>(group.values[2 * i].bits | (std::uint32_t{group.values[2 * i + 1].bits} << 16));
    }
  }
  const int4 all = make_int4(words[0], words[1], words[2], words[3]);
  if constexpr (kReuse == Reuse::kNever) {
    __stcs(reinterpret_cast<int4*>(target), all);
  } else {
    __stwb(reinterpret_cast<int4*>(target), all);
  }
#endif
}

template <Reuse kReuse = Reuse::kSoon, class T, int kWidth>
__device__ __forceinline__ void store_values(T* target, const float (&values)[kWidth]) {
  if constexpr (kWidth % Packed<T>::kSize == 0) {
#pragma unroll
    for (int first = 0; first < kWidth; first += Packed<T>::kSize) {
      Packed<T> group;
#pragma unroll
      for (int i = 0; i < Packed<T>::kSize; ++i) {
        store(&group.values[i], values[first + i]);
      }
      store_group<kReuse>(target + first, group);
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      store(target + i, values[i]);
    }
  }
}

// Whether all of these may be read 16 bytes at a time; null may.
template <class... Pointers> bool are_aligned(const Pointers*... pointers) {
  return ((reinterpret_cast<std::uintptr_t>(pointers) % 16 == 0) && ...);
}

// Calls body(T{}) with the type that activations are kept in.
template <class Body> void with_type(DataType type, const Body& body) {
  if (type == DataType::kBf16) {
    body(Bf16{});
  } else {
    body(float{});
  }
}

template <class T> const T* pointer(const ConstValues& values) {
  return static_cast<const T*>(values.data);
}
template <class T> T* pointer(const Values& values) {
  return static_cast<T*>(values.data);
}

constexpr std::int64_t divide_up(std::int64_t count, std::int64_t by) {
  return (count + by - 1) / by;
}

inline dim3 grid_of(std::int64_t x, std::int64_t y = 1) {
  return dim3(static_cast<unsigned>(x), static_cast<unsigned>(y), 1);
}

} // namespace assay::cuda
