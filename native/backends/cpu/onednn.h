// oneDNN's single-precision matrix product, found at run time. Nothing of oneDNN is needed to build.
#pragma once

#include <cstdint>
#include <string>

namespace assay {

struct OneDnnLibrary {
  // dnnl_status_t dnnl_sgemm(char, char, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), row-major; 0 is success.
  using SgemmFunction = int (*)(char, char, std::int64_t, std::int64_t, std::int64_t, float, const float*, std::int64_t,
                                const float*, std::int64_t, float, float*, std::int64_t);
  SgemmFunction sgemm = nullptr;
  std::string path;
  std::string version;
};

// Loaded on first use and never unloaded (its thread state outlives any handle). sgemm is null when there is none, or
// when the one found does not use this process's OpenMP runtime: two thread pools would fight over the cores.
const OneDnnLibrary& onednn_library();

} // namespace assay
