// The part of the zip format (PKWARE's APPNOTE 6.3) that torch.save writes: entries stored as they are, in one file,
// with 64-bit sizes where needed. Compressed and encrypted entries are refused, so nothing ever grows by being read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct ZipEntry {
  std::string_view name;
  std::span<const std::byte> bytes;
};

// Names and bytes are views into the archive. Throws PYTORCH_DAMAGED naming file and entry: a directory that lies
// outside the file, entries that overlap, leave the file, occur twice, or are compressed or encrypted.
std::vector<ZipEntry> read_zip_entries(std::span<const std::byte> archive, const std::string& source);

} // namespace assay
