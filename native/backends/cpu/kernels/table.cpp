// Fills the table of this variant.
#include "backends/cpu/kernels/functions.h"

namespace assay {

const KernelTable& ASSAY_KERNELS() {
  namespace variant = ASSAY_VARIANT;
  static const KernelTable table = {
#if defined(__AVX512F__)
    "avx512",
#elif defined(__AVX2__)
    "avx2",
#else
    "baseline",
#endif
    variant::dropout,
    variant::narrow_bf16,
    variant::widen_bf16,
    variant::widen_int8,
    variant::add,
    variant::add_to,
    variant::gelu,
    variant::gelu_backward,
    variant::gelu_erf,
    variant::gelu_erf_backward,
    variant::tanh,
    variant::tanh_backward,
    variant::layer_norm_forward,
    variant::layer_norm_backward,
    variant::softmax_block,
    variant::probabilities,
    variant::softmax_backward,
    variant::log_sum_exp,
    variant::scale,
    variant::scaled_probabilities,
    variant::dot,
    variant::column_sum,
    variant::square_sum,
    variant::vector_matrix,
    variant::dot_bf16,
    variant::dot_int8,
    variant::vector_matrix_bf16,
    variant::vector_matrix_int8,
    variant::vectors_matrix_bf16,
    variant::vectors_matrix_int8,
    variant::row_dots,
    variant::weighted_rows,
    variant::adamw,
    variant::adamw_blocks,
    variant::gemm_scratch_count,
    variant::gemm,
  };
  return table;
}

} // namespace assay
