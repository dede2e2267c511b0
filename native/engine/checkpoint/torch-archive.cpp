#include "engine/checkpoint/torch-archive.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/element-type.h"
#include "engine/checkpoint/zip-archive.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace assay {

namespace {

constexpr std::array kWrappers = {"state_dict", "model_state_dict", "model", "module", "state"};
// Composer nests {"state": {"model": …}}.
constexpr int kDeepestWrapper = 2;
constexpr std::size_t kMostAxes = 16;

// The old format is five pickles: this number (0x1950a86a20f9469cfc6c, least byte first), the version, the machine's
// sizes, the object, the keys of its storages; then the storages in that order, each after its number of elements.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t kPlainVersion = 1001;

bool holds_tensors(const PickleReader& pickle, const PickleNode& dict) {
  for (std::size_t at = 1; at < dict.items.size(); at += 2) {
    if (pickle.node(dict.items[at]).kind == PickleKind::kTensor) {
      return true;
    }
  }
  return false;
}

const PickleNode* find_tensors(const PickleReader& pickle, const PickleNode& node, int depth) {
  if (node.kind != PickleKind::kDict) {
    return nullptr;
  }
  if (holds_tensors(pickle, node)) {
    return &node;
  }
  if (depth < kDeepestWrapper) {
    for (const char* wrapper : kWrappers) {
      const PickleNode* inner = pickle.find(node, wrapper);
      const PickleNode* found = inner == nullptr ? nullptr : find_tensors(pickle, *inner, depth + 1);
      if (found != nullptr) {
        return found;
      }
    }
  }
  return nullptr;
}

// Walks the axes of a strided tensor; a row of its last axis is one call of the converter.
void read_strided(std::string_view dtype, const std::byte* begin, std::span<const std::uint64_t> shape,
                  std::span<const std::uint64_t> strides, std::span<float>& values) {
  if (shape.empty()) {
    read_floats(dtype, begin, 1, values.first(1));
    values = values.subspan(1);
  } else if (shape.size() == 1) {
    read_floats(dtype, begin, strides[0], values.first(shape[0]));
    values = values.subspan(shape[0]);
  } else {
    for (std::uint64_t index = 0; index < shape[0]; ++index) {
      read_strided(dtype, begin + index * strides[0] * element_bytes(dtype), shape.subspan(1), strides.subspan(1),
                   values);
    }
  }
}

bool is_contiguous(std::span<const std::uint64_t> shape, std::span<const std::uint64_t> strides) {
  std::uint64_t expected = 1;
  for (std::size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] != 1 && strides[axis] != expected) {
      return false;
    }
    expected *= shape[axis];
  }
  return true;
}

} // namespace

TorchArchive::TorchArchive(FileBytes file) : file_(std::move(file)) {
  set_path(file_.name());
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() >= 2 && bytes[0] == std::byte{'P'} && bytes[1] == std::byte{'K'}) {
    read_zip();
  } else {
    read_plain_pickles();
  }
}

void TorchArchive::fail(const std::string& what) const {
  throw Error("PYTORCH_DAMAGED", "Cannot read " + path() + " as a PyTorch checkpoint: " + what + ".");
}

void TorchArchive::fail(std::string_view tensor, const std::string& what) const {
  fail("tensor " + quotable(tensor) + " " + what);
}

void TorchArchive::read_zip() {
  std::map<std::string_view, std::span<const std::byte>> entries;
  std::optional<std::string_view> folder;
  for (const ZipEntry& entry : read_zip_entries(file_.bytes(), path())) {
    entries.emplace(entry.name, entry.bytes);
    constexpr std::string_view kPickle = "/data.pkl";
    if (entry.name.ends_with(kPickle)) {
      if (folder.has_value()) {
        fail("it holds more than one data.pkl");
      }
      folder = entry.name.substr(0, entry.name.size() - kPickle.size());
    }
  }
  if (!folder.has_value()) {
    fail("it holds no data.pkl");
  }
  const std::string prefix = std::string(*folder) + "/";
  if (entries.contains(prefix + "constants.pkl")) {
    throw Error("NOT_SUPPORTED", "Cannot read " + path() +
                                     ": it holds a TorchScript program, and only dictionaries of tensors are read; "
                                     "save the model's state_dict() with torch.save.");
  }
  // "little" or "big", written since PyTorch 2.0.
  if (const auto order = entries.find(prefix + "byteorder");
      order != entries.end() && !order->second.empty() && order->second[0] != std::byte{'l'}) {
    throw Error("NOT_SUPPORTED",
                "Cannot read " + path() + ": its numbers are big-endian; load and save it on a little-endian machine.");
  }
  PickleReader pickle(entries.at(prefix + "data.pkl"), path());
  const PickleNode& root = pickle.node(pickle.load());
  add_tensors(pickle, root, [&](const PickleNode& storage, const std::string& tensor) {
    const std::string name = prefix + "data/" + std::string(storage.text);
    const auto found = entries.find(name);
    if (found == entries.end()) {
      fail(tensor, "lies in " + quotable(name) + ", which is not in the archive");
    }
    const std::uint64_t size_bytes = element_bytes(storage.dtype);
    if (storage.integer < 0 || found->second.size() % size_bytes != 0 ||
        static_cast<std::uint64_t>(storage.integer) != found->second.size() / size_bytes) {
      fail(tensor, "lies in a storage of " + std::to_string(storage.integer) + " elements in " + storage.dtype +
                       ", but the archive has " + std::to_string(found->second.size()) + " bytes for it");
    }
    return found->second;
  });
}

