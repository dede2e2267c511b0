// Named tensors in files, whatever the format: safetensors (sharded too), PyTorch's archives, GGUF. What reads a model
// asks this and converts nothing itself. Opening checks names, types, shapes and places of all tensors against the
// files; values are touched by read() alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct SourceTensor {
  std::string name;
  // As safetensors spells it: "F32", "F16", "BF16", …; from GGUF also "Q8_0".
  std::string dtype;
  std::vector<std::uint64_t> shape;
};

class TensorSource {
public:
  virtual ~TensorSource() = default;
  TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  const std::vector<SourceTensor>& tensors() const noexcept { return tensors_; }
  // Null when there is none of that name.
  const SourceTensor* find(std::string_view name) const;

  // Converts to fp32. Throws CHECKPOINT_MISMATCH naming the tensor when it is not of floats, TENSOR_UNKNOWN and
  // TENSOR_SIZE_MISMATCH when the caller is wrong.
  void read(const SourceTensor& tensor, std::span<float> values) const;

  // Whether two tensors have the same shape and values.
  virtual bool are_equal(const SourceTensor& left, const SourceTensor& right) const;

  // "FILE: tensor NAME", where FILE is the one that holds it.
  std::string describe(const SourceTensor& tensor) const;
  virtual const std::string& file_of(const SourceTensor& tensor) const;

  // What was opened.
  const std::string& path() const noexcept { return path_; }
  // "safetensors", "pytorch" or "gguf".
  virtual const char* format() const noexcept = 0;
  // Of all files together.
  virtual std::uint64_t file_bytes() const noexcept = 0;
  virtual const std::map<std::string, std::string>& metadata() const;

protected:
  // The position of a tensor of this source, by its name.
  std::size_t position_of(const SourceTensor& tensor) const;
  // False when the name is there already.
  bool add(SourceTensor tensor);
  void set_path(std::string path) { path_ = std::move(path); }
  virtual void read_values(std::size_t position, std::span<float> values) const = 0;

private:
  std::string path_;
  std::vector<SourceTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
};

// A folder (model.safetensors, model.safetensors.index.json, pytorch_model.bin or pytorch_model.bin.index.json, the
// first that is there), one such file, or any file of these formats. Throws CHECKPOINT_NOT_FOUND, FILE_NOT_READABLE or
// what the format's reader throws.
std::unique_ptr<TensorSource> open_tensor_source(const std::string& path);

// One file, no folder and no index.
std::unique_ptr<TensorSource> open_tensor_file(const std::string& path);

// "(2, 3)", as messages show shapes.
std::string shape_text(std::span<const std::uint64_t> shape);

// Elements of a shape; false when the product does not fit. An extent of 0 makes it 0 wherever it stands.
bool shape_product(std::span<const std::uint64_t> shape, std::uint64_t& product);

// For messages: text out of a file, shortened and without control characters.
std::string quotable(std::string_view text);

} // namespace assay
