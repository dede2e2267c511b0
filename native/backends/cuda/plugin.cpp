// What the library libassay-cuda.so exports; nothing else of it is visible.
#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/loader/plugin-interface.h"

#if defined(ASSAY_CUDA_EMULATION)
#include "backends/cuda/emulation/cublaslt-emulated.h"
#endif

#define ASSAY_EXPORT extern "C" __attribute__((visibility("default")))

ASSAY_EXPORT const char* assay_cuda_abi() {
  static const std::string text = assay::cuda::plugin_abi();
  return text.c_str();
}

ASSAY_EXPORT int assay_cuda_runtime_version() {
  int version = 0;
  return cudaRuntimeGetVersion(&version) == cudaSuccess ? version : 0;
}

// Throws assay::Error.
ASSAY_EXPORT assay::Backend* assay_cuda_create(int device, const assay::CudaOptions* options,
                                               [[maybe_unused]] const char* library_folder) {
#if defined(ASSAY_CUDA_EMULATION)
  return new assay::cuda::CudaBackend(device, assay::emulation::emulated_cublaslt(), *options);
#else
  return new assay::cuda::CudaBackend(device, assay::cuda::load_cublaslt(options->cublaslt, library_folder), *options);
#endif
}
