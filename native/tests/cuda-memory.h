// Arrays in the memory of a CUDA device, real or emulated, for tests of kernels.
#pragma once

#include <cstddef>
#include <vector>

#include "backends/cuda/device.h"

namespace assay::test {

template <class T> class DeviceArray {
public:
  explicit DeviceArray(std::size_t count) : count_(count) {
    check_cuda(cudaMalloc(&data_, count * sizeof(T)), "Allocating device memory");
  }
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    check_cuda(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), "Copying to the device");
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;
  ~DeviceArray() { cudaFree(data_); }

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::vector<T> to_host() const {
    std::vector<T> values(count_);
    check_cuda(cudaDeviceSynchronize(), "Waiting for the device");
    check_cuda(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), "Copying to the host");
    return values;
  }

private:
  T* data_ = nullptr;
  std::size_t count_;
};

} // namespace assay::test
