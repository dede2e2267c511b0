// Opens cuBLASLt and looks its functions up by name.
#include "backends/cuda/cublaslt.h"

#include <dlfcn.h>

#include "backends/cuda/loader/cublaslt-places.h"

namespace assay::cuda {

namespace {

template <class Function> bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

bool find_functions(void* library, CublasLt& found) {
  return find(library, "cublasLtGetVersion", found.get_version) && find(library, "cublasLtCreate", found.create) &&
         find(library, "cublasLtDestroy", found.destroy) &&
         find(library, "cublasLtMatmulDescCreate", found.description_create) &&
         find(library, "cublasLtMatmulDescDestroy", found.description_destroy) &&
         find(library, "cublasLtMatmulDescSetAttribute", found.description_set) &&
         find(library, "cublasLtMatrixLayoutCreate", found.layout_create) &&
         find(library, "cublasLtMatrixLayoutDestroy", found.layout_destroy) &&
         find(library, "cublasLtMatmulPreferenceCreate", found.preference_create) &&
         find(library, "cublasLtMatmulPreferenceDestroy", found.preference_destroy) &&
         find(library, "cublasLtMatmulPreferenceSetAttribute", found.preference_set) &&
         find(library, "cublasLtMatmulAlgoGetHeuristic", found.heuristic) &&
         find(library, "cublasLtMatmulAlgoCheck", found.check) && find(library, "cublasLtMatmul", found.matmul);
}

} // namespace

std::string cublaslt_version_text(std::size_t version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

CublasLt load_cublaslt(const std::string& explicit_path, const std::string& library_folder) {
  const CublasLtPlaces places = cublaslt_places(explicit_path, library_folder);
  std::string refused;
  for (const std::string& file : places.files) {
    void* library = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) {
      continue;
    }
    CublasLt found;
    if (!find_functions(library, found)) {
      refused += file + " is no cuBLASLt that Assay can use. ";
      ::dlclose(library);
      continue;
    }
    const std::size_t version = found.get_version();
    if (version < kOldestCublasLt) {
      refused += file + " is version " + cublaslt_version_text(version) + ", older than 11.8. ";
      ::dlclose(library);
      continue;
    }
    found.version = cublaslt_version_text(version);
    Dl_info info{};
    found.path = ::dladdr(reinterpret_cast<void*>(found.matmul), &info) != 0 && info.dli_fname != nullptr
                     ? info.dli_fname
                     : file;
    return found;
  }
  throw Error("CUDA_NOT_AVAILABLE", refused + places.sentence());
}

} // namespace assay::cuda
