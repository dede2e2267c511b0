#include "binding/devices.h"

#include "backends/cpu/cpu-backend.h"
#include "backends/cuda/loader/cuda-loader.h"
#include "engine/base/error.h"

#include <charconv>
#include <map>
#include <mutex>

namespace assay::binding {

namespace {

// −1: the CPU.
int cuda_index(const std::string& device) {
  if (device == "cpu") {
    return -1;
  }
  constexpr std::string_view kPrefix = "cuda:";
  int index = -1;
  const char* end = device.data() + device.size();
  if (device.starts_with(kPrefix)) {
    const auto [at, error] = std::from_chars(device.data() + kPrefix.size(), end, index);
    if (error == std::errc() && at == end && index >= 0) {
      return index;
    }
  }
  throw Error("BAD_ARGUMENT", "There is no device \"" + device + "\"; use cpu or cuda:0.");
}

// 13000 as "13.0".
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

} // namespace

std::unique_ptr<Backend> create_backend(const std::string& device, int threads) {
  const int index = cuda_index(device);
  if (index < 0) {
    return create_cpu_backend({.threads = threads});
  }
  return create_cuda_backend(index);
}

PlanningBackend::PlanningBackend(const std::string& device, int threads) {
  if (cuda_index(device) < 0) {
    own_ = create_backend(device, threads);
    backend_ = own_.get();
    return;
  }
  static std::mutex mutex;
  // Never destroyed: the driver may be gone by then.
  static auto& kept = *new std::map<std::string, std::unique_ptr<Backend>>();
  const std::scoped_lock lock(mutex);
  std::unique_ptr<Backend>& backend = kept[device];
  if (backend == nullptr) {
    backend = create_backend(device, threads);
  }
  backend_ = backend.get();
}

Napi::Object cuda_object(Napi::Env env) {
  const CudaReport report = probe_cuda();
  const auto text_or_null = [&](const std::string& text) {
    return text.empty() ? env.Null() : Napi::Value(Napi::String::New(env, text));
  };
  Napi::Object cuda = Napi::Object::New(env);
  cuda.Set("driverVersion", text_or_null(report.has_driver ? version_text(report.driver_version) : ""));
  cuda.Set("cublasltPath", text_or_null(report.cublaslt_path));
  cuda.Set("backendPath", text_or_null(report.backend_path));
  cuda.Set("problem", text_or_null(report.missing));
  Napi::Array gpus = Napi::Array::New(env, report.devices.size());
  for (std::size_t index = 0; index < report.devices.size(); ++index) {
    const CudaDevice& device = report.devices[index];
    Napi::Object gpu = Napi::Object::New(env);
    gpu.Set("id", "cuda:" + std::to_string(index));
    gpu.Set("name", device.name);
    gpu.Set("memoryBytes", static_cast<double>(device.total_bytes));
    gpu.Set("freeBytes", static_cast<double>(device.free_bytes > 0 ? device.free_bytes : device.total_bytes));
    gpu.Set("computeCapability",
            std::to_string(device.compute_capability / 10) + "." + std::to_string(device.compute_capability % 10));
    gpus.Set(static_cast<std::uint32_t>(index), gpu);
  }
  cuda.Set("gpus", gpus);
  return cuda;
}

} // namespace assay::binding