void TorchArchive::read_plain_pickles() {
  PickleReader pickle(file_.bytes(), path());
  const PickleNode& magic = pickle.node(pickle.load());
  if (magic.kind != PickleKind::kBytes || magic.text != kMagic) {
    fail("it is neither a zip archive nor of PyTorch's older format");
  }
  const PickleNode& version = pickle.node(pickle.load());
  if (version.kind != PickleKind::kInteger || version.integer != kPlainVersion) {
    fail("it is of an unknown version of PyTorch's older format");
  }
  const PickleNode& machine = pickle.node(pickle.load());
  const PickleNode* little = machine.kind == PickleKind::kDict ? pickle.find(machine, "little_endian") : nullptr;
  if (little == nullptr || little->kind != PickleKind::kBoolean || little->integer != 1) {
    throw Error("NOT_SUPPORTED", "Cannot read " + path() +
                                     ": its numbers are not said to be little-endian; load and save it on a "
                                     "little-endian machine.");
  }
  const PickleNode& root = pickle.node(pickle.load());
  const PickleNode& keys = pickle.node(pickle.load());
  if (keys.kind != PickleKind::kList) {
    fail("its storages are not listed");
  }
  // A storage's size follows from its type, which only the tensors know: gather those first.
  std::map<std::string_view, const PickleNode*> storages;
  for (const PickleNode& node : pickle.nodes()) {
    if (node.kind == PickleKind::kStorage) {
      const auto [place, is_new] = storages.emplace(node.text, &node);
      if (!is_new && (std::string_view(place->second->dtype) != node.dtype || place->second->integer != node.integer)) {
        fail("storage " + quotable(node.text) + " is described in two ways");
      }
    }
  }
  std::map<std::string_view, std::span<const std::byte>> bytes_of;
  std::span<const std::byte> rest = file_.bytes().subspan(pickle.position());
  for (const std::uint32_t item : keys.items) {
    const PickleNode& key = pickle.node(item);
    const auto storage = storages.find(key.text);
    if (key.kind != PickleKind::kText || storage == storages.end()) {
      fail("storage " + quotable(key.text) + " belongs to no tensor");
    }
    std::uint64_t count = 0;
    for (std::size_t index = 0; index < 8 && rest.size() >= 8; ++index) {
      count |= std::to_integer<std::uint64_t>(rest[index]) << (8 * index);
    }
    const std::uint64_t size_bytes = element_bytes(storage->second->dtype);
    if (rest.size() < 8 || count != static_cast<std::uint64_t>(storage->second->integer) ||
        count > (rest.size() - 8) / size_bytes) {
      fail("storage " + quotable(key.text) + " of " + std::to_string(storage->second->integer) +
           " elements is not there whole; the file was cut");
    }
    if (!bytes_of.emplace(key.text, rest.subspan(8, count * size_bytes)).second) {
      fail("storage " + quotable(key.text) + " is there twice");
    }
    rest = rest.subspan(8 + count * size_bytes);
  }
  add_tensors(pickle, root, [&](const PickleNode& storage, const std::string& tensor) {
    const auto found = bytes_of.find(storage.text);
    if (found == bytes_of.end()) {
      fail(tensor, "lies in a storage that is not in the file");
    }
    return found->second;
  });
}

