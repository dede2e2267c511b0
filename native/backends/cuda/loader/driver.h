// NVIDIA's driver, opened at run time, as far as it tells of devices without starting one.
#pragma once

#include <string>
#include <vector>

#include "backends/cuda/loader/cuda-loader.h"

namespace assay::cuda {

struct Driver {
  bool is_there = false;
  int version = 0;
  std::vector<CudaDevice> devices;
  std::string problem; // why there is no driver or no device, as the beginning of a sentence; else empty
};

Driver ask_driver();

} // namespace assay::cuda
