// The words, vector types and built-in variables of CUDA C++ for a host compiler. A block runs on one thread of the
// system, its threads as fibers, so shared variables are simply static and threadIdx is set whenever a fiber goes on.
#pragma once

#include <cstdint>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
// Thread-local so that they lie together and can be poisoned between blocks (see poison_static_shared_memory).
#define __shared__ static thread_local

#define ASSAY_VECTOR_TYPES(type, name, alignment2, alignment4)                                                         \
  struct alignas(alignment2) name##2 {                                                                                 \
    type x, y;                                                                                                         \
  };                                                                                                                   \
  struct name##3 {                                                                                                     \
    type x, y, z;                                                                                                      \
  };                                                                                                                   \
  struct alignas(alignment4) name##4 {                                                                                 \
    type x, y, z, w;                                                                                                   \
  };                                                                                                                   \
  inline name##2 make_##name##2(type x, type y) {                                                                      \
    return {x, y};                                                                                                     \
  }                                                                                                                    \
  inline name##3 make_##name##3(type x, type y, type z) {                                                              \
    return {x, y, z};                                                                                                  \
  }                                                                                                                    \
  inline name##4 make_##name##4(type x, type y, type z, type w) {                                                      \
    return {x, y, z, w};                                                                                               \
  }
ASSAY_VECTOR_TYPES(signed char, char, 2, 4)
ASSAY_VECTOR_TYPES(unsigned char, uchar, 2, 4)
ASSAY_VECTOR_TYPES(short, short, 4, 8)
ASSAY_VECTOR_TYPES(unsigned short, ushort, 4, 8)
ASSAY_VECTOR_TYPES(int, int, 8, 16)
ASSAY_VECTOR_TYPES(unsigned int, uint, 8, 16)
ASSAY_VECTOR_TYPES(float, float, 8, 16)
ASSAY_VECTOR_TYPES(long long, longlong, 16, 16)
ASSAY_VECTOR_TYPES(double, double, 16, 16)
#undef ASSAY_VECTOR_TYPES

struct dim3 {
  unsigned int x, y, z;
  constexpr dim3(unsigned int x_size = 1, unsigned int y_size = 1, unsigned int z_size = 1)
      : x(x_size), y(y_size), z(z_size) {}
};

inline uint3 threadIdx{};
inline uint3 blockIdx{};
inline dim3 blockDim;
inline dim3 gridDim;
inline constexpr int warpSize = 32;

#include "backends/cuda/emulation/intrinsics.h"
