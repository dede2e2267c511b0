// Blocked as Goto and van de Geijn ("Anatomy of high-performance matrix multiplication", 2008): a block of A stays in
// the second-level cache, a panel of B in the first, and a tile of 12 × 32 sums in registers. Values travel in pairs of
// neighbours along k, 32 bits each, which is what vdpbf16ps multiplies and adds at once.
#include "backends/cpu/kernels/gemm-bf16.h"

#include <immintrin.h>

namespace assay {
namespace {

constexpr std::int64_t kTileRows = 12;
constexpr std::int64_t kTileColumns = 32;
constexpr std::int64_t kBlockRows = 480; // multiples of the tile's
constexpr std::int64_t kBlockColumns = 512;
constexpr std::int64_t kBlockDepth = 512;
constexpr std::int64_t kBlockPairs = kBlockDepth / 2;

std::int64_t smaller_of(std::int64_t left, std::int64_t right) {
  return left < right ? left : right;
}

std::int64_t round_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

__mmask16 first_lanes(std::int64_t count) {
  return count >= 16 ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1U << count) - 1U);
}

// Up to 16 neighbours of row `row` from `column`, as bf16; the rest are zeros.
inline __m256i load_bf16(const NarrowOperand& o, std::int64_t row, std::int64_t column, __mmask16 lanes) {
  const std::int64_t at = row * o.stride + column;
  switch (o.type) {
  case NarrowType::kF32:
    return reinterpret_cast<__m256i>(
        _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(lanes, static_cast<const float*>(o.values) + at)));
  case NarrowType::kBf16:
    return _mm256_maskz_loadu_epi16(lanes, static_cast<const std::uint16_t*>(o.values) + at);
  case NarrowType::kInt8:
    break;
  }
  const __m128i codes = _mm_maskz_loadu_epi8(lanes, static_cast<const std::int8_t*>(o.values) + at);
  const __m512 scale =
      o.scales_by_row ? _mm512_set1_ps(o.scales[row]) : _mm512_maskz_loadu_ps(lanes, o.scales + column);
  return reinterpret_cast<__m256i>(
      _mm512_cvtneps_pbh(_mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(codes)), scale)));
}

// Rows lie along k: pairs[p · width + c] = (row 2p, row 2p + 1) at column c. Columns beyond `columns` are zeros up to
// `width`, a multiple of 16.
void pack_rows_along_depth(std::uint32_t* pairs, std::int64_t width, const NarrowOperand& o, std::int64_t first_row,
                           std::int64_t depth, std::int64_t first_column, std::int64_t columns) {
  for (std::int64_t p = 0; 2 * p < depth; ++p) {
    const std::int64_t row = first_row + 2 * p;
    const bool has_second = 2 * p + 1 < depth;
    std::uint32_t* out = pairs + p * width;
    for (std::int64_t c = 0; c < width; c += 16) {
      const std::int64_t left = columns - c;
      const __mmask16 lanes = left > 0 ? first_lanes(left) : static_cast<__mmask16>(0);
      const __m512i low = _mm512_cvtepu16_epi32(load_bf16(o, row, first_column + c, lanes));
      const __m512i high =
          has_second ? _mm512_cvtepu16_epi32(load_bf16(o, row + 1, first_column + c, lanes)) : _mm512_setzero_si512();
      _mm512_storeu_si512(out + c, _mm512_or_si512(low, _mm512_slli_epi32(high, 16)));
    }
  }
}

// Rows lie across k: pairs[r · kBlockPairs + p] = columns 2p and 2p + 1 of row r.
void pack_rows_across_depth(std::uint32_t* pairs, const NarrowOperand& o, std::int64_t first_row, std::int64_t rows,
                            std::int64_t first_column, std::int64_t depth) {
  for (std::int64_t r = 0; r < rows; ++r) {
    auto* out = reinterpret_cast<std::uint16_t*>(pairs + r * kBlockPairs);
    for (std::int64_t c = 0; c < depth; c += 16) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + c),
                          load_bf16(o, first_row + r, first_column + c, first_lanes(depth - c)));
    }
  }
}

