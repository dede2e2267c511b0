// What the engine and the CUDA backend's library say to each other. They exchange C++ objects, so they must be built
// from one version of the engine; that is what the first of the two functions is asked for.
#pragma once

#include <string>

#include "backends/cuda/loader/cuda-options.h"
#include "engine/ops/backend.h"

namespace assay::cuda {

// Everything that must be the same on both sides.
inline std::string plugin_abi() {
  std::string text = "assay " ASSAY_ENGINE_VERSION;
  for (const std::size_t part :
       {static_cast<std::size_t>(__GXX_ABI_VERSION), sizeof(CudaOptions), sizeof(BackendInfo), sizeof(WorkspaceRequest),
        sizeof(EmbeddingForward), sizeof(EmbeddingBackward), sizeof(LayerNormForward), sizeof(LayerNormBackward),
        sizeof(LinearForward), sizeof(LinearBackward), sizeof(AttentionForward), sizeof(AttentionBackward),
        sizeof(AttentionCached), sizeof(Classifier), sizeof(CrossEntropy), sizeof(AdamWStep), sizeof(Dropout),
        sizeof(WeightView)}) {
    text += ' ' + std::to_string(part);
  }
  return text;
}

// extern "C", exported by the library under these names. The folder is the library's own.
using PluginAbiFunction = const char* (*)();
using PluginRuntimeVersionFunction = int (*)(); // of the CUDA runtime inside, as 13000
using PluginCreateFunction = Backend* (*)(int device, const CudaOptions* options, const char* library_folder);
inline constexpr const char* kPluginAbiName = "assay_cuda_abi";
inline constexpr const char* kPluginRuntimeVersionName = "assay_cuda_runtime_version";
inline constexpr const char* kPluginCreateName = "assay_cuda_create";

} // namespace assay::cuda
