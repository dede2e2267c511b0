#include "engine/checkpoint/safetensors.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <tuple>
#include <utility>

namespace assay {

namespace {

static_assert(std::endian::native == std::endian::little, "tensors are written as they lie in memory");

// The reference reader's limit; it keeps a lie about the length from costing memory.
constexpr std::uint64_t kLargestHeaderBytes = 100'000'000;
constexpr std::size_t kLengthBytes = 8;

struct TypeSize {
  std::string_view name;
  std::uint64_t size_bytes;
};
constexpr std::array kTypes = {
    TypeSize{"F32", 4}, TypeSize{"F16", 2}, TypeSize{"BF16", 2}, TypeSize{"F64", 8},     TypeSize{"I64", 8},
    TypeSize{"I32", 4}, TypeSize{"I16", 2}, TypeSize{"I8", 1},   TypeSize{"U64", 8},     TypeSize{"U32", 4},
    TypeSize{"U16", 2}, TypeSize{"U8", 1},  TypeSize{"BOOL", 1}, TypeSize{"F8_E4M3", 1}, TypeSize{"F8_E5M2", 1},
};

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("SAFETENSORS_DAMAGED", "Cannot read " + path + " as safetensors: " + what + ".");
}

[[noreturn]] void fail(const std::string& path, const std::string& tensor, const std::string& what) {
  fail(path, "tensor " + tensor + " " + what);
}

SafetensorsEntry read_entry(const std::string& path, const std::string& name, const JsonValue& value) {
  SafetensorsEntry entry;
  entry.name = name;
  const JsonValue* dtype = value.find("dtype");
  const JsonValue* shape = value.find("shape");
  const JsonValue* offsets = value.find("data_offsets");
  if (dtype == nullptr || !dtype->is_string() || shape == nullptr || !shape->is_array() || offsets == nullptr ||
      !offsets->is_array()) {
    fail(path, name, "lacks its dtype, shape or data_offsets");
  }
  entry.dtype = dtype->as_string();
  for (const JsonValue& extent : shape->as_array()) {
    if (!extent.is_unsigned()) {
      fail(path, name, "has a shape that is not of whole numbers");
    }
    entry.shape.push_back(extent.as_unsigned());
  }
  const JsonArray& pair = offsets->as_array();
  if (pair.size() != 2 || !pair[0].is_unsigned() || !pair[1].is_unsigned()) {
    fail(path, name, "has data_offsets that are not two whole numbers of at least 0");
  }
  entry.begin = pair[0].as_unsigned();
  entry.end = pair[1].as_unsigned();
  return entry;
}

void check_size(const std::string& path, const SafetensorsEntry& entry) {
  const auto type =
      std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeSize& each) { return each.name == entry.dtype; });
  if (type == kTypes.end()) {
    fail(path, entry.name, "has the unknown type \"" + entry.dtype + "\"");
  }
  std::uint64_t count = 0;
  if (!shape_product(entry.shape, count) || count > std::numeric_limits<std::uint64_t>::max() / type->size_bytes) {
    fail(path, entry.name, "has a shape " + shape_text(entry.shape) + " whose size overflows");
  }
  if (entry.end < entry.begin || entry.end - entry.begin != count * type->size_bytes) {
    fail(path, entry.name,
         "of shape " + shape_text(entry.shape) + " in " + entry.dtype + " needs " +
             std::to_string(count * type->size_bytes) + " bytes, but its offsets are " + std::to_string(entry.begin) +
             " to " + std::to_string(entry.end));
  }
}

} // namespace

bool shape_product(std::span<const std::uint64_t> shape, std::uint64_t& product) {
  product = 1;
  for (const std::uint64_t extent : shape) {
    if (__builtin_mul_overflow(product, extent, &product)) {
      return false;
    }
  }
  return true;
}

std::string shape_text(std::span<const std::uint64_t> shape) {
  std::string text = "(";
  for (std::size_t index = 0; index < shape.size(); ++index) {
    text += (index == 0 ? "" : ", ") + std::to_string(shape[index]);
  }
  return text + ")";
}

SafetensorsFile::SafetensorsFile(const std::string& path) : file_(path) {
  read_header();
  check_layout();
}

