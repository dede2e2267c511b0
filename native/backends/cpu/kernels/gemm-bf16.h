// Matrix product of operands rounded to bf16 with sums in fp32, by the processor's own instruction for it
// (AVX512_BF16). Rounding, widening of narrower weights and the pairing that the instruction wants happen while blocks
// are packed.
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

struct Bf16GemmKernel {
  std::int64_t scratch_count; // floats
  // C = op(A) · op(B) + beta · C with beta 0 or 1, on one thread.
  void (*run)(std::int64_t m, std::int64_t n, std::int64_t k, const NarrowOperand& a, const NarrowOperand& b,
              float beta, float* c, std::int64_t c_stride, float* scratch);
};

#if defined(ASSAY_X86_KERNELS)
const Bf16GemmKernel& bf16_gemm_avx512();
#endif

} // namespace assay
