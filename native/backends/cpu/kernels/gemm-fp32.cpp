// The blocked product of fp32 operands.
#include "backends/cpu/kernels/gemm-blocked.h"

namespace assay {

const BlockedGemm& fp32_gemm_avx512() {
  static constexpr BlockedGemm kGemm = {kScratchCount, run_blocked<Fp32Words>};
  return kGemm;
}

} // namespace assay
