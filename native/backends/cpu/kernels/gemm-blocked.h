// A matrix product by blocks, written once for fp32 and for bf16 with AVX-512. Blocked as Goto and van de Geijn
// ("Anatomy of high-performance matrix multiplication", 2008): both operands are packed into panels in the order in
// which a tile of 12 × 32 sums in registers reads them; a block of A stays in the second-level cache, a panel of B in
// the first. Widening, dequantising and rounding happen while panels are packed.
//
// A word is 32 bits along k: one fp32 value, or two neighbouring bf16 values, which vdpbf16ps multiplies and adds at
// once.
#pragma once

#include "backends/cpu/kernels/gemm-avx512.h"

#include <immintrin.h>

namespace assay {
namespace {

constexpr std::int64_t kTileRows = 12;
constexpr std::int64_t kTileColumns = 32;
constexpr std::int64_t kBlockRows = 384;     // of A: half a megabyte with kBlockWords
constexpr std::int64_t kBlockWords = 384;    // along k
constexpr std::int64_t kBlockColumns = 1536; // of B: packed once for all rows
constexpr std::int64_t kGroupColumns = 128;  // finished together, while they lie in the second-level cache

inline std::int64_t smaller_of(std::int64_t left, std::int64_t right) {
  return left < right ? left : right;
}
inline std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}
// The largest nearly equal parts of `count` that are at most `largest`.
inline std::int64_t even_part(std::int64_t count, std::int64_t largest, std::int64_t unit) {
  const std::int64_t parts = (count + largest - 1) / largest;
  return parts <= 1 ? largest : round_up((count + parts - 1) / parts, unit);
}
inline __mmask16 first_lanes(std::int64_t count) {
  return count >= 16  ? static_cast<__mmask16>(0xFFFF)
         : count <= 0 ? static_cast<__mmask16>(0)
                      : static_cast<__mmask16>((1U << count) - 1U);
}

// Up to 16 neighbours of row `row` from `column`, widened; the rest are zeros.
template <NarrowType kType>
inline __m512 load_wide(const NarrowOperand& o, std::int64_t row, std::int64_t column, __mmask16 lanes) {
  const std::int64_t at = row * o.stride + column;
  if constexpr (kType == NarrowType::kF32) {
    return _mm512_maskz_loadu_ps(lanes, static_cast<const float*>(o.values) + at);
  } else if constexpr (kType == NarrowType::kBf16) {
    const __m256i bits = _mm256_maskz_loadu_epi16(lanes, static_cast<const std::uint16_t*>(o.values) + at);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  } else {
    const __m128i codes = _mm_maskz_loadu_epi8(lanes, static_cast<const std::int8_t*>(o.values) + at);
    const __m512 scale =
        o.scales_by_row ? _mm512_set1_ps(o.scales[row]) : _mm512_maskz_loadu_ps(lanes, o.scales + column);
    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes)), scale);
  }
}

// How a format makes words and multiplies them.
struct Fp32Words {
  static constexpr std::int64_t kDepth = 1; // values of k in a word

  // 16 words of row `row`, from `column` along it.
  template <NarrowType kType>
  static __m512i along(const NarrowOperand& o, std::int64_t row, std::int64_t column, std::int64_t left) {
    return _mm512_castps_si512(load_wide<kType>(o, row, column, first_lanes(left)));
  }
  // 16 words of neighbouring columns; k runs over rows.
  template <NarrowType kType>
  static __m512i across(const NarrowOperand& o, std::int64_t row, std::int64_t /*rows_left*/, std::int64_t column,
                        __mmask16 lanes) {
    return _mm512_castps_si512(load_wide<kType>(o, row, column, lanes));
  }
  static __m512 multiply_add(__m512 sum, __m512i left, __m512i right) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(left), _mm512_castsi512_ps(right), sum);
  }
};

#if defined(__AVX512BF16__)
struct Bf16Words {
  static constexpr std::int64_t kDepth = 2;

