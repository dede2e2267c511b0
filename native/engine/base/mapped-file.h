// A read-only memory mapping of a whole file, unmapped when it goes out of scope. An empty file maps to an empty span.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace assay {

class MappedFile {
public:
  // Throws FILE_NOT_READABLE with the path and the system's reason.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  std::size_t size() const noexcept { return size_; }
  const std::string& path() const noexcept { return path_; }

  // Lets go of the memory that holds `part` of the bytes, which come back from the file when they are read again: so
  // that a file read once from end to end never counts whole in the process's memory.
  void drop(std::span<const std::byte> part) const noexcept;

private:
  void release() noexcept;

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace assay
