// The portable matrix product, for one thread: panels of A and B are packed so that the inner kernel reads both in
// order, and the kernel keeps a block of C in registers (Goto and van de Geijn, "Anatomy of high-performance matrix
// multiplication"). Limited by fused multiply-adds once packed; serves where oneDNN is not installed.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

namespace {

#if defined(__AVX512F__)
constexpr int kBlockRows = 12; // 24 of 32 registers hold C
#elif defined(__AVX2__)
constexpr int kBlockRows = 6; // 12 of 16
#elif defined(__aarch64__)
constexpr int kBlockRows = 8; // 16 of 32
#else
constexpr int kBlockRows = 4; // 8 of 16
#endif
constexpr int kBlockColumns = 2 * kLanes;
constexpr std::int64_t kDepth = 256; // a panel of B, kDepth × kBlockColumns, stays in the first-level cache
constexpr std::int64_t kPanelRows = 12 * kBlockRows; // a panel of A, kPanelRows × kDepth, stays in the second
constexpr std::int64_t kPanelColumns = 1024;

// packed[block][depth][row in block], padded with zeros to whole blocks.
void pack_a(float* packed, const float* a, std::int64_t row_stride, std::int64_t depth_stride, std::int64_t rows,
            std::int64_t depth) {
  for (std::int64_t begin = 0; begin < rows; begin += kBlockRows) {
    const std::int64_t here = rows - begin < kBlockRows ? rows - begin : kBlockRows;
    if (here == kBlockRows) {
      const float* source = a + begin * row_stride;
      for (std::int64_t k = 0; k < depth; ++k) {
        for (int r = 0; r < kBlockRows; ++r) {
          packed[k * kBlockRows + r] = source[r * row_stride + k * depth_stride];
        }
      }
    } else {
      for (std::int64_t k = 0; k < depth; ++k) {
        for (std::int64_t r = 0; r < kBlockRows; ++r) {
          packed[k * kBlockRows + r] = r < here ? a[(begin + r) * row_stride + k * depth_stride] : 0.0F;
        }
      }
    }
    packed += kBlockRows * depth;
  }
}

// packed[block][depth][column in block], padded likewise.
void pack_b(float* packed, const float* b, std::int64_t depth_stride, std::int64_t column_stride, std::int64_t depth,
            std::int64_t columns) {
  for (std::int64_t begin = 0; begin < columns; begin += kBlockColumns) {
    const std::int64_t here = columns - begin < kBlockColumns ? columns - begin : kBlockColumns;
    const float* source = b + begin * column_stride;
    if (here == kBlockColumns && column_stride == 1) {
      for (std::int64_t k = 0; k < depth; ++k) {
        store(packed + k * kBlockColumns, load(source + k * depth_stride));
        store(packed + k * kBlockColumns + kLanes, load(source + k * depth_stride + kLanes));
      }
    } else {
      for (std::int64_t c = 0; c < kBlockColumns; ++c) {
        for (std::int64_t k = 0; k < depth; ++k) {
          packed[k * kBlockColumns + c] = c < here ? source[k * depth_stride + c * column_stride] : 0.0F;
        }
      }
    }
    packed += kBlockColumns * depth;
  }
}

// block (kBlockRows, kBlockColumns) of A · B from packed panels, written to `target` as base · beta + product · alpha.
// Not inlined: the compiler then has all registers for C and spills none of them.
[[gnu::noinline]] void multiply_block(const float* __restrict a, const float* __restrict b, std::int64_t depth,
                                      float* target, std::int64_t target_stride, float alpha, float beta) {
  Vector sums[kBlockRows][2] = {};
  for (std::int64_t k = 0; k < depth; ++k) {
    const Vector b0 = load(b);
    const Vector b1 = load(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < kBlockRows; ++r) {
      sums[r][0] += b0 * a[r];
      sums[r][1] += b1 * a[r];
    }
    a += kBlockRows;
    b += kBlockColumns;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kBlockRows; ++r) {
    float* row = target + r * target_stride;
    if (beta == 0.0F) {
      store(row, sums[r][0] * alpha);
      store(row + kLanes, sums[r][1] * alpha);
    } else {
      store(row, load(row) * beta + sums[r][0] * alpha);
      store(row + kLanes, load(row + kLanes) * beta + sums[r][1] * alpha);
    }
  }
}

} // namespace

const std::int64_t gemm_scratch_count = kPanelRows * kDepth + (kPanelColumns + kBlockColumns) * kDepth;

void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, float beta, float* c,
          std::int64_t c_stride, float* scratch) {
  const std::int64_t a_row = transpose_a ? 1 : a_stride;
  const std::int64_t a_depth = transpose_a ? a_stride : 1;
  const std::int64_t b_depth = transpose_b ? 1 : b_stride;
  const std::int64_t b_column = transpose_b ? b_stride : 1;
  float* packed_a = scratch;
  float* packed_b = scratch + kPanelRows * kDepth;
  float edge[kBlockRows * kBlockColumns];

  for (std::int64_t column = 0; column < n; column += kPanelColumns) {
    const std::int64_t columns = n - column < kPanelColumns ? n - column : kPanelColumns;
    for (std::int64_t step = 0; step < k; step += kDepth) {
      const std::int64_t depth = k - step < kDepth ? k - step : kDepth;
      const float block_beta = step == 0 ? beta : 1.0F;
      pack_b(packed_b, b + step * b_depth + column * b_column, b_depth, b_column, depth, columns);
      for (std::int64_t row = 0; row < m; row += kPanelRows) {
        const std::int64_t rows = m - row < kPanelRows ? m - row : kPanelRows;
        pack_a(packed_a, a + row * a_row + step * a_depth, a_row, a_depth, rows, depth);
        for (std::int64_t j = 0; j < columns; j += kBlockColumns) {
          for (std::int64_t i = 0; i < rows; i += kBlockRows) {
            const float* a_block = packed_a + i * depth;
            const float* b_block = packed_b + j * depth;
            float* target = c + (row + i) * c_stride + column + j;
            if (rows - i >= kBlockRows && columns - j >= kBlockColumns) {
              multiply_block(a_block, b_block, depth, target, c_stride, alpha, block_beta);
              continue;
            }
            multiply_block(a_block, b_block, depth, edge, kBlockColumns, alpha, 0.0F);
            const std::int64_t edge_rows = rows - i < kBlockRows ? rows - i : kBlockRows;
            const std::int64_t edge_columns = columns - j < kBlockColumns ? columns - j : kBlockColumns;
            for (std::int64_t r = 0; r < edge_rows; ++r) {
              for (std::int64_t x = 0; x < edge_columns; ++x) {
                const float base = block_beta == 0.0F ? 0.0F : target[r * c_stride + x] * block_beta;
                target[r * c_stride + x] = base + edge[r * kBlockColumns + x];
              }
            }
          }
        }
      }
    }
  }
}

} // namespace assay::ASSAY_VARIANT
