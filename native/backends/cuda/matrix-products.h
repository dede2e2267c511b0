// Matrix products by cuBLASLt: descriptions made once a shape, the algorithm chosen among those that the library
// proposes, and what may follow a product fused into it.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/cublaslt.h"
#include "backends/cuda/product-choices.h"
#include "engine/ops/backend.h"

namespace assay::cuda {

// d (m, n) = epilogue(alpha · op(a) (m, k) · op(b) (k, n) + beta · d), row-major with strides in values. a and b are of
// one type; d is of theirs or fp32. Sums are fp32.
struct Product {
  ConstValues a, b;
  Values d;
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t a_stride = 0, b_stride = 0, d_stride = 0;
  bool transpose_a = false; // a lies as (k, m)
  bool transpose_b = false; // b lies as (n, k)
  float alpha = 1.0F;
  float beta = 0.0F; // 0 or 1
  cublaslt::Epilogue epilogue = cublaslt::kEpilogueNone;
  const void* bias = nullptr; // (n), of d's type, where the epilogue has one
  void* auxiliary = nullptr;  // (m, n) of d's type and stride, where the epilogue has one
  // False: of a size that may never come again, so the library's first proposal serves. It is a function of the sizes
  // alone, or runs that were interrupted would choose otherwise than those that were not.
  bool is_measured = true;
};

// Rows of whole microbatches are multiples of 64, of decoding batches often small powers of two; the rows that a masked
// language model predicts are any number.
inline bool are_usual_rows(std::int64_t rows) {
  return rows % 64 == 0 || (rows < 64 && std::has_single_bit(static_cast<std::uint64_t>(rows)));
}

struct MatrixProductOptions {
  std::string device_name;
  int multiprocessors = 1;
  std::string choices_path; // empty: choices are not kept
  // Two runs must give equal bits: measurements decide only where they are kept for later runs, elsewhere the
  // library's first proposal.
  bool deterministic = true;
  bool measures = true; // false: always the library's first proposal
};

class MatrixProducts {
public:
  MatrixProducts(const CublasLt& library, const MatrixProductOptions& options);
  ~MatrixProducts();
  MatrixProducts(const MatrixProducts&) = delete;
  MatrixProducts& operator=(const MatrixProducts&) = delete;

  const CublasLt& library() const noexcept { return library_; }
  // False when the library has nothing for this product with this epilogue; then nothing was done. A shape that is new
  // is measured, on the stream and waiting for it; while the stream is recorded that throws CannotRecord.
  bool multiply(cudaStream_t stream, const Product& product);
  // Without an epilogue; throws CUDA_FAILED when the library cannot.
  void multiply_plain(cudaStream_t stream, const Product& product);

private:
  struct Shape;
  struct Plan;
  struct Plans; // by their shapes

  Plan& plan_of(cudaStream_t stream, const Product& product);
  std::vector<ProductChoice> choose(cudaStream_t stream, const Product& product, const Plan& plan,
                                    const std::string& key);
  // Milliseconds of one run.
  float measure(cudaStream_t stream, const Product& product, const Plan& plan, const ProductChoice& choice,
                void* target);
  int run(cudaStream_t stream, const Product& product, const Plan& plan, const ProductChoice& choice, void* target);

  const CublasLt library_;
  MatrixProductOptions options_;
  ProductChoices choices_;
  cublaslt::Context* context_ = nullptr;
  void* workspace_ = nullptr; // the library's own, for sums that are split
  std::unique_ptr<Plans> plans_;
};

} // namespace assay::cuda