  // Two runs of 16 values, rounded: `low` in the lower half.
  template <NarrowType kType>
  static __m512i rounded(const NarrowOperand& o, std::int64_t low_row, std::int64_t low_column, __mmask16 low_lanes,
                         std::int64_t high_row, std::int64_t high_column, __mmask16 high_lanes) {
    if constexpr (kType == NarrowType::kBf16) {
      const auto* values = static_cast<const std::uint16_t*>(o.values);
      const __m256i low = _mm256_maskz_loadu_epi16(low_lanes, values + low_row * o.stride + low_column);
      const __m256i high = _mm256_maskz_loadu_epi16(high_lanes, values + high_row * o.stride + high_column);
      return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    } else {
      return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(load_wide<kType>(o, high_row, high_column, high_lanes),
                                                           load_wide<kType>(o, low_row, low_column, low_lanes)));
    }
  }
  template <NarrowType kType>
  static __m512i along(const NarrowOperand& o, std::int64_t row, std::int64_t column, std::int64_t left) {
    return rounded<kType>(o, row, column, first_lanes(left), row, column + 16, first_lanes(left - 16));
  }
  template <NarrowType kType>
  static __m512i across(const NarrowOperand& o, std::int64_t row, std::int64_t rows_left, std::int64_t column,
                        __mmask16 lanes) {
    const bool has_second = rows_left >= 2;
    const __m512i rows = rounded<kType>(o, row, column, lanes, has_second ? row + 1 : row, column,
                                        has_second ? lanes : static_cast<__mmask16>(0));
    alignas(64) static constexpr std::uint16_t kInterleaved[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                                   21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                                   11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved), rows);
  }
  static __m512 multiply_add(__m512 sum, __m512i left, __m512i right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(left), reinterpret_cast<__m512bh>(right));
  }
};
#endif

// 16 × 16 words, rows to columns.
inline void transpose(__m512i (&rows)[16]) {
  __m512i t[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xDD);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

// Panels of `width` lines (rows of A, columns of B), each words[w · width + line], one behind the other at
// panel_stride. k runs along the rows of `o` as it lies, lines are its rows. Words are stored 16 at a time also where
// width is 12: the next store, or the space between panels, takes what is too much.
template <class Words, NarrowType kType, int kWidth>
void pack_along(std::uint32_t* panels, std::int64_t panel_stride, const NarrowOperand& o, std::int64_t first_line,
                std::int64_t lines, std::int64_t k_begin, std::int64_t depth) {
  const std::int64_t words = (depth + Words::kDepth - 1) / Words::kDepth;
  for (std::int64_t panel = 0; panel < lines; panel += kWidth, panels += panel_stride) {
    for (int part = 0; part < kWidth; part += 16) {
      constexpr int kPartLines = kWidth < 16 ? kWidth : 16;
      const std::int64_t here = smaller_of(kPartLines, lines - panel - part);
      for (std::int64_t w = 0; w < words; w += 16) {
        __m512i block[16];
        const std::int64_t column = k_begin + w * Words::kDepth;
        const std::int64_t left = depth - w * Words::kDepth;
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
          block[i] = i < here ? Words::template along<kType>(o, first_line + panel + part + i, column, left)
                              : _mm512_setzero_si512();
        }
        transpose(block);
        std::uint32_t* out = panels + w * kWidth + part;
        const std::int64_t words_here = smaller_of(16, words - w);
#pragma GCC unroll 16
        for (int i = 0; i < 16; ++i) {
          if (i < words_here) {
            _mm512_storeu_si512(out + i * kWidth, block[i]);
          }
        }
      }
    }
  }
}

// The same where k runs over the rows of `o`, and lines are its columns. A few panels at a time, so that memory is read
// in runs.
template <class Words, NarrowType kType, int kWidth>
void pack_across(std::uint32_t* panels, std::int64_t panel_stride, const NarrowOperand& o, std::int64_t first_line,
                 std::int64_t lines, std::int64_t k_begin, std::int64_t depth) {
  constexpr int kPartLines = kWidth < 16 ? kWidth : 16;
  constexpr std::int64_t kLinesAtOnce = 8 * kWidth;
  for (std::int64_t begin = 0; begin < lines; begin += kLinesAtOnce) {
    const std::int64_t end = smaller_of(begin + kLinesAtOnce, lines);
    for (std::int64_t k = 0; k < depth; k += Words::kDepth) {
      std::uint32_t* out = panels + begin / kWidth * panel_stride + k / Words::kDepth * kWidth;
      for (std::int64_t line = begin; line < end; line += kWidth, out += panel_stride) {
        for (int part = 0; part < kWidth; part += 16) {
          const __mmask16 lanes = first_lanes(smaller_of(kPartLines, lines - line - part));
          _mm512_storeu_si512(
              out + part, Words::template across<kType>(o, k_begin + k, depth - k, first_line + line + part, lanes));
        }
      }
    }
  }
}

