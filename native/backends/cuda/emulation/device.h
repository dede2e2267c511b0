// The made-up device: what it is, which a test can choose, and its memory, which the host cannot touch while no device
// work runs.
#pragma once

#include <cstddef>
#include <string>

#include "backends/cuda/emulation/runtime.h"

namespace assay::emulation {

struct Device {
  int count = 1; // 0: a machine without a device
  std::size_t memory_bytes = std::size_t{2} << 30;
  int multiprocessors = 4;
  int compute_capability = 80;
  // Whether the host is kept from device memory; costs two system calls an allocation and launch.
  bool protects_memory = true;
};

// The device; change it before anything is allocated.
Device& device();
std::size_t shared_bytes_limit();

// Device memory is readable and writable as long as one of these lives.
class DeviceAccess {
public:
  DeviceAccess();
  ~DeviceAccess();
  DeviceAccess(const DeviceAccess&) = delete;
  DeviceAccess& operator=(const DeviceAccess&) = delete;
};

// Whether the bytes lie in one allocation of device memory.
bool is_device_memory(const void* address, std::size_t size_bytes);
// Whether the address is the device's, allocated or not.
bool is_reserved_address(const void* address);
// Whether the bytes lie in one allocation of cudaMallocHost.
bool is_pinned_memory(const void* address, std::size_t size_bytes);
// Where an address lies in or beside the allocations, for an error's sentence.
std::string describe_address(const void* address);
// Throws CUDA_FAILED when a kernel wrote past the end of an allocation, into the bytes up to the next multiple of 256.
void check_allocation_ends();

// Remembers the status for cudaGetLastError and returns it.
cudaError_t report(cudaError_t status);

} // namespace assay::emulation
