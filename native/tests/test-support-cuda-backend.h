// A whole CUDA backend for tests: on the emulated device, or where a program is built for devices on the machine's
// first GPU.
#pragma once

#include "backends/cuda/cuda-backend.h"
#if defined(ASSAY_CUDA_EMULATION)
#include "backends/cuda/emulation/cublaslt-emulated.h"
#include "backends/cuda/emulation/device.h"
#endif

#include <cstddef>
#include <memory>

namespace assay::test {

inline std::unique_ptr<Backend> create_test_cuda_backend(const CudaOptions& options = {}) {
#if defined(ASSAY_CUDA_EMULATION)
  return create_emulated_cuda_backend(options);
#else
  return std::make_unique<cuda::CudaBackend>(0, cuda::load_cublaslt(options.cublaslt, ""), options);
#endif
}

// What the emulated device has; a real one has what it has.
inline void set_device_memory([[maybe_unused]] std::size_t size_bytes) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::device().memory_bytes = size_bytes;
#endif
}

} // namespace assay::test
