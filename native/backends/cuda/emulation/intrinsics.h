// CUDA's device functions for a host compiler: mathematics, bits, atomics, and the calls in which threads meet.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "backends/cuda/emulation/meeting.h"

// --- barriers ---
inline void __syncthreads() {
  assay::emulation::meet_block(assay::emulation::BarrierKind::kPlain, false);
}
inline int __syncthreads_count(int predicate) {
  return assay::emulation::meet_block(assay::emulation::BarrierKind::kCount, predicate != 0);
}
inline int __syncthreads_or(int predicate) {
  return assay::emulation::meet_block(assay::emulation::BarrierKind::kOr, predicate != 0) > 0 ? 1 : 0;
}
inline int __syncthreads_and(int predicate) {
  return assay::emulation::meet_block(assay::emulation::BarrierKind::kAnd, predicate == 0) == 0 ? 1 : 0;
}
inline void __syncwarp(unsigned int mask = 0xFFFFFFFFU) {
  assay::emulation::meet_warp("__syncwarp", mask, nullptr, [](const assay::emulation::WarpMeeting&) {});
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- shuffles: every lane says from which lane it takes ---
namespace assay::emulation {

template <class T> struct Exchange {
  T value;
  T taken;
  int source; // a lane of the warp
};

template <class T> T shuffle(const char* name, unsigned int mask, T value, int source) {
  Exchange<T> mine{value, value, source};
  meet_warp(name, mask, &mine, [](const WarpMeeting& meeting) {
    for (void* data : meeting.data) {
      if (data == nullptr) {
        continue;
      }
      auto& lane = *static_cast<Exchange<T>*>(data);
      const auto* from = static_cast<const Exchange<T>*>(meeting.data[lane.source]);
      if (from != nullptr) {
        lane.taken = from->value;
      } else {
        std::memset(&lane.taken, 0xFF, sizeof(T)); // what comes from a lane that does not take part is undefined
      }
    }
  });
  return mine.taken;
}

struct Vote {
  bool predicate;
  unsigned int ballot;
};

inline unsigned int vote(const char* name, unsigned int mask, bool predicate) {
  Vote mine{predicate, 0};
  meet_warp(name, mask, &mine, [](const WarpMeeting& meeting) {
    unsigned int ballot = 0;
    for (int lane = 0; lane < 32; ++lane) {
      if (meeting.data[lane] != nullptr && static_cast<const Vote*>(meeting.data[lane])->predicate) {
        ballot |= 1U << lane;
      }
    }
    for (void* data : meeting.data) {
      if (data != nullptr) {
        static_cast<Vote*>(data)->ballot = ballot;
      }
    }
  });
  return mine.ballot;
}

} // namespace assay::emulation

template <class T> T __shfl_sync(unsigned int mask, T value, int source, int width = 32) {
  const int lane = assay::emulation::lane_index();
  return assay::emulation::shuffle("__shfl_sync", mask, value, (lane & ~(width - 1)) + (source & (width - 1)));
}
template <class T> T __shfl_xor_sync(unsigned int mask, T value, int lane_mask, int width = 32) {
  const int lane = assay::emulation::lane_index();
  const int source = lane ^ lane_mask;
  const bool inside = source < (lane & ~(width - 1)) + width;
  return assay::emulation::shuffle("__shfl_xor_sync", mask, value, inside ? source : lane);
}
template <class T> T __shfl_up_sync(unsigned int mask, T value, unsigned int delta, int width = 32) {
  const int lane = assay::emulation::lane_index();
  const int source = lane - static_cast<int>(delta);
  return assay::emulation::shuffle("__shfl_up_sync", mask, value, source >= (lane & ~(width - 1)) ? source : lane);
}
template <class T> T __shfl_down_sync(unsigned int mask, T value, unsigned int delta, int width = 32) {
  const int lane = assay::emulation::lane_index();
  const int source = lane + static_cast<int>(delta);
  const bool inside = source < (lane & ~(width - 1)) + width;
  return assay::emulation::shuffle("__shfl_down_sync", mask, value, inside ? source : lane);
}
inline unsigned int __ballot_sync(unsigned int mask, int predicate) {
  return assay::emulation::vote("__ballot_sync", mask, predicate != 0);
}
inline int __any_sync(unsigned int mask, int predicate) {
  return assay::emulation::vote("__any_sync", mask, predicate != 0) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned int mask, int predicate) {
  return assay::emulation::vote("__all_sync", mask, predicate == 0) == 0 ? 1 : 0;
}

// --- mathematics; what CUDA only approximates is exact here ---
inline float __expf(float x) {
  return ::expf(x);
}
inline float __logf(float x) {
  return ::logf(x);
}
inline float __log2f(float x) {
  return ::log2f(x);
}
inline float __fdividef(float x, float y) {
  return x / y;
}
inline float __frcp_rn(float x) {
  return 1.0F / x;
}
inline float __fsqrt_rn(float x) {
  return ::sqrtf(x);
}
inline float __fmaf_rn(float x, float y, float z) {
  return ::fmaf(x, y, z);
}
inline float __fadd_rn(float x, float y) {
  return x + y;
}
inline float __fmul_rn(float x, float y) {
  return x * y;
}
inline float __saturatef(float x) {
  return x > 0.0F ? (x < 1.0F ? x : 1.0F) : 0.0F;
}
inline float rsqrtf(float x) {
  return 1.0F / ::sqrtf(x);
}
inline double rsqrt(double x) {
  return 1.0 / ::sqrt(x);
}
#define ASSAY_MIN_MAX(type)                                                                                            \
  inline type min(type a, type b) {                                                                                    \
    return b < a ? b : a;                                                                                              \
  }                                                                                                                    \
  inline type max(type a, type b) {                                                                                    \
    return a < b ? b : a;                                                                                              \
  }
ASSAY_MIN_MAX(int)
ASSAY_MIN_MAX(unsigned int)
ASSAY_MIN_MAX(long)
ASSAY_MIN_MAX(unsigned long)
ASSAY_MIN_MAX(long long)
ASSAY_MIN_MAX(unsigned long long)
#undef ASSAY_MIN_MAX
inline float min(float a, float b) {
  return ::fminf(a, b);
}
inline float max(float a, float b) {
  return ::fmaxf(a, b);
}

// --- bits ---
inline int __float_as_int(float x) {
  return std::bit_cast<int>(x);
}
inline unsigned int __float_as_uint(float x) {
  return std::bit_cast<unsigned int>(x);
}
inline float __int_as_float(int x) {
  return std::bit_cast<float>(x);
}
inline float __uint_as_float(unsigned int x) {
  return std::bit_cast<float>(x);
}
inline int __popc(unsigned int x) {
  return std::popcount(x);
}
inline int __clz(int x) {
  return std::countl_zero(static_cast<unsigned int>(x));
}
inline int __ffs(int x) {
  return x == 0 ? 0 : std::countr_zero(static_cast<unsigned int>(x)) + 1;
}
inline unsigned int __umulhi(unsigned int x, unsigned int y) {
  return static_cast<unsigned int>(static_cast<std::uint64_t>(x) * y >> 32);
}
inline int __float2int_rn(float x) {
  return static_cast<int>(::rintf(x));
}

// --- memory ---
template <class T> T __ldg(const T* address) {
  return *address;
}
template <class T> T __ldcs(const T* address) {
  return *address;
}
template <class T> void __stcs(T* address, T value) {
  *address = value;
}

// Fibers do not run at the same time, so an atomic is just done.
template <class T> T atomicAdd(T* address, T value) {
  const T old = *address;
  *address = old + value;
  return old;
}
template <class T> T atomicMax(T* address, T value) {
  const T old = *address;
  *address = old < value ? value : old;
  return old;
}
template <class T> T atomicMin(T* address, T value) {
  const T old = *address;
  *address = value < old ? value : old;
  return old;
}
template <class T> T atomicExch(T* address, T value) {
  const T old = *address;
  *address = value;
  return old;
}
template <class T> T atomicCAS(T* address, T expected, T value) {
  const T old = *address;
  *address = old == expected ? value : old;
  return old;
}
