#include "engine/checkpoint/zip-archive.h"

#include "engine/base/error.h"
#include "engine/checkpoint/tensor-source.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::uint32_t kLocalSignature = 0x04034B50;
constexpr std::uint32_t kCentralSignature = 0x02014B50;
constexpr std::uint32_t kEndSignature = 0x06054B50;
constexpr std::uint32_t kEnd64Signature = 0x06064B50;
constexpr std::uint32_t kLocator64Signature = 0x07064B50;
constexpr std::size_t kLocalBytes = 30;
constexpr std::size_t kCentralBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kLocator64Bytes = 20;
constexpr std::uint16_t kZip64Field = 0x0001;
constexpr std::uint64_t kIn64 = 0xFFFFFFFF;
constexpr std::uint16_t kEncryptedFlag = 0x0001;

class Zip {
public:
  Zip(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  std::vector<ZipEntry> read() {
    const Directory directory = find_directory();
    std::vector<ZipEntry> entries;
    std::uint64_t at = directory.begin;
    while (at < directory.end) {
      at = read_central(at, directory.end, entries);
    }
    if (entries.size() != directory.count) {
      fail("its directory announces " + std::to_string(directory.count) + " entries and holds " +
           std::to_string(entries.size()));
    }
    check_overlaps(entries);
    return entries;
  }

private:
  struct Directory {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t count = 0;
  };

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("PYTORCH_DAMAGED", "Cannot read " + source_ + " as PyTorch's zip archive: " + what + ".");
  }

  // `at` plus `width` must be within the file; the callers have checked their record's whole length.
  std::uint64_t number(std::uint64_t at, unsigned width) const {
    std::uint64_t value = 0;
    for (unsigned index = width; index-- > 0;) {
      value = (value << 8) | std::to_integer<std::uint64_t>(bytes_[at + index]);
    }
    return value;
  }

  bool fits(std::uint64_t at, std::uint64_t size) const { return at <= bytes_.size() && size <= bytes_.size() - at; }

  std::string_view text(std::uint64_t at, std::uint64_t size) const {
    return {reinterpret_cast<const char*>(bytes_.data()) + at, static_cast<std::size_t>(size)};
  }

  // The end record is the last thing in the file but for a comment of at most 65 535 bytes.
  std::uint64_t find_end() const {
    if (bytes_.size() < kEndBytes) {
      fail("it has only " + std::to_string(bytes_.size()) + " bytes");
    }
    const std::uint64_t last = bytes_.size() - kEndBytes;
    const std::uint64_t first = last > 0xFFFF ? last - 0xFFFF : 0;
    for (std::uint64_t at = last + 1; at-- > first;) {
      if (number(at, 4) == kEndSignature && number(at + 20, 2) == bytes_.size() - at - kEndBytes) {
        return at;
      }
    }
    fail("it has no end record; the file was cut or is no archive");
  }

  Directory find_directory() const {
    const std::uint64_t end = find_end();
    Directory directory{number(end + 16, 4), number(end + 12, 4), number(end + 10, 2)};
    std::uint64_t limit = end;
    if (end >= kLocator64Bytes && number(end - kLocator64Bytes, 4) == kLocator64Signature) {
      const std::uint64_t end64 = number(end - kLocator64Bytes + 8, 8);
      if (!fits(end64, kEnd64Bytes) || number(end64, 4) != kEnd64Signature) {
        fail("its 64-bit end record is not where it is said to be");
      }
      directory = {number(end64 + 48, 8), number(end64 + 40, 8), number(end64 + 32, 8)};
      limit = end64;
    }
    if (directory.begin > limit || directory.end > limit - directory.begin) {
      fail("its directory lies outside the file");
    }
    directory.end += directory.begin;
    return directory;
  }

