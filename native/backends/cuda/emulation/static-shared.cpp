// Finding the thread-local segment through the dynamic linker (glibc), and poisoning it.
#include "backends/cuda/emulation/static-shared.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include <link.h>

namespace assay::emulation {

namespace {

constexpr int kPoison = 0xFF; // a NaN in fp32 and bf16, −1 as an integer
constexpr std::size_t kLineBytes = 64;

// Lies in the segment that is looked for.
thread_local char g_mark = 0;

struct Segment {
  std::byte* start = nullptr;
  std::size_t size_bytes = 0;
};

#if defined(__GLIBC__) && !(defined(__clang__) && defined(ASSAY_SANITIZED))
int find_segment(dl_phdr_info* module, std::size_t, void* result) {
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    auto* start = static_cast<std::byte*>(module->dlpi_tls_data);
    const std::size_t size_bytes = module->dlpi_phdr[i].p_memsz;
    const auto* mark = reinterpret_cast<const std::byte*>(&g_mark);
    if (module->dlpi_phdr[i].p_type == PT_TLS && mark >= start && mark < start + size_bytes) {
      *static_cast<Segment*>(result) = {start, size_bytes};
      return 1;
    }
  }
  return 0;
}

Segment own_segment() {
  Segment segment;
  dl_iterate_phdr(find_segment, &segment);
  return segment;
}
#else
// Clang links its sanitizers into the program, with thread-local variables of their own.
Segment own_segment() {
  return {};
}
#endif

} // namespace

StaticShared::StaticShared() {
  const Segment segment = own_segment();
  start_ = segment.start;
  size_bytes_ = segment.size_bytes;
  if (start_ != nullptr) {
    std::memset(start_, kPoison, size_bytes_);
  }
}

std::size_t StaticShared::written_bytes() const {
  const auto is_written = [](std::byte value) { return value != static_cast<std::byte>(kPoison); };
  return static_cast<std::size_t>(std::count_if(start_, start_ + size_bytes_, is_written));
}

void StaticShared::poison() {
  if (blocks_++ == 0 || start_ == nullptr) {
    return;
  }
  if (!known_) {
    known_ = true;
    std::byte clean[kLineBytes];
    std::memset(clean, kPoison, sizeof(clean));
    for (std::size_t line = 0; line < size_bytes_; line += kLineBytes) {
      if (std::memcmp(start_ + line, clean, std::min(kLineBytes, size_bytes_ - line)) != 0) {
        changed_.push_back(line);
      }
    }
  }
  for (const std::size_t line : changed_) {
    std::memset(start_ + line, kPoison, std::min(kLineBytes, size_bytes_ - line));
  }
}

} // namespace assay::emulation
