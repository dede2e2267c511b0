// The engine's side of the CUDA backend: says what this machine has, and loads the backend's library where there is a
// driver. Nothing of CUDA is needed to build or start this.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/loader/cuda-options.h"
#include "engine/ops/backend.h"

namespace assay {

struct CudaDevice {
  std::string name;
  int compute_capability = 0; // 90 for 9.0
  int multiprocessors = 0;
  std::size_t total_bytes = 0;
  std::size_t free_bytes = 0; // 0 where nothing tells without starting the device
};

struct CudaReport {
  bool has_driver = false;
  int driver_version = 0; // the newest CUDA that the driver serves, as 13000; 0 without driver
  std::vector<CudaDevice> devices;
  std::string backend_path;  // empty: not found
  int runtime_version = 0;   // the CUDA that the backend was built with; known only where there is a driver
  std::string cublaslt_path; // empty: not found (without a driver the system's loader is not asked)
  // One sentence: what is missing and how to get it; empty when training on a GPU can begin.
  std::string missing;
};

// Never throws, and opens nothing but the driver where there is none.
CudaReport probe_cuda(const CudaOptions& options = {});

// Choices of algorithms are kept in default_cache_folder() where the options name no folder. Throws CUDA_NOT_AVAILABLE
// with the report's sentence, or with what the library says.
std::unique_ptr<Backend> create_cuda_backend(int device, const CudaOptions& options = {});

namespace cuda {

// $ASSAY_CACHE, else ~/.cache/assay: what can be made again.
std::string default_cache_folder();
// The backend's library as the options name it, or the first that exists of the places it may be in; empty if none.
std::string find_backend_library(const CudaOptions& options);
// What create_cuda_backend() does once there are a driver and a library.
std::unique_ptr<Backend> load_backend(const std::string& library, int device, const CudaOptions& options);

} // namespace cuda

} // namespace assay
