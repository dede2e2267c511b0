// GGUF, llama.cpp's file of a model (ggml's docs/gguf.md), versions 2 and 3, as named tensors: metadata, then names,
// shapes and places, then aligned data. Shapes are given here as everywhere else, slowest axis first; the file has them
// the other way round. Writing GGUF is core/models/gguf in TypeScript.
#pragma once

#include "engine/base/file-bytes.h"
#include "engine/checkpoint/tensor-source.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace assay {

class GgufFile final : public TensorSource {
public:
  // Throws GGUF_DAMAGED naming file and key or tensor, or NOT_SUPPORTED for tensors that are neither whole numbers nor
  // F32, F16, BF16, F64 or Q8_0.
  explicit GgufFile(FileBytes file);

  const char* format() const noexcept override { return "gguf"; }
  std::uint64_t file_bytes() const noexcept override { return file_.size(); }
  // Values as text; an array as what it holds: "[28896 strings]".
  const std::map<std::string, std::string>& metadata() const override { return metadata_; }

private:
  void read_values(std::size_t position, std::span<float> values) const override;

  FileBytes file_;
  std::map<std::string, std::string> metadata_;
  std::vector<const std::byte*> places_;
};

} // namespace assay
