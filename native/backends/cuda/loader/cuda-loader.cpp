// Finds and opens the backend's library, and puts the report together.
#include "backends/cuda/loader/cuda-loader.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "backends/cuda/loader/cublaslt-places.h"
#include "backends/cuda/loader/driver.h"
#include "backends/cuda/loader/plugin-interface.h"
#include "engine/base/error.h"

namespace assay {

namespace cuda {

namespace {

namespace fs = std::filesystem;

constexpr const char* kLibraryName = "libassay-cuda.so";
constexpr int kOldestCapability = 80;

// The folder of the addon or program that this code is part of.
fs::path own_folder() {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(&own_folder), &info) == 0 || info.dli_fname == nullptr) {
    return {};
  }
  std::error_code error;
  const fs::path file = fs::canonical(info.dli_fname, error);
  return error ? fs::path() : file.parent_path();
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

// The library's functions, after it was seen to be of this very version. It stays open.
struct Plugin {
  PluginCreateFunction create = nullptr;
  int runtime_version = 0;
};

Plugin open_plugin(const std::string& path) {
  void* library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    const char* reason = ::dlerror();
    throw Error("CUDA_NOT_AVAILABLE", "The CUDA backend " + path + " cannot be loaded (" +
                                          (reason != nullptr ? reason : "no reason was given") +
                                          "); install Assay again or build it anew.");
  }
  const auto abi = reinterpret_cast<PluginAbiFunction>(::dlsym(library, kPluginAbiName));
  const auto runtime = reinterpret_cast<PluginRuntimeVersionFunction>(::dlsym(library, kPluginRuntimeVersionName));
  Plugin plugin;
  plugin.create = reinterpret_cast<PluginCreateFunction>(::dlsym(library, kPluginCreateName));
  if (abi == nullptr || runtime == nullptr || plugin.create == nullptr || abi() != plugin_abi()) {
    ::dlclose(library);
    throw Error("CUDA_NOT_AVAILABLE", "The CUDA backend " + path +
                                          " belongs to another version of Assay; install Assay again or build it "
                                          "anew.");
  }
  plugin.runtime_version = runtime();
  return plugin;
}

// Empty when the driver serves programs of this CUDA: those of its own major version and of older ones.
std::string driver_problem(int driver_version, int runtime_version) {
  if (driver_version / 1000 >= runtime_version / 1000) {
    return {};
  }
  return "The NVIDIA driver serves CUDA " + version_text(driver_version) + ", but Assay's CUDA backend needs " +
         version_text(runtime_version) + "; update the driver.";
}

} // namespace

std::string find_backend_library(const CudaOptions& options) {
  std::error_code ignored;
  std::string chosen = options.library;
  if (const char* value = std::getenv("ASSAY_CUDA_BACKEND"); chosen.empty() && value != nullptr) {
    chosen = value;
  }
  if (!chosen.empty()) {
    return fs::is_regular_file(chosen, ignored) ? chosen : std::string();
  }
  const fs::path folder = own_folder();
  // Beside the addon, or in the folder of the same build.
  for (const fs::path& place : {folder / kLibraryName, folder.parent_path() / "backends" / "cuda" / kLibraryName}) {
    if (!folder.empty() && fs::is_regular_file(place, ignored)) {
      return place.string();
    }
  }
  return {};
}

std::unique_ptr<Backend> load_backend(const std::string& library, int device, const CudaOptions& options) {
  const Plugin plugin = open_plugin(library);
  return std::unique_ptr<Backend>(plugin.create(device, &options, fs::path(library).parent_path().c_str()));
}

} // namespace cuda

namespace cuda {

std::string default_cache_folder() {
  if (const char* named = std::getenv("ASSAY_CACHE"); named != nullptr && *named != '\0') {
    return named;
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home != '\0' ? std::string(home) + "/.cache/assay" : std::string();
}

} // namespace cuda

CudaReport probe_cuda(const CudaOptions& options) {
  CudaReport report;
  try {
    const cuda::Driver driver = cuda::ask_driver();
    report.has_driver = driver.is_there;
    report.driver_version = driver.version;
    report.devices = driver.devices;
    report.backend_path = cuda::find_backend_library(options);
    const std::string folder = std::filesystem::path(report.backend_path).parent_path().string();
    const cuda::CublasLtPlaces places = cuda::cublaslt_places(options.cublaslt, folder);
    report.cublaslt_path = places.first_existing();
    bool has_new_device = false;
    for (const CudaDevice& device : report.devices) {
      has_new_device = has_new_device || device.compute_capability >= cuda::kOldestCapability;
    }
    if (!driver.problem.empty()) {
      report.missing = driver.problem + "; to train on an NVIDIA GPU, install its driver (version 580 or newer).";
      return report;
    }
    if (!has_new_device) {
      report.missing = "The GPU " + report.devices.front().name +
                       " is too old: Assay needs compute capability 8.0 "
                       "(Ampere) or newer; train on the CPU.";
      return report;
    }
    if (report.backend_path.empty()) {
      report.missing = "Assay's CUDA backend (libassay-cuda.so) is not there; install it beside Assay, build it with "
                       "nvcc, or give its path in ASSAY_CUDA_BACKEND.";
      return report;
    }
    report.runtime_version = cuda::open_plugin(report.backend_path).runtime_version;
    report.missing = cuda::driver_problem(report.driver_version, report.runtime_version);
    for (const std::string& file : places.files) {
      if (void* library = report.cublaslt_path.empty() ? ::dlopen(file.c_str(), RTLD_LAZY | RTLD_LOCAL) : nullptr;
          library != nullptr) {
        Dl_info info{};
        void* function = ::dlsym(library, "cublasLtMatmul");
        report.cublaslt_path =
            function != nullptr && ::dladdr(function, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : file;
        ::dlclose(library);
      }
    }
    if (report.missing.empty() && report.cublaslt_path.empty()) {
      report.missing = places.sentence();
    }
  } catch (const std::exception& error) {
    report.missing = error.what();
  }
  return report;
}

std::unique_ptr<Backend> create_cuda_backend(int device, const CudaOptions& options) {
  const CudaReport report = probe_cuda(options);
  if (!report.missing.empty()) {
    throw Error("CUDA_NOT_AVAILABLE", report.missing);
  }
  CudaOptions completed = options;
  if (completed.cache_folder.empty()) {
    completed.cache_folder = cuda::default_cache_folder();
  }
  return cuda::load_backend(report.backend_path, device, completed);
}

} // namespace assay
