#include "engine/checkpoint/sharded-source.h"

#include "engine/base/error.h"
#include "engine/base/json.h"

#include <algorithm>
#include <filesystem>
#include <map>

namespace assay {

namespace {

// An index of a hundred thousand tensors has about ten million bytes.
constexpr std::size_t kLargestIndexBytes = 100'000'000;
// Models of hundreds of billions of parameters come in fewer.
constexpr std::size_t kMostShards = 4096;

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("CHECKPOINT_DAMAGED", "Cannot read " + path + " as an index of shards: " + what + ".");
}

bool is_plain_file_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.size() <= 255 &&
         std::none_of(name.begin(), name.end(), [](char each) { return each == '/' || each == '\\' || each == '\0'; });
}

} // namespace

ShardedSource::ShardedSource(const std::string& index_path) {
  set_path(index_path);
  const JsonValue index =
      read_json_file(index_path, {.max_depth = 8, .max_bytes = kLargestIndexBytes, .refuse_duplicate_keys = true});
  const JsonValue* map = index.find("weight_map");
  if (map == nullptr || !map->is_object()) {
    fail(index_path, "it has no weight_map that says which file holds which tensor");
  }
  if (map->members().empty()) {
    fail(index_path, "its weight_map is empty");
  }
  const std::filesystem::path folder = std::filesystem::path(index_path).parent_path();
  std::map<std::string, const TensorSource*> opened;
  for (const JsonMember& member : map->members()) {
    if (!member.value.is_string() || !is_plain_file_name(member.value.as_string())) {
      fail(index_path, "tensor " + quotable(member.key) + " is mapped to " +
                           (member.value.is_string() ? "\"" + quotable(member.value.as_string()) + "\""
                                                     : std::string(member.value.kind_name())) +
                           ", and a shard is named by a plain file name beside the index");
    }
    const std::string& name = member.value.as_string();
    const TensorSource*& shard = opened[name];
    if (shard == nullptr) {
      if (opened.size() > kMostShards) {
        fail(index_path, "it names more than " + std::to_string(kMostShards) + " shards");
      }
      const std::string file = (folder / name).string();
      std::error_code ignored;
      if (!std::filesystem::exists(file, ignored)) {
        throw Error("CHECKPOINT_NOT_FOUND",
                    "Shard " + file + " of " + index_path + " is not there; copy or fetch all of the model's files.");
      }
      shards_.push_back(open_tensor_file(file));
      shard = shards_.back().get();
    }
    const SourceTensor* tensor = shard->find(member.key);
    if (tensor == nullptr) {
      fail(index_path,
           "tensor " + quotable(member.key) + " is said to be in " + quotable(name) + ", which does not hold it");
    }
    add(*tensor);
    places_.emplace_back(shard, tensor);
  }
}

const std::string& ShardedSource::file_of(const SourceTensor& tensor) const {
  return places_[position_of(tensor)].first->path();
}

const char* ShardedSource::format() const noexcept {
  return shards_.front()->format();
}

std::uint64_t ShardedSource::file_bytes() const noexcept {
  std::uint64_t total = 0;
  for (const auto& shard : shards_) {
    total += shard->file_bytes();
  }
  return total;
}

const std::map<std::string, std::string>& ShardedSource::metadata() const {
  return shards_.front()->metadata();
}

void ShardedSource::read_values(std::size_t position, std::span<float> values) const {
  const auto& [shard, tensor] = places_[position];
  shard->read(*tensor, values);
}

} // namespace assay
