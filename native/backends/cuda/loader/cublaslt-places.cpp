// Lists the files; nothing is opened or started, so Python's folders are found from where its program lies.
#include "backends/cuda/loader/cublaslt-places.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace assay::cuda {

namespace {

namespace fs = std::filesystem;

// The newest first; one major version for each of CUDA's.
constexpr const char* kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so.11"};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// Folders in `parent` whose names begin so, the last in the alphabet first.
std::vector<fs::path> folders_like(const fs::path& parent, const std::string& beginning) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(parent, error), end; !error && at != end; at.increment(error)) {
    if (at->path().filename().string().rfind(beginning, 0) == 0 && is_folder(at->path())) {
      found.push_back(at->path());
    }
  }
  std::sort(found.rbegin(), found.rend());
  return found;
}

class Places {
public:
  void add_file(const fs::path& file) {
    if (is_file(file)) {
      files.push_back(file.string());
    }
  }
  void add_folder(const fs::path& folder) {
    for (const char* name : kNames) {
      add_file(folder / name);
    }
  }
  // Of an installation of Python, its packages of CUDA 13 and of those before it.
  void add_python(const fs::path& prefix) {
    if (prefix.empty()) {
      return;
    }
    for (const char* library : {"lib", "lib64", "local/lib"}) {
      for (const fs::path& python : folders_like(prefix / library, "python3")) {
        for (const char* packages : {"site-packages", "dist-packages"}) {
          add_folder(python / packages / "nvidia/cu13/lib");
          add_folder(python / packages / "nvidia/cublas/lib");
        }
      }
    }
  }

  std::vector<std::string> files;
};

// The folder above the bin in which the PATH has python3: as it is named there, because that is a virtual
// environment's own folder, and with links resolved.
std::vector<fs::path> python_prefixes() {
  const std::string path = environment("PATH");
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const fs::path program = fs::path(path.substr(begin, end - begin)) / "python3";
    if (end > begin && is_file(program)) {
      std::error_code error;
      const fs::path real = fs::canonical(program, error);
      return {program.parent_path().parent_path(), error ? fs::path() : real.parent_path().parent_path()};
    }
    begin = end + 1;
  }
  return {};
}

} // namespace

std::string CublasLtPlaces::first_existing() const {
  for (const std::string& file : files) {
    if (file.find('/') != std::string::npos && is_file(file)) {
      return file;
    }
  }
  return {};
}

std::string CublasLtPlaces::sentence() const {
  if (!explicit_path.empty()) {
    return "cuBLASLt was not found at " + explicit_path +
           "; give the path of libcublasLt.so.12 or newer in ASSAY_CUBLASLT, or leave it out.";
  }
  return "cuBLASLt (libcublasLt.so.13, .12 or .11) was not found beside Assay, by the system's loader, in "
         "$CUDA_HOME, /usr/local/cuda or /opt/cuda, nor in Python's package nvidia-cublas; install that package (pip "
         "install nvidia-cublas) or the CUDA toolkit, or give the file's path in ASSAY_CUBLASLT.";
}

CublasLtPlaces cublaslt_places(const std::string& explicit_path, const std::string& library_folder) {
  CublasLtPlaces result;
  result.explicit_path = !explicit_path.empty() ? explicit_path : environment("ASSAY_CUBLASLT");
  Places places;
  if (!result.explicit_path.empty()) {
    places.add_folder(result.explicit_path);
    places.add_file(result.explicit_path);
    result.files = places.files;
    return result;
  }
  if (!library_folder.empty()) {
    places.add_folder(library_folder);
  }
  for (const char* name : kNames) {
    places.files.emplace_back(name);
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    const std::string toolkit = environment(variable);
    if (!toolkit.empty()) {
      places.add_folder(fs::path(toolkit) / "lib64");
      places.add_folder(fs::path(toolkit) / "targets/x86_64-linux/lib");
    }
  }
  for (const char* parent : {"/usr/local", "/opt"}) {
    for (const fs::path& toolkit : folders_like(parent, "cuda")) {
      places.add_folder(toolkit / "lib64");
      places.add_folder(toolkit / "targets/x86_64-linux/lib");
    }
  }
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    places.add_python(environment(variable));
  }
  for (const fs::path& prefix : python_prefixes()) {
    places.add_python(prefix);
  }
  const std::string home = environment("HOME");
  if (!home.empty()) {
    places.add_python(fs::path(home) / ".local");
  }
  places.add_python("/usr");
  places.add_folder("/usr/lib/python3/dist-packages/nvidia/cublas/lib");
  result.files = places.files;
  return result;
}

} // namespace assay::cuda