void TorchArchive::add_tensors(const PickleReader& pickle, const PickleNode& root, const FindStorage& find_storage) {
  const PickleNode* tensors = find_tensors(pickle, root, 0);
  if (tensors == nullptr) {
    fail("it holds no dictionary of tensors, neither at its top nor under state_dict or model");
  }
  for (std::size_t at = 0; at + 1 < tensors->items.size(); at += 2) {
    const PickleNode& key = pickle.node(tensors->items[at]);
    const PickleNode& value = pickle.node(tensors->items[at + 1]);
    if (value.kind != PickleKind::kTensor) {
      continue;
    }
    if (key.kind != PickleKind::kText || find_invalid_utf8(key.text) != key.text.size()) {
      fail("a tensor has a name that is no text in UTF-8");
    }
    add_tensor(pickle, std::string(key.text), value, find_storage);
  }
}

void TorchArchive::add_tensor(const PickleReader& pickle, std::string name, const PickleNode& tensor,
                              const FindStorage& find_storage) {
  const PickleNode& storage = pickle.node(tensor.items[0]);
  const std::int64_t offset = pickle.node(tensor.items[1]).integer;
  const std::vector<std::uint32_t>& sizes = pickle.node(tensor.items[2]).items;
  const std::vector<std::uint32_t>& steps = pickle.node(tensor.items[3]).items;
  if (sizes.size() != steps.size() || sizes.size() > kMostAxes) {
    fail(name, "has " + std::to_string(sizes.size()) + " sizes and " + std::to_string(steps.size()) + " strides");
  }
  SourceTensor found{name, storage.dtype, {}};
  Place place;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) {
    const std::int64_t extent = pickle.node(sizes[axis]).integer;
    const std::int64_t stride = pickle.node(steps[axis]).integer;
    if (extent < 0 || stride < 0) {
      fail(name, "has a negative size or stride");
    }
    found.shape.push_back(static_cast<std::uint64_t>(extent));
    place.strides.push_back(static_cast<std::uint64_t>(stride));
  }
  const std::span<const std::byte> bytes = find_storage(storage, name);
  const std::uint64_t size_bytes = element_bytes(storage.dtype);
  const std::uint64_t available = bytes.size() / size_bytes;
  std::uint64_t count = 0;
  if (!shape_product(found.shape, count) || count > available) {
    fail(name, "of shape " + shape_text(found.shape) + " is larger than its storage of " + std::to_string(available) +
                   " elements");
  }
  // The last element's place; a tensor without elements is nowhere.
  std::uint64_t last = static_cast<std::uint64_t>(offset);
  bool fits = offset >= 0;
  for (std::size_t axis = 0; fits && count > 0 && axis < found.shape.size(); ++axis) {
    std::uint64_t distance = 0;
    fits = !__builtin_mul_overflow(found.shape[axis] - 1, place.strides[axis], &distance) &&
           !__builtin_add_overflow(last, distance, &last);
  }
  if (!fits || (count > 0 && last >= available)) {
    fail(name, "of shape " + shape_text(found.shape) + ", offset " + std::to_string(offset) + " and strides " +
                   shape_text(place.strides) + " leaves its storage of " + std::to_string(available) + " elements");
  }
  place.begin = count == 0 ? bytes.data() : bytes.data() + static_cast<std::uint64_t>(offset) * size_bytes;
  if (!add(std::move(found))) {
    fail(name, "is there twice");
  }
  places_.push_back(std::move(place));
}

bool TorchArchive::are_equal(const SourceTensor& left, const SourceTensor& right) const {
  const Place& left_place = places_[position_of(left)];
  const Place& right_place = places_[position_of(right)];
  // Tied weights are saved as one storage.
  const bool is_same_place = left_place.begin == right_place.begin && left_place.strides == right_place.strides;
  if (is_same_place && left.shape == right.shape && left.dtype == right.dtype) {
    return true;
  }
  return TensorSource::are_equal(left, right);
}

void TorchArchive::read_values(std::size_t position, std::span<float> values) const {
  if (values.empty()) {
    return;
  }
  const SourceTensor& tensor = tensors()[position];
  const Place& place = places_[position];
  if (is_contiguous(tensor.shape, place.strides)) {
    read_floats(tensor.dtype, place.begin, 1, values);
    file_.drop({place.begin, values.size() * element_bytes(tensor.dtype)});
  } else {
    read_strided(tensor.dtype, place.begin, tensor.shape, place.strides, values);
  }
}

} // namespace assay
