// The functions and attributes are the CUDA driver's (libcuda) and the management library's (libnvidia-ml), which
// alone knows how much memory is free without making a context that takes some itself.
#include "backends/cuda/loader/driver.h"

#include <dlfcn.h>

namespace assay::cuda {

namespace {

constexpr int kAttributeMultiprocessors = 16;
constexpr int kAttributeCapabilityMajor = 75;
constexpr int kAttributeCapabilityMinor = 76;

template <class Function> Function* find(void* library, const char* name) {
  return library != nullptr ? reinterpret_cast<Function*>(::dlsym(library, name)) : nullptr;
}

class ManagementLibrary {
public:
  ManagementLibrary() : library_(::dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    auto* start = find<int()>(library_, "nvmlInit_v2");
    find_device_ = find<int(const char*, void**)>(library_, "nvmlDeviceGetHandleByPciBusId_v2");
    memory_ = find<int(void*, Memory*)>(library_, "nvmlDeviceGetMemoryInfo");
    is_ready_ = start != nullptr && find_device_ != nullptr && memory_ != nullptr && start() == 0;
  }
  ~ManagementLibrary() {
    if (auto* stop = find<int()>(library_, "nvmlShutdown"); is_ready_ && stop != nullptr) {
      stop();
    }
    if (library_ != nullptr) {
      ::dlclose(library_);
    }
  }
  ManagementLibrary(const ManagementLibrary&) = delete;
  ManagementLibrary& operator=(const ManagementLibrary&) = delete;

  std::size_t free_bytes(const char* bus_id) const {
    void* device = nullptr;
    Memory memory{};
    const bool is_known = is_ready_ && find_device_(bus_id, &device) == 0 && memory_(device, &memory) == 0;
    return is_known ? static_cast<std::size_t>(memory.free) : 0;
  }

private:
  struct Memory {
    unsigned long long total, free, used;
  };
  void* library_;
  int (*find_device_)(const char*, void**) = nullptr;
  int (*memory_)(void*, Memory*) = nullptr;
  bool is_ready_ = false;
};

} // namespace

Driver ask_driver() {
  Driver driver;
  // It stays open: the backend's runtime opens it too, and it may not be unloaded after it has been started.
  void* library = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  auto* start = find<int(unsigned)>(library, "cuInit");
  auto* version = find<int(int*)>(library, "cuDriverGetVersion");
  auto* count_devices = find<int(int*)>(library, "cuDeviceGetCount");
  auto* get_device = find<int(int*, int)>(library, "cuDeviceGet");
  auto* name_of = find<int(char*, int, int)>(library, "cuDeviceGetName");
  auto* attribute_of = find<int(int*, int, int)>(library, "cuDeviceGetAttribute");
  auto* memory_of = find<int(std::size_t*, int)>(library, "cuDeviceTotalMem_v2");
  auto* bus_of = find<int(char*, int, int)>(library, "cuDeviceGetPCIBusId");
  if (library == nullptr) {
    driver.problem = "The NVIDIA driver (libcuda.so.1) is not installed";
    return driver;
  }
  if (start == nullptr || version == nullptr || count_devices == nullptr || get_device == nullptr ||
      name_of == nullptr || attribute_of == nullptr || memory_of == nullptr || bus_of == nullptr) {
    driver.problem = "The NVIDIA driver (libcuda.so.1) lacks functions that Assay needs";
    return driver;
  }
  driver.is_there = true;
  version(&driver.version);
  if (const int status = start(0); status != 0) {
    driver.problem = "The NVIDIA driver finds no GPU that it can use (cuInit says " + std::to_string(status) + ")";
    return driver;
  }
  int count = 0;
  count_devices(&count);
  const ManagementLibrary management;
  for (int number = 0; number < count; ++number) {
    int handle = 0;
    char name[256] = {};
    char bus_id[32] = {};
    int major = 0;
    int minor = 0;
    CudaDevice device;
    if (get_device(&handle, number) != 0 || name_of(name, sizeof(name) - 1, handle) != 0) {
      continue;
    }
    device.name = name;
    attribute_of(&major, kAttributeCapabilityMajor, handle);
    attribute_of(&minor, kAttributeCapabilityMinor, handle);
    device.compute_capability = major * 10 + minor;
    attribute_of(&device.multiprocessors, kAttributeMultiprocessors, handle);
    memory_of(&device.total_bytes, handle);
    if (bus_of(bus_id, sizeof(bus_id) - 1, handle) == 0) {
      device.free_bytes = management.free_bytes(bus_id);
    }
    driver.devices.push_back(device);
  }
  if (driver.devices.empty()) {
    driver.problem = "The NVIDIA driver finds no GPU";
  }
  return driver;
}

} // namespace assay::cuda
