#include "engine/checkpoint/save-tensors.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

namespace assay {

namespace {

// `write` fills a file beside `path`, which then takes its name.
template <typename Write> void write_then_rename(const std::string& path, const Write& write) {
  const std::string unfinished = path + ".unfinished";
  try {
    write(unfinished);
  } catch (...) {
    ::unlink(unfinished.c_str());
    throw;
  }
  if (std::rename(unfinished.c_str(), path.c_str()) != 0) {
    const int code = errno;
    ::unlink(unfinished.c_str());
    throw Error("FILE_NOT_WRITABLE", "Cannot write " + path + ": " + std::strerror(code) + ".");
  }
}

// The names themselves are on the disk only when their folder is.
void flush_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor >= 0) {
    ::fsync(descriptor);
    ::close(descriptor);
  }
}

std::uint64_t bytes_of(const TensorToWrite& tensor, TensorFileType type) {
  std::uint64_t bytes = 0;
  if (!shape_product(tensor.shape, bytes) || __builtin_mul_overflow(bytes, tensor_file_type_bytes(type), &bytes)) {
    throw Error("BAD_ARGUMENT",
                "Tensor " + tensor.name + " of shape " + shape_text(tensor.shape) + " is too large to write.");
  }
  return bytes;
}

// Where each shard begins, and the end.
std::vector<std::size_t> shard_bounds(std::span<const TensorToWrite> tensors, const SaveTensorsOptions& options) {
  std::vector<std::size_t> bounds = {0};
  std::uint64_t filled = 0;
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    const std::uint64_t bytes = bytes_of(tensors[index], options.type);
    const bool fits = filled <= options.max_shard_bytes && bytes <= options.max_shard_bytes - filled;
    if (options.max_shard_bytes > 0 && !fits && index > bounds.back()) {
      bounds.push_back(index);
      filled = 0;
    }
    filled += bytes;
  }
  bounds.push_back(tensors.size());
  return bounds;
}

std::string shard_name(std::size_t number, std::size_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "model-%05zu-of-%05zu.safetensors", number, count);
  return text;
}

} // namespace

std::vector<std::string> save_tensors(const std::string& folder, std::span<const TensorToWrite> tensors,
                                      const SaveTensorsOptions& options) {
  const std::vector<std::size_t> bounds = shard_bounds(tensors, options);
  const std::size_t count = bounds.size() - 1;
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> places;
  std::uint64_t total = 0;
  for (std::size_t shard = 0; shard < count; ++shard) {
    names.push_back(count == 1 ? "model.safetensors" : shard_name(shard + 1, count));
    const auto part = tensors.subspan(bounds[shard], bounds[shard + 1] - bounds[shard]);
    write_then_rename(folder + "/" + names.back(),
                      [&](const std::string& path) { write_safetensors(path, part, options.type); });
    for (const TensorToWrite& tensor : part) {
      places.emplace_back(tensor.name, names.back());
      total += bytes_of(tensor, options.type);
    }
  }
  if (count > 1) {
    JsonWriter index;
    index.begin_object().key("metadata").begin_object().key("total_size").value(total).end_object();
    index.key("weight_map").begin_object();
    for (const auto& [tensor, name] : places) {
      index.key(tensor).value(name);
    }
    index.end_object().end_object();
    names.push_back("model.safetensors.index.json");
    const std::string text = std::move(index).take();
    write_then_rename(folder + "/" + names.back(), [&](const std::string& path) {
      DurableFile file(path);
      file.write(text);
      file.close();
    });
  }
  flush_folder(folder);
  return names;
}

} // namespace assay