void SafetensorsFile::read_header() {
  const std::span<const std::byte> bytes = file_.bytes();
  if (bytes.size() < kLengthBytes) {
    fail(path(), "it has " + std::to_string(bytes.size()) + " bytes, too few to say how long its header is");
  }
  std::uint64_t header_bytes = 0;
  for (std::size_t index = kLengthBytes; index-- > 0;) {
    header_bytes = (header_bytes << 8) | std::to_integer<std::uint64_t>(bytes[index]);
  }
  if (header_bytes > bytes.size() - kLengthBytes || header_bytes > kLargestHeaderBytes) {
    fail(path(), "it announces a header of " + std::to_string(header_bytes) + " bytes, and the file has " +
                     std::to_string(bytes.size()));
  }
  data_begin_ = kLengthBytes + static_cast<std::size_t>(header_bytes);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthBytes,
                              static_cast<std::size_t>(header_bytes));
  JsonValue header;
  try {
    header = parse_json(text, "its header",
                        {.max_depth = 8, .max_bytes = kLargestHeaderBytes, .refuse_duplicate_keys = true});
  } catch (const Error& error) {
    std::string reason = error.what();
    if (reason.ends_with('.')) {
      reason.pop_back();
    }
    fail(path(), reason);
  }
  if (!header.is_object()) {
    fail(path(), "its header is " + std::string(header.kind_name()) + ", not an object");
  }
  for (const JsonMember& member : header.members()) {
    if (member.key == "__metadata__") {
      if (!member.value.is_object()) {
        fail(path(), "its __metadata__ is not an object");
      }
      for (const JsonMember& field : member.value.members()) {
        if (!field.value.is_string()) {
          fail(path(), "its __metadata__ holds something other than strings");
        }
        metadata_[field.key] = field.value.as_string();
      }
    } else {
      entries_.push_back(read_entry(path(), member.key, member.value));
    }
  }
  // Empty tensors share their offset with a neighbour; the name then decides.
  std::sort(entries_.begin(), entries_.end(), [](const SafetensorsEntry& left, const SafetensorsEntry& right) {
    return std::tie(left.begin, left.end, left.name) < std::tie(right.begin, right.end, right.name);
  });
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    by_name_.emplace(entries_[index].name, index);
  }
}

void SafetensorsFile::check_layout() const {
  const std::uint64_t data_bytes = file_.size() - data_begin_;
  std::uint64_t expected = 0;
  for (const SafetensorsEntry& entry : entries_) {
    check_size(path(), entry);
    if (entry.end > data_bytes) {
      fail(path(), entry.name,
           "lies at bytes " + std::to_string(entry.begin) + " to " + std::to_string(entry.end) +
               ", but there are only " + std::to_string(data_bytes) + "; the file was cut");
    }
    if (entry.begin != expected) {
      fail(path(), entry.name,
           "begins at byte " + std::to_string(entry.begin) + " where " + std::to_string(expected) +
               " was expected; tensors may neither overlap nor leave holes");
    }
    expected = entry.end;
  }
  if (expected != data_bytes) {
    fail(path(), "its tensors end at byte " + std::to_string(expected) + " of " + std::to_string(data_bytes));
  }
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &entries_[found->second];
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorsEntry& entry) const {
  return file_.bytes().subspan(data_begin_ + entry.begin, entry.end - entry.begin);
}

void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors) {
  JsonWriter header;
  header.begin_object().key("__metadata__").begin_object().key("format").value("pt").end_object();
  std::vector<std::uint64_t> counts;
  std::uint64_t offset = 0;
  for (const TensorToWrite& tensor : tensors) {
    std::uint64_t count = 0;
    if (!shape_product(tensor.shape, count)) {
      throw Error("BAD_ARGUMENT",
                  "Tensor " + tensor.name + " of shape " + shape_text(tensor.shape) + " is too large to write.");
    }
    counts.push_back(count);
    header.key(tensor.name).begin_object().key("dtype").value("F32").key("shape").begin_array();
    for (const std::uint64_t extent : tensor.shape) {
      header.value(extent);
    }
    const std::uint64_t end = offset + count * sizeof(float);
    header.end_array().key("data_offsets").begin_array().value(offset).value(end).end_array().end_object();
    offset = end;
  }
  header.end_object();
  std::string text = std::move(header).take();
  text.resize((text.size() + 7) / 8 * 8, ' ');

  std::array<std::byte, kLengthBytes> length{};
  for (std::size_t index = 0; index < kLengthBytes; ++index) {
    length[index] = static_cast<std::byte>(static_cast<std::uint64_t>(text.size()) >> (8 * index));
  }
  DurableFile file(path);
  file.write(length);
  file.write(text);
  std::vector<float> staging;
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    staging.resize(counts[index]);
    tensors[index].read(staging);
    file.write(std::as_bytes(std::span<const float>(staging)));
  }
  file.close();
}

} // namespace assay
