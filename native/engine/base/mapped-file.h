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

private:
  void release() noexcept;

  std::string path_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

} // namespace assay
