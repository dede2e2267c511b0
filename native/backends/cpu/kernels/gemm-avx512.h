// Matrix products with AVX-512, on one thread: of fp32 operands, and of operands rounded to bf16 (to nearest even) with
// sums in fp32, by the processor's own instruction for it (AVX512_BF16).
#pragma once

#include <cstdint>

namespace assay {

enum class NarrowType : std::uint8_t { kF32, kBf16, kInt8 };

// A matrix as it lies in memory, row-major; with `transpose` the product takes its transpose.
struct NarrowOperand {
  const void* values;
  NarrowType type;
  const float* scales; // int8: one a row or one a column of the matrix as it lies
  bool scales_by_row;
  std::int64_t stride;
  bool transpose;
};

// C = alpha · op(A) · op(B) + (adds ? C : bias or 0).
struct BlockedProduct {
  std::int64_t m, n, k;
  NarrowOperand a, b;
  float alpha;
  bool adds;
  const float* bias; // (n) or null; not together with adds
  float* c;
  std::int64_t c_stride;
  // Called once for each block of finished values of C, while they still lie in a cache; may be null.
  void (*finish)(const void* context, std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns);
  const void* finish_context;
};

struct BlockedGemm {
  std::int64_t scratch_count; // floats
  void (*run)(const BlockedProduct& product, float* scratch);
};

#if defined(ASSAY_X86_KERNELS)
const BlockedGemm& fp32_gemm_avx512();
const BlockedGemm& bf16_gemm_avx512();
#endif

} // namespace assay
