// The bytes a reader works on: a mapped file, or memory that somebody else keeps (fuzzing and tests need no files).
#pragma once

#include "engine/base/mapped-file.h"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace assay {

class FileBytes {
public:
  explicit FileBytes(const std::string& path) : name_(path), file_(MappedFile(path)), bytes_(file_->bytes()) {}
  // `name` stands for the path in messages; the memory must outlive this.
  FileBytes(std::span<const std::byte> bytes, std::string name) : name_(std::move(name)), bytes_(bytes) {}

  std::span<const std::byte> bytes() const noexcept { return bytes_; }
  std::size_t size() const noexcept { return bytes_.size(); }
  // Once a mapped part has been copied out; it can be read again.
  void drop(std::span<const std::byte> part) const noexcept {
    if (file_.has_value()) {
      file_->drop(part);
    }
  }
  const std::string& name() const noexcept { return name_; }

private:
  std::string name_;
  std::optional<MappedFile> file_;
  // Into the mapping, which moves with file_ without changing its address.
  std::span<const std::byte> bytes_;
};

} // namespace assay