template <class Words, NarrowType kType, int kWidth>
void pack_type(std::uint32_t* panels, std::int64_t panel_stride, const NarrowOperand& o, bool along,
               std::int64_t first_line, std::int64_t lines, std::int64_t k_begin, std::int64_t depth) {
  if (along) {
    pack_along<Words, kType, kWidth>(panels, panel_stride, o, first_line, lines, k_begin, depth);
  } else {
    pack_across<Words, kType, kWidth>(panels, panel_stride, o, first_line, lines, k_begin, depth);
  }
}

template <class Words, int kWidth>
void pack(std::uint32_t* panels, std::int64_t panel_stride, const NarrowOperand& o, bool along, std::int64_t first_line,
          std::int64_t lines, std::int64_t k_begin, std::int64_t depth) {
  switch (o.type) {
  case NarrowType::kF32:
    pack_type<Words, NarrowType::kF32, kWidth>(panels, panel_stride, o, along, first_line, lines, k_begin, depth);
    break;
  case NarrowType::kBf16:
    pack_type<Words, NarrowType::kBf16, kWidth>(panels, panel_stride, o, along, first_line, lines, k_begin, depth);
    break;
  case NarrowType::kInt8:
    pack_type<Words, NarrowType::kInt8, kWidth>(panels, panel_stride, o, along, first_line, lines, k_begin, depth);
    break;
  }
}

// What a tile's sums are added to.
struct TileOutput {
  float* c;
  std::int64_t stride;
  std::int64_t columns;
  const float* bias; // of the tile's columns, or null
  bool adds;         // to what C holds
  float alpha;
};

template <class Words, int kRows>
[[gnu::noinline]] void tile(const std::uint32_t* a, const std::uint32_t* b, std::int64_t words, const TileOutput& out) {
  __m512 sums[kRows][2];
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = _mm512_setzero_ps();
    sums[r][1] = _mm512_setzero_ps();
    _mm_prefetch(reinterpret_cast<const char*>(out.c + r * out.stride), _MM_HINT_T0);
    _mm_prefetch(reinterpret_cast<const char*>(out.c + r * out.stride + 16), _MM_HINT_T0);
  }
  for (std::int64_t w = 0; w < words; ++w) {
    const __m512i left = _mm512_loadu_si512(b);
    const __m512i right = _mm512_loadu_si512(b + 16);
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512i factor = _mm512_set1_epi32(static_cast<int>(a[r]));
      sums[r][0] = Words::multiply_add(sums[r][0], factor, left);
      sums[r][1] = Words::multiply_add(sums[r][1], factor, right);
    }
    a += kTileRows;
    b += kTileColumns;
  }
  const __m512 alpha = _mm512_set1_ps(out.alpha);
  if (out.columns == kTileColumns) {
    const __m512 bias0 = out.bias != nullptr ? _mm512_loadu_ps(out.bias) : _mm512_setzero_ps();
    const __m512 bias1 = out.bias != nullptr ? _mm512_loadu_ps(out.bias + 16) : _mm512_setzero_ps();
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      float* row = out.c + r * out.stride;
      _mm512_storeu_ps(row, _mm512_fmadd_ps(sums[r][0], alpha, out.adds ? _mm512_loadu_ps(row) : bias0));
      _mm512_storeu_ps(row + 16, _mm512_fmadd_ps(sums[r][1], alpha, out.adds ? _mm512_loadu_ps(row + 16) : bias1));
    }
    return;
  }
  const __mmask16 first = first_lanes(out.columns);
  const __mmask16 second = first_lanes(out.columns - 16);
  const __m512 bias0 = out.bias != nullptr ? _mm512_maskz_loadu_ps(first, out.bias) : _mm512_setzero_ps();
  const __m512 bias1 = out.bias != nullptr ? _mm512_maskz_loadu_ps(second, out.bias + 16) : _mm512_setzero_ps();
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    float* row = out.c + r * out.stride;
    const __m512 base0 = out.adds ? _mm512_maskz_loadu_ps(first, row) : bias0;
    const __m512 base1 = out.adds ? _mm512_maskz_loadu_ps(second, row + 16) : bias1;
    _mm512_mask_storeu_ps(row, first, _mm512_fmadd_ps(sums[r][0], alpha, base0));
    _mm512_mask_storeu_ps(row + 16, second, _mm512_fmadd_ps(sums[r][1], alpha, base1));
  }
}

