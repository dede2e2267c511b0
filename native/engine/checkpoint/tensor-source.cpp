#include "engine/checkpoint/tensor-source.h"

#include "engine/base/error.h"
#include "engine/base/file-bytes.h"
#include "engine/checkpoint/element-type.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/sharded-source.h"
#include "engine/checkpoint/torch-archive.h"

#include <array>
#include <cstring>
#include <filesystem>
#include <utility>

namespace assay {

namespace {

constexpr std::array kNamesInFolder = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                       "pytorch_model.bin.index.json"};

bool begins_with(const FileBytes& file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.bytes().data(), magic.data(), magic.size()) == 0;
}

bool has_ending(const std::string& path, std::initializer_list<std::string_view> endings) {
  for (const std::string_view ending : endings) {
    if (path.ends_with(ending)) {
      return true;
    }
  }
  return false;
}

} // namespace

const SourceTensor* TensorSource::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &tensors_[found->second];
}

std::size_t TensorSource::position_of(const SourceTensor& tensor) const {
  const auto found = by_name_.find(tensor.name);
  if (found == by_name_.end()) {
    throw Error("TENSOR_UNKNOWN", "There is no tensor " + quotable(tensor.name) + " in " + path_ + ".");
  }
  return found->second;
}

bool TensorSource::add(SourceTensor tensor) {
  if (!by_name_.emplace(tensor.name, tensors_.size()).second) {
    return false;
  }
  tensors_.push_back(std::move(tensor));
  return true;
}

void TensorSource::read(const SourceTensor& tensor, std::span<float> values) const {
  const std::size_t position = position_of(tensor);
  const SourceTensor& own = tensors_[position];
  if (!is_float_type(own.dtype) && own.dtype != "Q8_0") {
    throw Error("CHECKPOINT_MISMATCH", "Cannot load " + file_of(own) + ": tensor " + own.name + " is " + own.dtype +
                                           "; weights are read from F32, F16, BF16 or F64.");
  }
  std::uint64_t count = 0;
  if (!shape_product(own.shape, count) || count != values.size()) {
    throw Error("TENSOR_SIZE_MISMATCH", "Tensor " + own.name + " has shape " + shape_text(own.shape) +
                                            " in the file, and " + std::to_string(values.size()) +
                                            " values were asked for.");
  }
  read_values(position, values);
}

bool TensorSource::are_equal(const SourceTensor& left, const SourceTensor& right) const {
  std::uint64_t count = 0;
  if (left.shape != right.shape || !shape_product(left.shape, count)) {
    return false;
  }
  std::vector<float> left_values(count);
  std::vector<float> right_values(count);
  read(left, left_values);
  read(right, right_values);
  // By bits, so that a value that is not a number equals itself.
  return count == 0 || std::memcmp(left_values.data(), right_values.data(), count * sizeof(float)) == 0;
}

std::string TensorSource::describe(const SourceTensor& tensor) const {
  return file_of(tensor) + ": tensor " + tensor.name;
}

const std::string& TensorSource::file_of(const SourceTensor&) const {
  return path_;
}

const std::map<std::string, std::string>& TensorSource::metadata() const {
  static const std::map<std::string, std::string> none;
  return none;
}

std::unique_ptr<TensorSource> open_tensor_file(const std::string& path) {
  FileBytes file(path);
  if (has_ending(path, {".safetensors"})) {
    return std::make_unique<SafetensorsSource>(std::move(file));
  }
  if (begins_with(file, "GGUF") || has_ending(path, {".gguf"})) {
    return std::make_unique<GgufFile>(std::move(file));
  }
  // A zip archive, or a pickle that begins with PyTorch's old magic number.
  if (begins_with(file, "PK\x03\x04") || begins_with(file, "\x80\x02\x8a\x0a") ||
      has_ending(path, {".bin", ".pt", ".pth"})) {
    return std::make_unique<TorchArchive>(std::move(file));
  }
  return std::make_unique<SafetensorsSource>(std::move(file));
}

std::unique_ptr<TensorSource> open_tensor_source(const std::string& path) {
  const auto open_file = [](const std::string& file) -> std::unique_ptr<TensorSource> {
    if (file.ends_with(".json")) {
      return std::make_unique<ShardedSource>(file);
    }
    return open_tensor_file(file);
  };
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return open_file(path);
  }
  for (const char* name : kNamesInFolder) {
    const std::string file = (std::filesystem::path(path) / name).string();
    if (std::filesystem::exists(file, ignored)) {
      return open_file(file);
    }
  }
  throw Error("CHECKPOINT_NOT_FOUND", "There are no weights in " + path +
                                          ": it holds none of model.safetensors, pytorch_model.bin and their "
                                          ".index.json files; choose a model's folder.");
}

bool shape_product(std::span<const std::uint64_t> shape, std::uint64_t& product) {
  product = 1;
  bool fits = true;
  for (const std::uint64_t extent : shape) {
    if (extent == 0) {
      product = 0;
      return true;
    }
    fits = fits && !__builtin_mul_overflow(product, extent, &product);
  }
  return fits;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "(";
  constexpr std::size_t kMostShown = 16;
  for (std::size_t index = 0; index < shape.size() && index < kMostShown; ++index) {
    text += (index == 0 ? "" : ", ") + std::to_string(shape[index]);
  }
  return text + (shape.size() > kMostShown ? ", …)" : ")");
}

std::string quotable(std::string_view text) {
  constexpr std::size_t kLongest = 120;
  std::string clean;
  for (const char each : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(each);
    clean.push_back(byte < 0x20 || byte > 0x7E ? '?' : each);
  }
  return text.size() > kLongest ? clean + "…" : clean;
}

} // namespace assay
