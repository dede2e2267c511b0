#include "backends/cpu/matrix-product.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string>

namespace assay {

Product Product::tile(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const {
  Product part = *this;
  part.m = rows;
  part.n = columns;
  part.a = a + row * (transpose_a ? 1 : a_stride);
  part.b = b + column * (transpose_b ? b_stride : 1);
  part.c = c + row * c_stride + column;
  return part;
}

void MatrixProduct::run(const Product& p, float* scratch) const {
  if (p.m <= 0 || p.n <= 0) {
    return;
  }
  if (sgemm_ != nullptr) {
    const int status = sgemm_(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0F, p.a,
                              p.a_stride, p.b, p.b_stride, p.beta, p.c, p.c_stride);
    if (status != 0) {
      failed_status_.store(status, std::memory_order_relaxed);
    }
    return;
  }
  kernels_.gemm(p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.a, p.a_stride, p.b, p.b_stride, p.beta, p.c, p.c_stride,
                scratch);
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
