// A few rows times a matrix of fp32, bf16 or int8 weights, which is what writing text costs, one token at a time for
// one or several texts. Every weight comes from memory once, is widened, and meets all rows while it lies in a
// register or the first-level cache: memory sets the pace. The sum of a row is built in the same order however many
// rows there are.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace assay::ASSAY_VARIANT {

namespace {

typedef std::uint16_t ShortVector __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));

inline Vector widen(const float* source) {
  return load(source);
}
inline Vector widen(const std::uint16_t* source) {
  const auto bits = *reinterpret_cast<const ShortVector*>(source);
  return reinterpret_cast<Vector>(__builtin_convertvector(bits, WordVector) << 16);
}
// By hand: GCC 12 takes the conversion from bytes apart lane by lane.
inline Vector widen(const std::int8_t* source) {
#if defined(__AVX512F__)
  const __m128i codes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(source));
  // The masked form, since GCC 12 warns of the undefined vector in the other.
  return __builtin_convertvector(reinterpret_cast<IntVector>(_mm512_maskz_cvtepi8_epi32(0xFFFF, codes)), Vector);
#elif defined(__AVX2__)
  const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(source));
  return __builtin_convertvector(reinterpret_cast<IntVector>(_mm256_cvtepi8_epi32(codes)), Vector);
#else
  Vector values;
  for (int lane = 0; lane < kLanes; ++lane) {
    values[lane] = static_cast<float>(source[lane]);
  }
  return values;
#endif
}
inline float widen_one(float value) {
  return value;
}
inline float widen_one(std::uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}
inline float widen_one(std::int8_t code) {
  return static_cast<float>(code);
}

// So many rows of weights at a time: sums are loaded and stored that much less often than weights are read.
constexpr std::int64_t kWeightRows = 8;

// Sums of kRows rows over kWeightRows rows of weights, columns [begin, end).
template <class Weight, int kRows>
void add_products(const FewRows& call, const float* input, float* output, const Weight* weights, std::int64_t begin,
                  std::int64_t end, bool prefetches) {
  const std::int64_t next = prefetches ? kWeightRows * call.stride : 0;
  std::int64_t c = begin;
  for (; c + 2 * kLanes <= end; c += 2 * kLanes) {
    Vector sums[kRows][2];
#pragma GCC unroll 8
    for (int q = 0; q < kRows; ++q) {
      sums[q][0] = load(output + q * call.output_stride + c);
      sums[q][1] = load(output + q * call.output_stride + c + kLanes);
    }
#pragma GCC unroll 8
    for (std::int64_t i = 0; i < kWeightRows; ++i) {
      const Weight* row = weights + i * call.stride + c;
      __builtin_prefetch(row + next);
      if constexpr (sizeof(Weight) == sizeof(float)) {
        __builtin_prefetch(row + next + kLanes);
      }
      const Vector left = widen(row);
      const Vector right = widen(row + kLanes);
#pragma GCC unroll 8
      for (int q = 0; q < kRows; ++q) {
        const Vector factor = broadcast(input[q * call.input_stride + i]);
        sums[q][0] += left * factor;
        sums[q][1] += right * factor;
      }
    }
#pragma GCC unroll 8
    for (int q = 0; q < kRows; ++q) {
      store(output + q * call.output_stride + c, sums[q][0]);
      store(output + q * call.output_stride + c + kLanes, sums[q][1]);
    }
  }
  for (; c < end; ++c) {
    for (int q = 0; q < kRows; ++q) {
      float sum = output[q * call.output_stride + c];
      for (std::int64_t i = 0; i < kWeightRows; ++i) {
        sum += widen_one(weights[i * call.stride + c]) * input[q * call.input_stride + i];
      }
      output[q * call.output_stride + c] = sum;
    }
  }
}

