// Writes a file so that, once close() has returned, its bytes are on the disk (fsync) or an error was thrown.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace assay {

class DurableFile {
public:
  // Creates or truncates. Every failure throws FILE_NOT_WRITABLE (or DISK_FULL) with the path and the system's reason.
  explicit DurableFile(const std::string& path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text);
  void close();

private:
  [[noreturn]] void fail(int code) const;

  std::string path_;
  int descriptor_ = -1;
};

} // namespace assay