using TileFunction = void (*)(const std::uint32_t*, const std::uint32_t*, std::int64_t, const TileOutput&);
template <class Words>
constexpr TileFunction kTiles[kTileRows + 1] = {
    nullptr,        tile<Words, 1>, tile<Words, 2>, tile<Words, 3>,  tile<Words, 4>,  tile<Words, 5>, tile<Words, 6>,
    tile<Words, 7>, tile<Words, 8>, tile<Words, 9>, tile<Words, 10>, tile<Words, 11>, tile<Words, 12>};

// One cache line between panels: lines of neighbouring panels then do not compete for the same sets of a cache.
constexpr std::int64_t panel_size(std::int64_t width, std::int64_t words) {
  return width * words + 16;
}

constexpr std::int64_t kScratchCount = kBlockRows / kTileRows * panel_size(kTileRows, kBlockWords) +
                                       kBlockColumns / kTileColumns * panel_size(kTileColumns, kBlockWords) + 64;

template <class Words> void run_blocked(const BlockedProduct& p, float* scratch) {
  auto* packed_a = reinterpret_cast<std::uint32_t*>((reinterpret_cast<std::uintptr_t>(scratch) + 63) / 64 * 64);
  std::uint32_t* packed_b = packed_a + kBlockRows / kTileRows * panel_size(kTileRows, kBlockWords);
  const std::int64_t block_depth = even_part(p.k, kBlockWords * Words::kDepth, 2);
  const std::int64_t block_rows = even_part(p.m, kBlockRows, kTileRows);
  const std::int64_t block_columns = even_part(p.n, kBlockColumns, kGroupColumns);
  const bool packs_a_once = p.m <= block_rows && p.k <= block_depth;
  for (std::int64_t n_begin = 0; n_begin < p.n; n_begin += block_columns) {
    const std::int64_t columns = smaller_of(block_columns, p.n - n_begin);
    for (std::int64_t k_begin = 0; k_begin < p.k || k_begin == 0; k_begin += block_depth) {
      const std::int64_t depth = smaller_of(block_depth, p.k - k_begin);
      const std::int64_t words = (depth + Words::kDepth - 1) / Words::kDepth;
      const std::int64_t a_panel = panel_size(kTileRows, words);
      const std::int64_t b_panel = panel_size(kTileColumns, words);
      const bool is_last = k_begin + block_depth >= p.k;
      pack<Words, kTileColumns>(packed_b, b_panel, p.b, p.b.transpose, n_begin, columns, k_begin, depth);
      for (std::int64_t m_begin = 0; m_begin < p.m; m_begin += block_rows) {
        const std::int64_t rows = smaller_of(block_rows, p.m - m_begin);
        if (!packs_a_once || n_begin == 0) {
          pack<Words, kTileRows>(packed_a, a_panel, p.a, !p.a.transpose, m_begin, rows, k_begin, depth);
        }
        for (std::int64_t group = 0; group < columns; group += kGroupColumns) {
          const std::int64_t group_end = smaller_of(group + kGroupColumns, columns);
          for (std::int64_t j = group; j < group_end; j += kTileColumns) {
            for (std::int64_t i = 0; i < rows; i += kTileRows) {
              const std::int64_t column = n_begin + j;
              const TileOutput out = {p.c + (m_begin + i) * p.c_stride + column,
                                      p.c_stride,
                                      smaller_of(kTileColumns, columns - j),
                                      p.bias != nullptr && k_begin == 0 ? p.bias + column : nullptr,
                                      k_begin > 0 || p.adds,
                                      p.alpha};
              kTiles<Words>[smaller_of(kTileRows, rows - i)](packed_a + i / kTileRows * a_panel,
                                                             packed_b + j / kTileColumns * b_panel, words, out);
            }
          }
          if (is_last && p.finish != nullptr) {
            p.finish(p.finish_context, m_begin, rows, n_begin + group, group_end - group);
          }
        }
      }
    }
  }
}

} // namespace
} // namespace assay
