// The blocked product of bf16 operands.
#include "backends/cpu/kernels/gemm-blocked.h"

namespace assay {

const BlockedGemm& bf16_gemm_avx512() {
  static constexpr BlockedGemm kGemm = {kScratchCount, run_blocked<Bf16Words>};
  return kGemm;
}

} // namespace assay
