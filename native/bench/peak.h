// What this machine could do at most: fused multiply-adds and bf16 dot products from registers, and reading memory in
// order. Benchmarks state their figures beside these.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace assay::bench {

// On one thread its own processor time, which others on the machine do not add to; on several the time of day.
inline double now_seconds(int threads) {
  if (threads == 1) {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The fastest of the runs that fit into `budget_seconds`, at least five.
template <class Body> double best_seconds(int threads, double budget_seconds, const Body& body) {
  body();
  double best = 1e30;
  const double start = now_seconds(threads);
  for (int run = 0; run < 5 || now_seconds(threads) - start < budget_seconds; ++run) {
    const double begin = now_seconds(threads);
    body();
    best = std::min(best, now_seconds(threads) - begin);
  }
  return best;
}

struct Peaks {
  double fp32_gflops = 0, bf16_gflops = 0, read_gbps = 0; // 0: no such instruction
};

#if defined(__x86_64__)
// 24 independent sums hide the latency of the instruction.
[[gnu::target("avx512f"), gnu::noinline]] inline float fma_loop(std::int64_t rounds) {
  __m512 sums[24];
#pragma GCC unroll 24
  for (int i = 0; i < 24; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  __m512 factor = _mm512_set1_ps(0.5F);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < 24; ++i) {
      asm volatile("vfmadd231ps %1, %1, %0" : "+v"(sums[i]) : "v"(factor));
    }
  }
  float total = 0;
#pragma GCC unroll 24
  for (int i = 0; i < 24; ++i) {
    total += _mm512_cvtss_f32(sums[i]);
  }
  return total;
}

[[gnu::target("avx512f,avx512bf16"), gnu::noinline]] inline float bf16_loop(std::int64_t rounds) {
  __m512 sums[24];
#pragma GCC unroll 24
  for (int i = 0; i < 24; ++i) {
    sums[i] = _mm512_set1_ps(static_cast<float>(i));
  }
  __m512i factor = _mm512_set1_epi32(0x3F003F00);
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < 24; ++i) {
      asm volatile("vdpbf16ps %1, %1, %0" : "+v"(sums[i]) : "v"(factor));
    }
  }
  float total = 0;
#pragma GCC unroll 24
  for (int i = 0; i < 24; ++i) {
    total += _mm512_cvtss_f32(sums[i]);
  }
  return total;
}
#endif

inline Peaks measure_peaks(int threads, double budget_seconds) {
  Peaks peaks;
  volatile float sink = 0;
#if defined(__x86_64__)
  constexpr std::int64_t kRounds = 400000; // some milliseconds: the clock of processor time is coarse
  __builtin_cpu_init();
  const auto gflops = [&](double per_round, auto loop) {
    return 1e-9 * per_round * static_cast<double>(kRounds * threads) / best_seconds(threads, budget_seconds, [&] {
#pragma omp parallel num_threads(threads)
             { sink = loop(kRounds); }
           });
  };
  if (__builtin_cpu_supports("avx512f")) {
    peaks.fp32_gflops = gflops(24 * 32, fma_loop);
  }
  if (__builtin_cpu_supports("avx512bf16")) {
    peaks.bf16_gflops = gflops(24 * 64, bf16_loop);
  }
#endif
  constexpr std::int64_t count = std::int64_t{24} << 20; // 192 MiB, on large pages as the backend's own
  const std::unique_ptr<std::uint64_t, decltype(&std::free)> memory(
      static_cast<std::uint64_t*>(std::aligned_alloc(std::size_t{2} << 20, count * sizeof(std::uint64_t))), &std::free);
  ::madvise(memory.get(), count * sizeof(std::uint64_t), MADV_HUGEPAGE);
  std::fill_n(memory.get(), count, 1);
  const double seconds = best_seconds(threads, 2 * budget_seconds, [&] {
    std::uint64_t total = 0;
#pragma omp parallel for num_threads(threads) reduction(+ : total)
    for (std::int64_t i = 0; i < count; i += 8) {
      const std::uint64_t* line = memory.get() + i;
      __builtin_prefetch(line + 1024); // 8 KiB ahead: the processor alone keeps fewer lines under way
      total += (line[0] ^ line[4]) + (line[2] ^ line[6]);
    }
    sink = static_cast<float>(total);
  });
  peaks.read_gbps = 1e-9 * static_cast<double>(count) * sizeof(std::uint64_t) / seconds;
  return peaks;
}

} // namespace assay::bench
