// The CPU backend: fp32, OpenMP, matrix products by oneDNN when the system has it and by own kernels otherwise.
#pragma once

#include "engine/ops/backend.h"

#include <memory>
#include <string>

namespace assay {

enum class GemmChoice { kAutomatic, kOneDnn, kPortable };
// The instruction set of the own kernels; a choice above what the machine has falls to the best it has.
enum class KernelChoice { kAutomatic, kAvx2, kBaseline };

struct CpuBackendOptions {
  int threads = 0; // 0: as many as there are cores this process may use
  GemmChoice gemm = GemmChoice::kAutomatic;
  KernelChoice kernels = KernelChoice::kAutomatic;
};

// Throws ONEDNN_NOT_FOUND when oneDNN is demanded and not there, THREADS_INVALID for a negative count.
std::unique_ptr<Backend> create_cpu_backend(const CpuBackendOptions& options = {});

// What this machine's oneDNN is; empty path when there is none.
struct OneDnnInfo {
  std::string path;
  std::string version;
};
OneDnnInfo find_onednn();

} // namespace assay
