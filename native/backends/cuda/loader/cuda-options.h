// What the CUDA backend may be told.
#pragma once

#include <string>

namespace assay {

struct CudaOptions {
  // The backend's library; empty: the environment's ASSAY_CUDA_BACKEND, else beside this program's own code.
  std::string library = {};
  // cuBLASLt, a file or its folder; empty: the environment's ASSAY_CUBLASLT, else where it usually lies.
  std::string cublaslt = {};
  // A folder for the measured choices of products; empty: they are not kept.
  std::string cache_folder = {};
  // Two runs of the same work on the same machine give equal bits.
  bool deterministic = true;
  // Whether algorithms of products are measured at the first use of a shape.
  bool measures_products = true;
};

} // namespace assay
