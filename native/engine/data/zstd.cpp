#include "engine/data/zstd.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstdlib>
#include <dlfcn.h>
#include <memory>
#include <string>

namespace assay {

namespace {

// The library's interface, stable since release 1.3: two buffers with a position each, and sizes that may be errors.
struct InBuffer {
  const void* data;
  std::size_t size;
  std::size_t position;
};
struct OutBuffer {
  void* data;
  std::size_t size;
  std::size_t position;
};

struct Library {
  std::size_t (*compress)(void*, std::size_t, const void*, std::size_t, int) = nullptr;
  std::size_t (*compress_bound)(std::size_t) = nullptr;
  unsigned (*is_error)(std::size_t) = nullptr;
  const char* (*error_name)(std::size_t) = nullptr;
  void* (*create_stream)() = nullptr;
  std::size_t (*free_stream)(void*) = nullptr;
  std::size_t (*decompress_stream)(void*, OutBuffer*, InBuffer*) = nullptr;
  bool is_whole = false;
};

template <typename Function> bool find(void* handle, const char* name, Function& into) {
  into = reinterpret_cast<Function>(::dlsym(handle, name));
  return into != nullptr;
}

Library load() {
  Library library;
  const char* chosen = std::getenv("ASSAY_ZSTD");
  const char* name = chosen != nullptr && chosen[0] != '\0' ? chosen : "libzstd.so.1";
  void* handle = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (handle != nullptr) {
    library.is_whole =
        find(handle, "ZSTD_compress", library.compress) && find(handle, "ZSTD_compressBound", library.compress_bound) &&
        find(handle, "ZSTD_isError", library.is_error) && find(handle, "ZSTD_getErrorName", library.error_name) &&
        find(handle, "ZSTD_createDStream", library.create_stream) &&
        find(handle, "ZSTD_freeDStream", library.free_stream) &&
        find(handle, "ZSTD_decompressStream", library.decompress_stream);
  }
  return library;
}

const Library& library() {
  static const Library loaded = load();
  if (!loaded.is_whole) {
    throw Error("ZSTD_NOT_FOUND", "Compressed shards need libzstd.so.1, which this machine does not have; install "
                                  "libzstd (Debian: libzstd1), or use shards without compression.");
  }
  return loaded;
}

[[noreturn]] void fail(const std::string& what) {
  throw Error("MDS_INVALID", "The zstd data " + what + ".");
}

} // namespace

std::vector<std::byte> zstd_compress(std::span<const std::byte> bytes, int level) {
  const Library& zstd = library();
  std::vector<std::byte> out(zstd.compress_bound(bytes.size()));
  const std::size_t size = zstd.compress(out.data(), out.size(), bytes.data(), bytes.size(), std::clamp(level, 1, 22));
  if (zstd.is_error(size) != 0) {
    throw Error("OUT_OF_MEMORY", std::string("zstd could not compress a shard: ") + zstd.error_name(size) + ".");
  }
  out.resize(size);
  return out;
}

std::vector<std::byte> zstd_decompress(std::span<const std::byte> bytes, std::uint64_t largest_bytes) {
  const Library& zstd = library();
  const std::unique_ptr<void, std::size_t (*)(void*)> stream(zstd.create_stream(), zstd.free_stream);
  if (stream == nullptr) {
    throw Error("OUT_OF_MEMORY", "There is no memory to unpack a shard.");
  }
  constexpr std::size_t kFirstBytes = std::size_t{1} << 20;
  std::vector<std::byte> out;
  InBuffer input{bytes.data(), bytes.size(), 0};
  std::size_t filled = 0;
  std::size_t wanted = 1; // 0 at the end of a frame
  for (;;) {
    if (filled == out.size()) {
      // One byte beyond the limit tells that there is more.
      const std::uint64_t most = largest_bytes + 1;
      const std::uint64_t next = std::min<std::uint64_t>(most, std::max<std::uint64_t>(kFirstBytes, out.size() * 2));
      if (next <= filled) {
        fail("unpacks to more than " + std::to_string(largest_bytes) + " bytes");
      }
      out.resize(static_cast<std::size_t>(next));
    }
    OutBuffer output{out.data(), out.size(), filled};
    wanted = zstd.decompress_stream(stream.get(), &output, &input);
    if (zstd.is_error(wanted) != 0) {
      fail(std::string("is damaged: ") + zstd.error_name(wanted));
    }
    filled = output.position;
    if (filled > largest_bytes) {
      fail("unpacks to more than " + std::to_string(largest_bytes) + " bytes");
    }
    if (input.position == input.size && filled < out.size()) {
      break; // all was read, and all that it holds has come out
    }
  }
  if (wanted != 0) {
    fail("ends in the middle");
  }
  out.resize(filled);
  return out;
}

} // namespace assay
