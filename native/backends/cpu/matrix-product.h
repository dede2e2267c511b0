// C = alpha · op(A) · op(B) + (C or a bias) on one thread, by oneDNN or by own kernels, with what shall be done to
// finished values while they lie in a cache; and how a product is shared out: each thread gets one tile of C, so that
// no two threads ever add to the same number and the result does not depend on timing.
#pragma once

#include "backends/cpu/kernels/gemm-avx512.h"
#include "backends/cpu/kernels/table.h"
#include "backends/cpu/onednn.h"

#include <atomic>
#include <cstdint>

namespace assay {

// A call for every block of finished values: rows [row, row + rows), columns [column, column + columns) of the whole
// product, not of the tile. Refers to a function object that outlives it.
class Finish {
public:
  Finish() = default;
  template <class Body>
  explicit Finish(const Body& body)
      : call_([](const void* context, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
          (*static_cast<const Body*>(context))(row, rows, column, columns);
        }),
        context_(&body) {}
  explicit operator bool() const { return call_ != nullptr; }
  void operator()(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const {
    call_(context_, row, rows, column, columns);
  }

private:
  void (*call_)(const void*, std::int64_t, std::int64_t, std::int64_t, std::int64_t) = nullptr;
  const void* context_ = nullptr;
};

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
  float alpha = 1.0F;
  const float* bias = nullptr; // (n), added to every row; beta is then 0
  Finish finish = {};
  std::int64_t first_row = 0, first_column = 0; // of a tile in the whole product
  // Both operands rounded to bf16; so is every product with a narrower B.
  bool bf16 = false;
  NarrowType b_type = NarrowType::kF32;
  const float* b_scales = nullptr; // int8: by row or column of B as it lies
  bool b_scales_by_row = false;

  // The same product restricted to a tile of C.
  Product tile(std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) const;
};

// What products are computed with; null where the machine, or the caller's choice, has none.
struct ProductKernels {
  OneDnnLibrary::SgemmFunction sgemm = nullptr; // goes before `fp32`
  const BlockedGemm* fp32 = nullptr;
  const BlockedGemm* bf16 = nullptr;
};

class MatrixProduct {
public:
  MatrixProduct(const KernelTable& table, const ProductKernels& kernels) : kernels_(table), own_(kernels) {}

  bool has_bf16() const { return own_.bf16 != nullptr; }
  // Floats that run() needs as scratch.
  std::int64_t scratch_count() const;
  // Must run where OpenMP gives oneDNN one thread: inside a team, or under a thread count of one.
  void run(const Product& product, float* scratch) const;
  // Throws GEMM_FAILED when a product since the last call failed: run() itself may not throw inside a team.
  void check() const;

private:
  void run_blocked(const BlockedGemm& gemm, const Product& product, float* scratch) const;
  void run_in_strips(const Product& product, float* scratch) const;
  void run_fp32(const Product& product, float* scratch) const;
  void run_rounded(const Product& product, float* scratch) const;
  std::int64_t table_scratch_count() const;

  const KernelTable& kernels_;
  ProductKernels own_;
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
