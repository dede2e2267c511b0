#include "engine/infer/vocabulary-scan.h"

namespace assay {

const VocabularyScan& vocabulary_scan() {
#if defined(ASSAY_X86_KERNELS)
  static const VocabularyScan& chosen = __builtin_cpu_supports("x86-64-v4")   ? vocabulary_scan_avx512()
                                        : __builtin_cpu_supports("x86-64-v3") ? vocabulary_scan_avx2()
                                                                              : vocabulary_scan_baseline();
  return chosen;
#else
  return vocabulary_scan_baseline();
#endif
}

} // namespace assay
