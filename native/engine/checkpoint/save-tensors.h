// A model's tensors into a folder as Transformers lays them out: model.safetensors, or, beyond a size, shards with
// their index. Each file is written beside its name, fsynced and renamed, so that a name never stands for half a file.
#pragma once

#include "engine/checkpoint/safetensors.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay {

struct SaveTensorsOptions {
  TensorFileType type = TensorFileType::kF32;
  // Of a shard's tensors; one larger tensor has a shard to itself. 0: one file, whatever its size.
  std::uint64_t max_shard_bytes = 0;
};

// Returns the names of the files written, the index last. Tensors keep their order. Throws FILE_NOT_WRITABLE, DISK_FULL
// or BAD_ARGUMENT. Files of an earlier save under other names are left for whoever owns the folder.
std::vector<std::string> save_tensors(const std::string& folder, std::span<const TensorToWrite> tensors,
                                      const SaveTensorsOptions& options = {});

} // namespace assay
