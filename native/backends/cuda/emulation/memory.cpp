// Device memory: a large reserved range of addresses in which every allocation ends at a page's end and is followed by
// unreadable pages. Addresses are not used twice, so that freed memory is not touched unnoticed.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <utility>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/faults.h"
#include "backends/cuda/emulation/stream.h"
#include "engine/base/error.h"

namespace assay::emulation {

namespace {

constexpr std::size_t kReservedBytes = std::size_t{1} << 40;
constexpr std::size_t kGuardBytes = std::size_t{1} << 20;
constexpr std::size_t kAlignment = 256; // of every allocation, as CUDA gives it
constexpr int kPoison = 0xFF;           // a NaN in fp32 and bf16

struct Allocation {
  std::size_t size_bytes;
  std::size_t padded_bytes; // to a multiple of kAlignment
  std::byte* pages;
  std::size_t page_bytes;
};

struct DeviceMemory {
  std::byte* start = nullptr;
  std::byte* next = nullptr;
  std::size_t used_bytes = 0;
  std::map<const std::byte*, Allocation> allocations;
  std::map<const void*, std::size_t> host_allocations;
  int accesses = 0;
};

DeviceMemory& memory() {
  static DeviceMemory all;
  return all;
}

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

void protect(const Allocation& allocation, bool open) {
  if (mprotect(allocation.pages, allocation.page_bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) != 0) {
    throw Error("CUDA_FAILED", "The emulated device's memory cannot be opened or closed: mprotect failed.");
  }
}

bool is_open() {
  return memory().accesses > 0 || !device().protects_memory;
}

// The allocation that begins at or before the address.
const std::pair<const std::byte* const, Allocation>* allocation_before(const void* address) {
  const auto& all = memory().allocations;
  auto next = all.upper_bound(static_cast<const std::byte*>(address));
  return next == all.begin() ? nullptr : &*std::prev(next);
}

} // namespace

DeviceAccess::DeviceAccess() {
  if (memory().accesses++ == 0 && device().protects_memory) {
    for (const auto& [start, allocation] : memory().allocations) {
      protect(allocation, true);
    }
  }
}

DeviceAccess::~DeviceAccess() {
  if (--memory().accesses == 0 && device().protects_memory) {
    for (const auto& [start, allocation] : memory().allocations) {
      mprotect(allocation.pages, allocation.page_bytes, PROT_NONE);
    }
  }
}

bool is_device_memory(const void* address, std::size_t size_bytes) {
  const auto* found = allocation_before(address);
  return found != nullptr &&
         static_cast<const std::byte*>(address) + size_bytes <= found->first + found->second.size_bytes;
}

bool is_reserved_address(const void* address) {
  const auto* byte = static_cast<const std::byte*>(address);
  return memory().start != nullptr && byte >= memory().start && byte < memory().start + kReservedBytes;
}

bool is_pinned_memory(const void* address, std::size_t size_bytes) {
  const auto& all = memory().host_allocations;
  auto next = all.upper_bound(address);
  return next != all.begin() && static_cast<const std::byte*>(address) + size_bytes <=
                                    static_cast<const std::byte*>(std::prev(next)->first) + std::prev(next)->second;
}

std::string describe_address(const void* address) {
  const auto* byte = static_cast<const std::byte*>(address);
  const auto* found = is_reserved_address(address) ? allocation_before(address) : nullptr;
  if (found != nullptr) {
    const auto offset = static_cast<std::size_t>(byte - found->first);
    return "byte " + std::to_string(offset) + " of an allocation of " + std::to_string(found->second.size_bytes);
  }
  if (is_reserved_address(address)) {
    return "device memory before every allocation";
  }
  return byte == nullptr ? "a null pointer" : "memory that is not the device's";
}

void check_allocation_ends() {
  for (const auto& [start, allocation] : memory().allocations) {
    for (std::size_t i = allocation.size_bytes; i < allocation.padded_bytes; ++i) {
      if (start[i] != static_cast<std::byte>(kPoison)) {
        throw Error("CUDA_FAILED", "Byte " + std::to_string(i) + " of an allocation of " +
                                       std::to_string(allocation.size_bytes) + " bytes of device memory was written.");
      }
    }
  }
}

} // namespace assay::emulation

using namespace assay::emulation;

cudaError_t cudaMalloc(void** result, std::size_t size_bytes) {
  *result = nullptr;
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (size_bytes == 0) {
    return cudaSuccess;
  }
  DeviceMemory& all = memory();
  if (size_bytes > device().memory_bytes || round_up(size_bytes, kAlignment) > device().memory_bytes - all.used_bytes) {
    return report(cudaErrorMemoryAllocation);
  }
  if (all.start == nullptr) {
    void* reserved = mmap(nullptr, kReservedBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED) {
      return report(cudaErrorMemoryAllocation);
    }
    all.start = all.next = static_cast<std::byte*>(reserved);
    handle_faults();
  }
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  Allocation allocation{};
  allocation.size_bytes = size_bytes;
  allocation.padded_bytes = round_up(size_bytes, kAlignment);
  allocation.page_bytes = round_up(allocation.padded_bytes, page);
  allocation.pages = all.next + kGuardBytes;
  if (allocation.pages + allocation.page_bytes + kGuardBytes > all.start + kReservedBytes) {
    return report(cudaErrorMemoryAllocation);
  }
  all.next = allocation.pages + allocation.page_bytes;
  std::byte* start = allocation.pages + allocation.page_bytes - allocation.padded_bytes;
  protect(allocation, true);
  std::memset(allocation.pages, kPoison, allocation.page_bytes);
  if (!is_open()) {
    protect(allocation, false);
  }
  all.used_bytes += allocation.padded_bytes;
  all.allocations.emplace(start, allocation);
  *result = start;
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (address == nullptr) {
    return cudaSuccess;
  }
  const cudaError_t status = finish_all_streams();
  DeviceMemory& all = memory();
  const auto found = all.allocations.find(static_cast<const std::byte*>(address));
  if (found == all.allocations.end()) {
    return report(cudaErrorInvalidValue);
  }
  // Gives the pages back and keeps the addresses.
  mmap(found->second.pages, found->second.page_bytes, PROT_NONE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  all.used_bytes -= found->second.padded_bytes;
  all.allocations.erase(found);
  return report(status);
}

cudaError_t cudaMallocHost(void** result, std::size_t size_bytes) {
  *result = nullptr;
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  void* host = std::malloc(size_bytes);
  if (host == nullptr) {
    return report(cudaErrorMemoryAllocation);
  }
  std::memset(host, kPoison, size_bytes);
  memory().host_allocations.emplace(host, size_bytes);
  *result = host;
  return cudaSuccess;
}

cudaError_t cudaHostAlloc(void** result, std::size_t size_bytes, unsigned int) {
  return cudaMallocHost(result, size_bytes);
}

cudaError_t cudaFreeHost(void* address) {
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (address == nullptr) {
    return cudaSuccess;
  }
  const cudaError_t status = finish_all_streams();
  if (memory().host_allocations.erase(address) == 0) {
    return report(cudaErrorInvalidValue);
  }
  std::free(address);
  return report(status);
}

cudaError_t cudaMemGetInfo(std::size_t* free_bytes, std::size_t* total_bytes) {
  *total_bytes = device().memory_bytes;
  *free_bytes = device().memory_bytes - memory().used_bytes;
  return cudaSuccess;
}
