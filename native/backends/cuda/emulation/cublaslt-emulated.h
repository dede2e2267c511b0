// cuBLASLt for the emulated device: the same functions with the documented rules, which it checks, and plain sums. It
// proposes several algorithms that add in different orders, so that a wrong choice shows in the bits.
#pragma once

#include <memory>

#include "backends/cuda/cublaslt.h"
#include "backends/cuda/loader/cuda-options.h"
#include "engine/ops/backend.h"

namespace assay::emulation {

// What tests may change and read.
struct EmulatedCublasLt {
  bool has_epilogues = true;  // false: no epilogue is supported, as on an old device
  bool runs_epilogues = true; // false: algorithms are proposed for them, and refused when they are run
  int only_algorithm = -1;    // the others of the three fail when they are run, so that measuring finds this
  bool is_failing = false;    // every product fails
  int heuristic_calls = 0;
  int products = 0;
  int epilogue_products = 0;
  int last_algorithm = -1;
};
EmulatedCublasLt& emulated_cublaslt_state();

cuda::CublasLt emulated_cublaslt();

} // namespace assay::emulation

namespace assay {

// A whole CUDA backend on the emulated device.
std::unique_ptr<Backend> create_emulated_cuda_backend(const CudaOptions& options = {});

} // namespace assay