  // Replaces what did not fit 32 bits by the 64-bit field's numbers, which come in this order and only where needed.
  void read_zip64(std::uint64_t at, std::uint64_t end, std::uint64_t& size, std::uint64_t& packed,
                  std::uint64_t& offset) const {
    while (at + 4 <= end) {
      const std::uint64_t field_end = at + 4 + number(at + 2, 2);
      if (field_end > end) {
        return;
      }
      if (number(at, 2) == kZip64Field) {
        std::uint64_t value_at = at + 4;
        for (std::uint64_t* value : {&size, &packed, &offset}) {
          if (*value == kIn64 && value_at + 8 <= field_end) {
            *value = number(value_at, 8);
            value_at += 8;
          }
        }
        return;
      }
      at = field_end;
    }
  }

  std::uint64_t read_central(std::uint64_t at, std::uint64_t end, std::vector<ZipEntry>& entries) const {
    if (end - at < kCentralBytes || number(at, 4) != kCentralSignature) {
      fail("its directory is damaged at byte " + std::to_string(at));
    }
    const std::uint64_t name_size = number(at + 28, 2);
    const std::uint64_t extra_size = number(at + 30, 2);
    const std::uint64_t next = at + kCentralBytes + name_size + extra_size + number(at + 32, 2);
    if (next > end) {
      fail("its directory is damaged at byte " + std::to_string(at));
    }
    const std::string_view name = text(at + kCentralBytes, name_size);
    std::uint64_t packed = number(at + 20, 4);
    std::uint64_t size = number(at + 24, 4);
    std::uint64_t offset = number(at + 42, 4);
    const std::uint64_t extra = at + kCentralBytes + name_size;
    read_zip64(extra, extra + extra_size, size, packed, offset);
    if ((number(at + 8, 2) & kEncryptedFlag) != 0) {
      fail("entry " + quotable(name) + " is encrypted");
    }
    if (number(at + 10, 2) != 0 || packed != size) {
      fail("entry " + quotable(name) +
           " is compressed, and PyTorch stores its entries as they are; save it anew with "
           "torch.save");
    }
    if (!fits(offset, kLocalBytes) || number(offset, 4) != kLocalSignature) {
      fail("entry " + quotable(name) + " is not where the directory says");
    }
    const std::uint64_t begin = offset + kLocalBytes + number(offset + 26, 2) + number(offset + 28, 2);
    if (!fits(begin, size)) {
      fail("entry " + quotable(name) + " of " + std::to_string(size) + " bytes leaves the file; the file was cut");
    }
    // `begin` is within the file, so the local name is too.
    if (text(offset + kLocalBytes, number(offset + 26, 2)) != name) {
      fail("entry " + quotable(name) + " has another name where its bytes lie");
    }
    entries.push_back({name, bytes_.subspan(begin, size)});
    return next;
  }

  void check_overlaps(const std::vector<ZipEntry>& entries) const {
    std::vector<const ZipEntry*> order;
    for (const ZipEntry& entry : entries) {
      order.push_back(&entry);
    }
    std::sort(order.begin(), order.end(), [](const ZipEntry* left, const ZipEntry* right) {
      return left->bytes.data() + left->bytes.size() < right->bytes.data() + right->bytes.size();
    });
    const std::byte* free = bytes_.data();
    for (const ZipEntry* entry : order) {
      if (entry->bytes.empty()) {
        continue;
      }
      if (entry->bytes.data() < free) {
        fail("entry " + quotable(entry->name) + " overlaps another");
      }
      free = entry->bytes.data() + entry->bytes.size();
    }
    std::sort(order.begin(), order.end(),
              [](const ZipEntry* left, const ZipEntry* right) { return left->name < right->name; });
    for (std::size_t index = 1; index < order.size(); ++index) {
      if (order[index]->name == order[index - 1]->name) {
        fail("entry " + quotable(order[index]->name) + " is there twice");
      }
    }
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
};

} // namespace

std::vector<ZipEntry> read_zip_entries(std::span<const std::byte> archive, const std::string& source) {
  return Zip(archive, source).read();
}

} // namespace assay