// 16 × 16 words, rows to columns.
inline void transpose(__m512i (&rows)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    rows[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    rows[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    rows[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    rows[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(rows[i], rows[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(rows[i + 8], rows[i + 12], 0xDD);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    rows[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    rows[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

// B's rows lie across k (it is transposed): panels of 32 columns, each pairs[p · 32 + column].
void pack_transposed_panels(std::uint32_t* panels, const NarrowOperand& o, std::int64_t first_row, std::int64_t rows,
                            std::int64_t first_column, std::int64_t depth) {
  const std::int64_t pairs = (depth + 1) / 2;
  for (std::int64_t panel = 0; panel < rows; panel += kTileColumns) {
    std::uint32_t* out = panels + panel * kBlockPairs;
    for (std::int64_t half = 0; half < kTileColumns; half += 16) {
      for (std::int64_t p = 0; p < pairs; p += 16) {
        __m512i block[16];
        for (int i = 0; i < 16; ++i) {
          const std::int64_t row = panel + half + i;
          const std::int64_t left = depth - 2 * p;
          if (row < rows) {
            const __m256i low = load_bf16(o, first_row + row, first_column + 2 * p, first_lanes(left));
            const __m256i high = left > 16
                                     ? load_bf16(o, first_row + row, first_column + 2 * p + 16, first_lanes(left - 16))
                                     : _mm256_setzero_si256();
            block[i] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
          } else {
            block[i] = _mm512_setzero_si512();
          }
        }
        transpose(block);
        const std::int64_t here = smaller_of(16, pairs - p);
        for (std::int64_t i = 0; i < here; ++i) {
          _mm512_storeu_si512(out + (p + i) * kTileColumns + half, block[i]);
        }
      }
    }
  }
}

// Panels of 32 columns of B, each pairs[p · 32 + column], one behind the other at kBlockPairs · 32.
void pack_b(std::uint32_t* panels, const NarrowOperand& b, std::int64_t k_begin, std::int64_t depth,
            std::int64_t n_begin, std::int64_t columns) {
  if (b.transpose) {
    pack_transposed_panels(panels, b, n_begin, columns, k_begin, depth);
    return;
  }
  for (std::int64_t panel = 0; panel < columns; panel += kTileColumns) {
    pack_rows_along_depth(panels + panel * kBlockPairs, kTileColumns, b, k_begin, depth, n_begin + panel,
                          smaller_of(kTileColumns, columns - panel));
  }
}

struct TileOutput {
  float* c;
  std::int64_t stride;
  std::int64_t columns;
  bool adds;
};

// `rows_of_a` holds word (row, pair) at row · row_stride + pair · pair_stride.
template <int kRows>
void tile(const std::uint32_t* a, std::int64_t row_stride, std::int64_t pair_stride, const std::uint32_t* b,
          std::int64_t pairs, const TileOutput& out) {
  __m512 sums[kRows][2];
  for (int r = 0; r < kRows; ++r) {
    sums[r][0] = _mm512_setzero_ps();
    sums[r][1] = _mm512_setzero_ps();
  }
  for (std::int64_t p = 0; p < pairs; ++p) {
    const __m512bh left = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b));
    const __m512bh right = reinterpret_cast<__m512bh>(_mm512_loadu_si512(b + 16));
    b += kTileColumns;
    const std::uint32_t* word = a + p * pair_stride;
#pragma GCC unroll 12
    for (int r = 0; r < kRows; ++r) {
      const __m512bh pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(word[r * row_stride])));
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], pair, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], pair, right);
    }
  }
  const __mmask16 first = first_lanes(out.columns);
  const __mmask16 second = out.columns > 16 ? first_lanes(out.columns - 16) : static_cast<__mmask16>(0);
  for (int r = 0; r < kRows; ++r) {
    float* row = out.c + r * out.stride;
    if (out.adds) {
      sums[r][0] = _mm512_add_ps(sums[r][0], _mm512_maskz_loadu_ps(first, row));
      sums[r][1] = _mm512_add_ps(sums[r][1], _mm512_maskz_loadu_ps(second, row + 16));
    }
    _mm512_mask_storeu_ps(row, first, sums[r][0]);
    _mm512_mask_storeu_ps(row + 16, second, sums[r][1]);
  }
}

using TileFunction = void (*)(const std::uint32_t*, std::int64_t, std::int64_t, const std::uint32_t*, std::int64_t,
                              const TileOutput&);
constexpr TileFunction kTiles[kTileRows + 1] = {nullptr, tile<1>, tile<2>, tile<3>,  tile<4>,  tile<5>, tile<6>,
                                                tile<7>, tile<8>, tile<9>, tile<10>, tile<11>, tile<12>};

void run(std::int64_t m, std::int64_t n, std::int64_t k, const NarrowOperand& a, const NarrowOperand& b, float beta,
         float* c, std::int64_t c_stride, float* scratch) {
  auto* packed_a = reinterpret_cast<std::uint32_t*>(scratch);
  std::uint32_t* packed_b = packed_a + kBlockRows * kBlockPairs;
  for (std::int64_t k_begin = 0; k_begin < k || k_begin == 0; k_begin += kBlockDepth) {
    const std::int64_t depth = smaller_of(kBlockDepth, k - k_begin);
    const std::int64_t pairs = (depth + 1) / 2;
    const bool adds = k_begin > 0 || beta != 0.0F;
    for (std::int64_t m_begin = 0; m_begin < m; m_begin += kBlockRows) {
      const std::int64_t rows = smaller_of(kBlockRows, m - m_begin);
      std::int64_t row_stride = kBlockPairs;
      std::int64_t pair_stride = 1;
      for (std::int64_t n_begin = 0; n_begin < n; n_begin += kBlockColumns) {
        const std::int64_t columns = smaller_of(kBlockColumns, n - n_begin);
        pack_b(packed_b, b, k_begin, depth, n_begin, columns);
        if (n_begin == 0) {
          if (a.transpose) {
            row_stride = 1;
            pair_stride = round_up(rows, 16);
            pack_rows_along_depth(packed_a, pair_stride, a, k_begin, depth, m_begin, rows);
          } else {
            pack_rows_across_depth(packed_a, a, m_begin, rows, k_begin, depth);
          }
        }
        for (std::int64_t j = 0; j < columns; j += kTileColumns) {
          for (std::int64_t i = 0; i < rows; i += kTileRows) {
            const TileOutput out = {c + (m_begin + i) * c_stride + n_begin + j, c_stride,
                                    smaller_of(kTileColumns, columns - j), adds};
            kTiles[smaller_of(kTileRows, rows - i)](packed_a + i * row_stride, row_stride, pair_stride,
                                                    packed_b + j * kBlockPairs, pairs, out);
          }
        }
      }
    }
  }
}

} // namespace

const Bf16GemmKernel& bf16_gemm_avx512() {
  // The last rows' 16 spare words of a transposed block lie behind it.
  static const Bf16GemmKernel kernel = {kBlockRows * kBlockPairs + kBlockColumns * kBlockPairs + 64, run};
  return kernel;
}

} // namespace assay
