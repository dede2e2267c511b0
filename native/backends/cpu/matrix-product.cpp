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
  // The scales that go by what a tile has fewer of move along.
  if (b_scales != nullptr && transpose_b == b_scales_by_row) {
    part.b_scales = b_scales + column;
  }
  return part;
}

std::int64_t MatrixProduct::scratch_count() const {
  const std::int64_t fp32 = sgemm_ != nullptr ? 0 : kernels_.gemm_scratch_count;
  const std::int64_t narrow = bf16_gemm_ != nullptr
                                  ? bf16_gemm_->scratch_count
                                  : fp32 + kRoundedDepth * (kRoundedColumns + kRoundedRows) + kRoundedColumns;
  return std::max(fp32, narrow);
}

void MatrixProduct::run(const Product& p, float* scratch) const {
  if (p.m <= 0 || p.n <= 0) {
    return;
  }
  if (!p.bf16 && p.b_type == NarrowType::kF32) {
    run_fp32(p, scratch);
  } else if (bf16_gemm_ != nullptr) {
    const NarrowOperand a = {p.a, NarrowType::kF32, nullptr, false, p.a_stride, p.transpose_a};
    const NarrowOperand b = {p.b, p.b_type, p.b_scales, p.b_scales_by_row, p.b_stride, p.transpose_b};
    bf16_gemm_->run(p.m, p.n, p.k, a, b, p.beta, p.c, p.c_stride, scratch);
  } else {
    run_rounded(p, scratch);
  }
}

void MatrixProduct::run_fp32(const Product& p, float* scratch) const {
  const auto* b = static_cast<const float*>(p.b);
  if (sgemm_ != nullptr) {
    const int status = sgemm_(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0F, p.a,
                              p.a_stride, b, p.b_stride, p.beta, p.c, p.c_stride);
    if (status != 0) {
      failed_status_.store(status, std::memory_order_relaxed);
    }
    return;
  }
  kernels_.gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.a, p.a_stride, b, p.b_stride, p.beta, p.c, p.c_stride,
                scratch);
}

// The same product where the processor cannot multiply bf16: blocks of both operands, rounded and widened again, go
// through the fp32 product. Right, but no faster than fp32.
void MatrixProduct::run_rounded(const Product& p, float* scratch) const {
  float* rounded_a = scratch + (sgemm_ != nullptr ? 0 : kernels_.gemm_scratch_count);
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
