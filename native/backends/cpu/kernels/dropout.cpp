// Dropout by Philox4x32-10 (engine/base/philox.h is the reference it agrees with). Vectors hold one word of several
// counters in 64-bit lanes, because a round needs the 64-bit products of 32-bit words. Limited by those: ten rounds of
// two for every four elements.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace assay::ASSAY_VARIANT {

namespace {

constexpr int kGroups = 16; // counters drawn at a time
constexpr int kWide = kLanes / 2;

// A word in the low half of each lane; the high halves hold anything.
typedef std::uint64_t WideVector __attribute__((vector_size(kWide * 8)));
typedef std::uint64_t UnalignedWideVector __attribute__((vector_size(kWide * 8), aligned(4), may_alias));

inline WideVector broadcast_word(std::uint32_t word) {
  return WideVector{} + word;
}

// The products of the low halves.
inline WideVector multiply_words(WideVector left, WideVector right) {
#if defined(__AVX512F__)
  // With a mask of all lanes: GCC 12 takes the plain intrinsic's unused operand for an uninitialized one.
  return reinterpret_cast<WideVector>(
      _mm512_maskz_mul_epu32(0xFF, reinterpret_cast<__m512i>(left), reinterpret_cast<__m512i>(right)));
#elif defined(__AVX2__)
  return reinterpret_cast<WideVector>(
      _mm256_mul_epu32(reinterpret_cast<__m256i>(left), reinterpret_cast<__m256i>(right)));
#elif defined(__SSE2__)
  return reinterpret_cast<WideVector>(_mm_mul_epu32(reinterpret_cast<__m128i>(left), reinterpret_cast<__m128i>(right)));
#else
  return (left & 0xFFFFFFFFU) * (right & 0xFFFFFFFFU);
#endif
}

// Lanes of both in turns, the first or the second half of them.
inline WideVector interleave_first(WideVector left, WideVector right) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(left, right, 0, 8, 1, 9, 2, 10, 3, 11);
#elif defined(__AVX2__)
  return __builtin_shufflevector(left, right, 0, 4, 1, 5);
#else
  return __builtin_shufflevector(left, right, 0, 2);
#endif
}
inline WideVector interleave_second(WideVector left, WideVector right) {
#if defined(__AVX512F__)
  return __builtin_shufflevector(left, right, 4, 12, 5, 13, 6, 14, 7, 15);
#elif defined(__AVX2__)
  return __builtin_shufflevector(left, right, 2, 6, 3, 7);
#else
  return __builtin_shufflevector(left, right, 1, 3);
#endif
}

// words[4 g + j] is word j of counter first_group + g.
void random_words(std::uint32_t* words, std::uint32_t first_group, const DropoutRow& row) {
  const WideVector multiplier0 = broadcast_word(0xD2511F53U);
  const WideVector multiplier1 = broadcast_word(0xCD9E8D57U);
  constexpr std::uint64_t kNumbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  const WideVector lane_numbers = *reinterpret_cast<const UnalignedWideVector*>(kNumbers);
  // Two vectors at a time hide the latency of the products, and stay in registers everywhere.
  constexpr int kVectors = 2;
  for (int group = 0; group < kGroups; group += kVectors * kWide) {
    WideVector c0[kVectors], c1[kVectors], c2[kVectors], c3[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      c0[v] = lane_numbers + (first_group + static_cast<std::uint32_t>(group + v * kWide));
      c1[v] = broadcast_word(row.sample);
      c2[v] = broadcast_word(row.step);
      c3[v] = broadcast_word(row.site);
    }
    std::uint32_t key0 = row.key0;
    std::uint32_t key1 = row.key1;
    for (int round = 0; round < 10; ++round) {
      for (int v = 0; v < kVectors; ++v) {
        const WideVector product0 = multiply_words(c0[v], multiplier0);
        const WideVector product1 = multiply_words(c2[v], multiplier1);
        c0[v] = (product1 >> 32) ^ c1[v] ^ broadcast_word(key0);
        c1[v] = product1;
        c2[v] = (product0 >> 32) ^ c3[v] ^ broadcast_word(key1);
        c3[v] = product0;
      }
      key0 += 0x9E3779B9U;
      key1 += 0xBB67AE85U;
    }
    for (int v = 0; v < kVectors; ++v) {
      const WideVector first = (c0[v] & 0xFFFFFFFFU) | (c1[v] << 32);
      const WideVector second = (c2[v] & 0xFFFFFFFFU) | (c3[v] << 32);
      std::uint32_t* target = words + 4 * (group + v * kWide);
      *reinterpret_cast<UnalignedWideVector*>(target) = interleave_first(first, second);
      *reinterpret_cast<UnalignedWideVector*>(target + 2 * kWide) = interleave_second(first, second);
    }
  }
}

inline WordVector load_words(const std::uint32_t* source) {
  return *reinterpret_cast<const UnalignedWordVector*>(source);
}

} // namespace

void dropout(float* output, const float* input, std::uint64_t first_element, std::int64_t count,
             const DropoutRow& row) {
  std::uint32_t words[4 * kGroups];
  std::int64_t done = 0;
  while (done < count) {
    const std::uint64_t element = first_element + static_cast<std::uint64_t>(done);
    const std::int64_t skip = static_cast<std::int64_t>(element % 4);
    random_words(words, static_cast<std::uint32_t>(element / 4), row);
    const std::int64_t room = 4 * kGroups - skip;
    const std::int64_t here = count - done < room ? count - done : room;
    const std::uint32_t* mask = words + skip;
    std::int64_t i = 0;
    for (; i + kLanes <= here; i += kLanes) {
      const Vector kept = load(input + done + i) * row.scale;
      store(output + done + i, select(load_words(mask + i) >= row.threshold, kept, Vector{}));
    }
    for (; i < here; ++i) {
      const float kept = input[done + i] * row.scale;
      output[done + i] = mask[i] >= row.threshold ? kept : 0.0F;
    }
    done += here;
  }
}

} // namespace assay::ASSAY_VARIANT
