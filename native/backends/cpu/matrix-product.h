// C = op(A) · op(B) + beta · C on one thread, by oneDNN or by the own kernel, and how a product is shared out: each
// thread gets one tile of C, so that no two threads ever add to the same number and the result does not depend on
// timing.
#pragma once

#include "backends/cpu/kernels/table.h"
#include "backends/cpu/onednn.h"

#include <atomic>
#include <cstdint>

namespace assay {

struct Product {
  bool transpose_a = false;
  bool transpose_b = false;
  std::int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  std::int64_t a_stride = 0;
  const float* b = nullptr;
  std::int64_t b_stride = 0;
  float beta = 0.0F;
  float* c = nullptr;
  std::int64_t c_stride = 0;

  // The same product restricted to a tile of C.
  Product tile(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const;
};

class MatrixProduct {
public:
  MatrixProduct(const KernelTable& kernels, OneDnnLibrary::SgemmFunction sgemm) : kernels_(kernels), sgemm_(sgemm) {}

  // Floats that run() needs as scratch.
  std::int64_t scratch_count() const { return sgemm_ != nullptr ? 0 : kernels_.gemm_scratch_count; }
  // Must run where OpenMP gives oneDNN one thread: inside a team, or under a thread count of one.
  void run(const Product& product, float* scratch) const;
  // Throws GEMM_FAILED when a product since the last call failed: run() itself may not throw inside a team.
  void check() const;

private:
  const KernelTable& kernels_;
  OneDnnLibrary::SgemmFunction sgemm_;
  mutable std::atomic<int> failed_status_ = 0;
};

struct Range {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t count() const { return end - begin; }
};

// Part `index` of `parts` nearly equal runs of whole units.
Range share(std::int64_t count, std::int64_t parts, std::int64_t index, std::int64_t unit = 1);

// How `threads` tiles cover an (m, n) matrix: row_parts · column_parts = threads.
struct TileGrid {
  std::int64_t row_parts = 1;
  std::int64_t column_parts = 1;
};
TileGrid tile_grid(std::int64_t m, std::int64_t n, std::int64_t threads);

} // namespace assay
