#include "engine/base/durable-file.h"

#include "engine/base/error.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace assay {

DurableFile::DurableFile(const std::string& path) : path_(path) {
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    fail(errno);
  }
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void DurableFile::write(std::span<const std::byte> bytes) {
  // One write() call may take fewer bytes than asked, and at most about 2 GiB.
  constexpr std::size_t kLargestWrite = std::size_t{1} << 30;
  while (!bytes.empty()) {
    const std::size_t wanted = bytes.size() < kLargestWrite ? bytes.size() : kLargestWrite;
    const ssize_t written = ::write(descriptor_, bytes.data(), wanted);
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail(errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void DurableFile::write(std::string_view text) {
  write(std::as_bytes(std::span(text.data(), text.size())));
}

void DurableFile::close() {
  if (descriptor_ < 0) {
    return;
  }
  const int descriptor = descriptor_;
  if (::fsync(descriptor) != 0) {
    fail(errno);
  }
  descriptor_ = -1;
  if (::close(descriptor) != 0) {
    fail(errno);
  }
}

void DurableFile::fail(int code) const {
  if (code == ENOSPC || code == EDQUOT) {
    throw Error("DISK_FULL", "Cannot write " + path_ + ": no space is left on the disk; free some and resume.");
  }
  throw Error("FILE_NOT_WRITABLE", "Cannot write " + path_ + ": " + std::strerror(code) + ".");
}

} // namespace assay
