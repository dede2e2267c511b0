#include "backends/cpu/onednn.h"

#include "backends/cpu/cpu-backend.h"

#include <cstdlib>
#include <dlfcn.h>

namespace assay {

namespace {

// dnnl_version_t; its first fields are the same in releases 2 and 3.
struct Version {
  int major, minor, patch;
  const char* hash;
  unsigned cpu_runtime;
};
constexpr unsigned kRuntimeSequential = 1;
constexpr unsigned kRuntimeOpenMp = 2;

OneDnnLibrary load() {
  OneDnnLibrary library;
  // An explicit path serves installations outside the loader's search path; "none" switches oneDNN off.
  const char* chosen = std::getenv("ASSAY_ONEDNN");
  const char* const candidates[] = {chosen != nullptr && chosen[0] != '\0' ? chosen : "libdnnl.so.3", "libdnnl.so.2"};
  const int candidate_count = chosen != nullptr && chosen[0] != '\0' ? 1 : 2;
  for (int i = 0; i < candidate_count; ++i) {
    void* handle = ::dlopen(candidates[i], RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) {
      continue;
    }
    auto* sgemm = reinterpret_cast<OneDnnLibrary::SgemmFunction>(::dlsym(handle, "dnnl_sgemm"));
    auto* version = reinterpret_cast<const Version* (*)()>(::dlsym(handle, "dnnl_version"));
    if (sgemm == nullptr || version == nullptr) {
      ::dlclose(handle);
      continue;
    }
    const Version* found = version();
    if (found->cpu_runtime != kRuntimeOpenMp && found->cpu_runtime != kRuntimeSequential) {
      ::dlclose(handle);
      continue;
    }
    library.sgemm = sgemm;
    library.version =
        std::to_string(found->major) + "." + std::to_string(found->minor) + "." + std::to_string(found->patch);
    Dl_info info{};
    library.path = ::dladdr(reinterpret_cast<void*>(sgemm), &info) != 0 && info.dli_fname != nullptr ? info.dli_fname
                                                                                                     : candidates[i];
    break;
  }
  return library;
}

} // namespace

const OneDnnLibrary& onednn_library() {
  static const OneDnnLibrary library = load();
  return library;
}

OneDnnInfo find_onednn() {
  const OneDnnLibrary& library = onednn_library();
  return {library.path, library.version};
}

} // namespace assay