template <class Weight> void products_of(const FewRows& call) {
  const auto* matrix = static_cast<const Weight*>(call.weights);
  for (std::int64_t q = 0; q < call.rows; ++q) {
    for (std::int64_t c = 0; c < call.out; ++c) {
      call.output[q * call.output_stride + c] = 0.0F;
    }
  }
  // Strips of sums that stay in the caches.
  constexpr std::int64_t kStrip = 4096;
  for (std::int64_t begin = 0; begin < call.out; begin += kStrip) {
    const std::int64_t end = call.out - begin < kStrip ? call.out : begin + kStrip;
    std::int64_t r = 0;
    for (; r + kWeightRows <= call.in; r += kWeightRows) {
      const Weight* weights = matrix + r * call.stride;
      const bool has_more = r + 2 * kWeightRows <= call.in;
      for (std::int64_t q = 0; q < call.rows;) {
        const float* input = call.input + q * call.input_stride + r;
        float* output = call.output + q * call.output_stride;
        const bool prefetches = has_more && q == 0;
        if (call.rows - q >= 8) {
          add_products<Weight, 8>(call, input, output, weights, begin, end, prefetches);
          q += 8;
        } else if (call.rows - q >= 4) {
          add_products<Weight, 4>(call, input, output, weights, begin, end, prefetches);
          q += 4;
        } else if (call.rows - q >= 2) {
          add_products<Weight, 2>(call, input, output, weights, begin, end, prefetches);
          q += 2;
        } else {
          add_products<Weight, 1>(call, input, output, weights, begin, end, prefetches);
          q += 1;
        }
      }
    }
    for (; r < call.in; ++r) {
      for (std::int64_t q = 0; q < call.rows; ++q) {
        const float factor = call.input[q * call.input_stride + r];
        for (std::int64_t c = begin; c < end; ++c) {
          call.output[q * call.output_stride + c] += factor * widen_one(matrix[r * call.stride + c]);
        }
      }
    }
  }
}

// Dot products of kRows rows with kWords rows of weights.
template <class Weight, int kRows, int kWords>
void dots_of(const FewRows& call, const float* input, float* output, const Weight* words) {
  Vector sums[kWords][kRows] = {};
  const std::int64_t next = kWords * call.stride;
  std::int64_t c = 0;
  for (; c + kLanes <= call.in; c += kLanes) {
    Vector factors[kRows];
#pragma GCC unroll 4
    for (int q = 0; q < kRows; ++q) {
      factors[q] = load(input + q * call.input_stride + c);
    }
#pragma GCC unroll 4
    for (int w = 0; w < kWords; ++w) {
      const Weight* word = words + w * call.stride + c;
      __builtin_prefetch(word + next);
      const Vector weight = widen(word);
#pragma GCC unroll 4
      for (int q = 0; q < kRows; ++q) {
        sums[w][q] += weight * factors[q];
      }
    }
  }
#pragma GCC unroll 4
  for (int w = 0; w < kWords; ++w) {
#pragma GCC unroll 4
    for (int q = 0; q < kRows; ++q) {
      float total = sum_lanes(sums[w][q]);
      for (std::int64_t rest = c; rest < call.in; ++rest) {
        total += widen_one(words[w * call.stride + rest]) * input[q * call.input_stride + rest];
      }
      output[q * call.output_stride + w] = total;
    }
  }
}

template <class Weight, int kWords> void dots_with(const FewRows& call, std::int64_t first_word) {
  const Weight* words = static_cast<const Weight*>(call.weights) + first_word * call.stride;
  std::int64_t q = 0;
  for (; q + 4 <= call.rows; q += 4) {
    dots_of<Weight, 4, kWords>(call, call.input + q * call.input_stride,
                               call.output + q * call.output_stride + first_word, words);
  }
  for (; q < call.rows; ++q) {
    dots_of<Weight, 1, kWords>(call, call.input + q * call.input_stride,
                               call.output + q * call.output_stride + first_word, words);
  }
}

template <class Weight> void all_dots(const FewRows& call) {
  std::int64_t word = 0;
  for (; word + 4 <= call.out; word += 4) {
    dots_with<Weight, 4>(call, word);
  }
  for (; word < call.out; ++word) {
    dots_with<Weight, 1>(call, word);
  }
}

} // namespace

void few_rows(const FewRows& call) {
  switch (call.type) {
  case NarrowType::kF32:
    call.transpose ? all_dots<float>(call) : products_of<float>(call);
    break;
  case NarrowType::kBf16:
    call.transpose ? all_dots<std::uint16_t>(call) : products_of<std::uint16_t>(call);
    break;
  case NarrowType::kInt8:
    call.transpose ? all_dots<std::int8_t>(call) : products_of<std::int8_t>(call);
    break;
  }
}

} // namespace assay::ASSAY_VARIANT
