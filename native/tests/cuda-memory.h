// Arrays in the memory of a CUDA device, real or emulated, for tests of kernels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "backends/cuda/device.h"
#include "tests/check.h"

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

// The order in which threads run as long as this lives.
class ThreadOrder {
public:
  explicit ThreadOrder([[maybe_unused]] std::uint64_t seed) {
#if defined(ASSAY_CUDA_EMULATION)
    emulation::set_order(seed);
#endif
  }
  ThreadOrder(const ThreadOrder&) = delete;
  ThreadOrder& operator=(const ThreadOrder&) = delete;
  ~ThreadOrder() {
#if defined(ASSAY_CUDA_EMULATION)
    emulation::set_order(0);
#endif
  }
};

// The order in which the emulation runs threads from now on; a real device has its own.
inline void set_thread_order([[maybe_unused]] std::uint64_t seed) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::set_order(seed);
#endif
}

// Runs `body`, which returns a vector, with the threads of a block in several orders and expects the same bits: where a
// barrier is missing, some order shows it. A real device has orders enough of its own.
template <class Body> void check_same_in_all_orders(const Body& body) {
  const auto expected = body();
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    const ThreadOrder order(seed);
    const auto found = body();
    if (found.size() != expected.size() ||
        std::memcmp(found.data(), expected.data(), expected.size() * sizeof(expected[0])) != 0) {
      fail_check(__FILE__, __LINE__, "the result depends on the order of the threads, seed " + std::to_string(seed));
    }
  }
}

} // namespace assay::test
