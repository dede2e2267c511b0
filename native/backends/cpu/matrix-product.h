// C = op(A) · op(B) + beta · C on one thread, by oneDNN or by own kernels, and how a product is shared out: each
// thread gets one tile of C, so that no two threads ever add to the same number and the result does not depend on
// timing.
#pragma once

#include "backends/cpu/kernels/gemm-bf16.h"
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
  const void* b = nullptr; // fp32 unless b_type says otherwise
  std::int64_t b_stride = 0;
  float beta = 0.0F; // 0 or 1
  float* c = nullptr;
  std::int64_t c_stride = 0;
  // Both operands rounded to bf16; so is every product with a narrower B.
  bool bf16 = false;
  NarrowType b_type = NarrowType::kF32;
  const float* b_scales = nullptr; // int8: by row or column of B as it lies
  bool b_scales_by_row = false;

  // The same product restricted to a tile of C.
  Product tile(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const;
};

class MatrixProduct {
public:
  // `bf16_gemm` is null where the processor has no instruction for it.
  MatrixProduct(const KernelTable& kernels, OneDnnLibrary::SgemmFunction sgemm, const Bf16GemmKernel* bf16_gemm)
      : kernels_(kernels), sgemm_(sgemm), bf16_gemm_(bf16_gemm) {}

  bool has_bf16() const { return bf16_gemm_ != nullptr; }
  // Floats that run() needs as scratch.
  std::int64_t scratch_count() const;
  // Must run where OpenMP gives oneDNN one thread: inside a team, or under a thread count of one.
  void run(const Product& product, float* scratch) const;
  // Throws GEMM_FAILED when a product since the last call failed: run() itself may not throw inside a team.
  void check() const;

private:
  void run_fp32(const Product& product, float* scratch) const;
  void run_rounded(const Product& product, float* scratch) const;

  const KernelTable& kernels_;
  OneDnnLibrary::SgemmFunction sgemm_;
  const Bf16GemmKernel* bf16_gemm_;
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
