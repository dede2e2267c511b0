#include "backends/cpu/matrix-product.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

namespace assay {

namespace {

std::size_t bytes_of(NarrowType type) {
  return type == NarrowType::kF32 ? 4 : type == NarrowType::kBf16 ? 2 : 1;
}

// Blocks of the emulation, in floats.
constexpr std::int64_t kRoundedDepth = 256;
constexpr std::int64_t kRoundedColumns = 256;
constexpr std::int64_t kRoundedRows = 128;

} // namespace

Product Product::tile(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const {
  Product part = *this;
  part.m = rows;
  part.n = columns;
  part.a = a + row * (transpose_a ? 1 : a_stride);
  part.b = static_cast<const std::byte*>(b) +
           static_cast<std::ptrdiff_t>(bytes_of(b_type)) * column * (transpose_b ? b_stride : 1);
  part.c = c + row * c_stride + column;
  part.bias = bias != nullptr ? bias + column : nullptr;
  part.first_row = first_row + row;
  part.first_column = first_column + column;
  // The scales that go by what a tile has fewer of move along.
  if (b_scales != nullptr && transpose_b == b_scales_by_row) {
    part.b_scales = b_scales + column;
  }
  return part;
}

// Scratch of the table's own product, which serves where there is nothing faster.
std::int64_t MatrixProduct::table_scratch_count() const {
  return own_.sgemm != nullptr || own_.fp32 != nullptr ? 0 : kernels_.gemm_scratch_count;
}

std::int64_t MatrixProduct::scratch_count() const {
  std::int64_t count = table_scratch_count();
  if (own_.sgemm == nullptr && own_.fp32 != nullptr) {
    count = std::max(count, own_.fp32->scratch_count);
  }
  if (own_.bf16 != nullptr) {
    return std::max(count, own_.bf16->scratch_count);
  }
  return count + kRoundedDepth * (kRoundedColumns + kRoundedRows) + kRoundedColumns;
}

void MatrixProduct::run(const Product& p, float* scratch) const {
  if (p.m <= 0 || p.n <= 0) {
    return;
  }
  const bool is_rounded = p.bf16 || p.b_type != NarrowType::kF32;
  if (is_rounded && own_.bf16 != nullptr) {
    run_blocked(*own_.bf16, p, scratch);
  } else if (!is_rounded && own_.sgemm == nullptr && own_.fp32 != nullptr) {
    run_blocked(*own_.fp32, p, scratch);
  } else {
    run_in_strips(p, scratch);
  }
}

void MatrixProduct::run_blocked(const BlockedGemm& gemm, const Product& p, float* scratch) const {
  BlockedProduct product = {};
  product.m = p.m;
  product.n = p.n;
  product.k = p.k;
  product.a = {p.a, NarrowType::kF32, nullptr, false, p.a_stride, p.transpose_a};
  product.b = {p.b, p.b_type, p.b_scales, p.b_scales_by_row, p.b_stride, p.transpose_b};
  product.alpha = p.alpha;
  product.adds = p.beta != 0.0F;
  product.bias = p.bias;
  product.c = p.c;
  product.c_stride = p.c_stride;
  if (p.finish) {
    product.finish_context = &p;
    product.finish = [](const void* context, std::int64_t row, std::int64_t rows, std::int64_t column,
                        std::int64_t columns) {
      const Product& whole = *static_cast<const Product*>(context);
      whole.finish(whole.first_row + row, rows, whole.first_column + column, columns);
    };
  }
  gemm.run(product, scratch);
}

// Kernels that know neither bias nor finish(): rows in strips of about half a megabyte of C, which still lies in the
// second-level cache when it is finished.
void MatrixProduct::run_in_strips(const Product& p, float* scratch) const {
  constexpr std::int64_t kStripFloats = 128 * 1024;
  const std::int64_t strip =
      p.bias == nullptr && !p.finish ? p.m : std::max<std::int64_t>(32, kStripFloats / p.n / 32 * 32);
  for (std::int64_t row = 0; row < p.m; row += strip) {
    Product piece = p.tile(row, std::min(strip, p.m - row), 0, p.n);
    // The product adds to the bias instead of the bias to the product: one pass less.
    for (std::int64_t r = 0; r < piece.m && p.bias != nullptr; ++r) {
      std::memcpy(piece.c + r * piece.c_stride, p.bias, static_cast<std::size_t>(p.n) * sizeof(float));
    }
    piece.beta = p.bias != nullptr ? 1.0F : p.beta;
    if (p.bf16 || p.b_type != NarrowType::kF32) {
      run_rounded(piece, scratch);
    } else {
      run_fp32(piece, scratch);
    }
    if (p.finish) {
      p.finish(piece.first_row, piece.m, piece.first_column, piece.n);
    }
  }
}

void MatrixProduct::run_fp32(const Product& p, float* scratch) const {
  const auto* b = static_cast<const float*>(p.b);
  if (own_.sgemm != nullptr) {
    const int status = own_.sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, p.alpha, p.a,
                                  p.a_stride, b, p.b_stride, p.beta, p.c, p.c_stride);
    if (status != 0) {
      failed_status_.store(status, std::memory_order_relaxed);
    }
    return;
  }
  kernels_.gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.alpha, p.a, p.a_stride, b, p.b_stride, p.beta, p.c,
                p.c_stride, scratch);
}

