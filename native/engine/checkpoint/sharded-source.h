// A model in several files, tied together by Hugging Face's index: {"metadata": {…}, "weight_map": {tensor: file}}.
// The files lie beside the index; a name that leads anywhere else is refused.
#pragma once

#include "engine/checkpoint/tensor-source.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace assay {

class ShardedSource final : public TensorSource {
public:
  // Opens every shard. Throws CHECKPOINT_DAMAGED (the index lies), CHECKPOINT_NOT_FOUND (a shard is not there) or what
  // a shard's reader throws.
  explicit ShardedSource(const std::string& index_path);

  const std::string& file_of(const SourceTensor& tensor) const override;
  const char* format() const noexcept override;
  std::uint64_t file_bytes() const noexcept override;
  const std::map<std::string, std::string>& metadata() const override;

private:
  void read_values(std::size_t position, std::span<float> values) const override;

  std::vector<std::unique_ptr<TensorSource>> shards_;
  // By position: the shard and its tensor.
  std::vector<std::pair<const TensorSource*, const SourceTensor*>> places_;
};

} // namespace assay
