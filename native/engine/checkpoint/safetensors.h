// safetensors, read and written: an 8-byte header length, a JSON header, then the tensors' bytes
// (docs/formats/checkpoint.md). The reader trusts nothing: every length, offset, shape and type is checked against the
// file before a byte of a tensor is touched, and nothing is allocated by what the file claims.
#pragma once

#include "engine/base/file-bytes.h"
#include "engine/checkpoint/tensor-source.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;
  std::vector<std::uint64_t> shape;
  // Byte offsets from the end of the header; `end` is exclusive.
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

class SafetensorsFile {
public:
  // Throws SAFETENSORS_DAMAGED naming file and tensor, or FILE_NOT_READABLE.
  explicit SafetensorsFile(const std::string& path);
  explicit SafetensorsFile(FileBytes file);

  // In the order of their bytes.
  const std::vector<SafetensorsEntry>& entries() const noexcept { return entries_; }
  const std::map<std::string, std::string>& metadata() const noexcept { return metadata_; }
  const std::string& path() const noexcept { return file_.name(); }
  std::uint64_t file_bytes() const noexcept { return file_.size(); }

  // Null when there is none of that name.
  const SafetensorsEntry* find(std::string_view name) const;
  std::span<const std::byte> bytes(const SafetensorsEntry& entry) const;
  // Once a tensor's bytes have been copied out; they can be read again.
  void drop(const SafetensorsEntry& entry) const noexcept { file_.drop(bytes(entry)); }

private:
  void read_header();
  void check_layout() const;

  FileBytes file_;
  std::size_t data_begin_ = 0;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::map<std::string, std::string> metadata_;
};

class SafetensorsSource final : public TensorSource {
public:
  explicit SafetensorsSource(FileBytes file);

  bool are_equal(const SourceTensor& left, const SourceTensor& right) const override;
  const char* format() const noexcept override { return "safetensors"; }
  std::uint64_t file_bytes() const noexcept override { return file_.file_bytes(); }
  const std::map<std::string, std::string>& metadata() const override { return file_.metadata(); }

private:
  void read_values(std::size_t position, std::span<float> values) const override;

  SafetensorsFile file_;
};

struct TensorToWrite {
  std::string name;
  std::vector<std::uint64_t> shape;
  // Fills the tensor's values; called once, in the order of the list, so that one staging buffer serves a whole model.
  std::function<void(std::span<float>)> read;
};

enum class TensorFileType : std::uint8_t { kF32, kF16, kBf16 };

// Bytes an element.
std::uint64_t tensor_file_type_bytes(TensorFileType type) noexcept;

// Writes tensors in the order given, narrowed to `type` by rounding to the nearest, streamed and fsynced: the same
// input gives the same bytes. The header is padded with spaces so that the tensors begin at a multiple of 8.
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       TensorFileType type = TensorFileType::kF32);

} // namespace assay