// The same product where the processor cannot multiply bf16: blocks of both operands, rounded and widened again, go
// through the fp32 product. Right, but no faster than fp32.
void MatrixProduct::run_rounded(const Product& p, float* scratch) const {
  float* rounded_a = scratch + table_scratch_count();
  float* rounded_b = rounded_a + kRoundedDepth * kRoundedRows;
  auto* words = reinterpret_cast<std::uint16_t*>(rounded_b + kRoundedDepth * kRoundedColumns);
  const auto round = [&](float* values, std::int64_t count) {
    kernels_.narrow_bf16(words, values, count);
    kernels_.widen_bf16(values, words, count);
  };
  for (std::int64_t k = 0; k < p.k; k += kRoundedDepth) {
    const std::int64_t depth = std::min(kRoundedDepth, p.k - k);
    for (std::int64_t n = 0; n < p.n; n += kRoundedColumns) {
      const std::int64_t columns = std::min(kRoundedColumns, p.n - n);
      // As it lies: `lines` runs of `length` neighbours.
      const std::int64_t lines = p.transpose_b ? columns : depth;
      const std::int64_t length = p.transpose_b ? depth : columns;
      const std::int64_t first_line = p.transpose_b ? n : k;
      const std::int64_t first = p.transpose_b ? k : n;
      for (std::int64_t line = 0; line < lines; ++line) {
        const std::int64_t at = (first_line + line) * p.b_stride + first;
        float* values = rounded_b + line * length;
        switch (p.b_type) {
        case NarrowType::kF32:
          std::memcpy(values, static_cast<const float*>(p.b) + at, static_cast<std::size_t>(length) * sizeof(float));
          break;
        case NarrowType::kBf16:
          kernels_.widen_bf16(values, static_cast<const std::uint16_t*>(p.b) + at, length);
          break;
        case NarrowType::kInt8:
          kernels_.widen_int8(values, static_cast<const std::int8_t*>(p.b) + at,
                              p.b_scales_by_row ? p.b_scales[first_line + line] : 1.0F, length);
          for (std::int64_t i = 0; i < length && !p.b_scales_by_row; ++i) {
            values[i] *= p.b_scales[first + i];
          }
          break;
        }
        round(values, length);
      }
      for (std::int64_t m = 0; m < p.m; m += kRoundedRows) {
        const std::int64_t rows = std::min(kRoundedRows, p.m - m);
        const std::int64_t a_lines = p.transpose_a ? depth : rows;
        const std::int64_t a_length = p.transpose_a ? rows : depth;
        for (std::int64_t line = 0; line < a_lines; ++line) {
          const std::int64_t row = (p.transpose_a ? k : m) + line;
          float* values = rounded_a + line * a_length;
          std::memcpy(values, p.a + row * p.a_stride + (p.transpose_a ? m : k),
                      static_cast<std::size_t>(a_length) * sizeof(float));
          round(values, a_length);
        }
        Product block;
        block.transpose_a = p.transpose_a;
        block.transpose_b = p.transpose_b;
        block.m = rows;
        block.n = columns;
        block.k = depth;
        block.alpha = p.alpha;
        block.a = rounded_a;
        block.a_stride = a_length;
        block.b = rounded_b;
        block.b_stride = length;
        block.beta = k > 0 ? 1.0F : p.beta;
        block.c = p.c + m * p.c_stride + n;
        block.c_stride = p.c_stride;
        run_fp32(block, scratch);
      }
    }
  }
}

void MatrixProduct::check() const {
  if (failed_status_.load(std::memory_order_relaxed) != 0) {
    throw Error("GEMM_FAILED", "oneDNN could not compute a matrix product (status " +
                                   std::to_string(failed_status_.exchange(0)) +
                                   "), most likely for want of memory; free some and go on from the last checkpoint.");
  }
}

Range share(std::int64_t count, std::int64_t parts, std::int64_t index, std::int64_t unit) {
  const std::int64_t units = (count + unit - 1) / unit;
  const std::int64_t base = units / parts;
  const std::int64_t longer = units % parts;
  const std::int64_t first = index * base + std::min(index, longer);
  const std::int64_t length = base + (index < longer ? 1 : 0);
  return {std::min(first * unit, count), std::min((first + length) * unit, count)};
}

TileGrid tile_grid(std::int64_t m, std::int64_t n, std::int64_t threads) {
  TileGrid best;
  std::int64_t lowest_cost = -1;
  for (std::int64_t row_parts = 1; row_parts <= threads; ++row_parts) {
    if (threads % row_parts != 0) {
      continue;
    }
    const std::int64_t column_parts = threads / row_parts;
    const std::int64_t rows = share(m, row_parts, 0, 8).count();
    const std::int64_t columns = share(n, column_parts, 0, 16).count();
    // The slowest thread multiplies rows · columns and packs its rows and its columns once each.
    const std::int64_t cost = rows * columns + 16 * (rows + columns);
    if (lowest_cost < 0 || cost < lowest_cost) {
      lowest_cost = cost;
      best = {row_parts, column_parts};
    }
  }
  return best;
}

} // namespace assay
