#include "engine/checkpoint/safetensors.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"
#include "engine/checkpoint/element-type.h"

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

[[noreturn]] void fail(const std::string& path, const std::string& what) {
  throw Error("SAFETENSORS_DAMAGED", "Cannot read " + path + " as safetensors: " + what + ".");
}

[[noreturn]] void fail(const std::string& path, const std::string& tensor, const std::string& what) {
  fail(path, "tensor " + quotable(tensor) + " " + what);
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
  const std::uint64_t size_bytes = element_bytes(entry.dtype);
  if (size_bytes == 0) {
    fail(path, entry.name, "has the unknown type \"" + quotable(entry.dtype) + "\"");
  }
  std::uint64_t count = 0;
  if (!shape_product(entry.shape, count) || count > std::numeric_limits<std::uint64_t>::max() / size_bytes) {
    fail(path, entry.name, "has a shape " + shape_text(entry.shape) + " whose size overflows");
  }
  if (entry.end < entry.begin || entry.end - entry.begin != count * size_bytes) {
    fail(path, entry.name,
         "of shape " + shape_text(entry.shape) + " in " + entry.dtype + " needs " + std::to_string(count * size_bytes) +
             " bytes, but its offsets are " + std::to_string(entry.begin) + " to " + std::to_string(entry.end));
  }
}

} // namespace

SafetensorsFile::SafetensorsFile(const std::string& path) : SafetensorsFile(FileBytes(path)) {}

SafetensorsFile::SafetensorsFile(FileBytes file) : file_(std::move(file)) {
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

SafetensorsSource::SafetensorsSource(FileBytes file) : file_(std::move(file)) {
  set_path(file_.path());
  for (const SafetensorsEntry& entry : file_.entries()) {
    add({entry.name, entry.dtype, entry.shape});
  }
}

bool SafetensorsSource::are_equal(const SourceTensor& left, const SourceTensor& right) const {
  const SafetensorsEntry& left_entry = file_.entries()[position_of(left)];
  const SafetensorsEntry& right_entry = file_.entries()[position_of(right)];
  if (left_entry.dtype != right_entry.dtype) {
    return TensorSource::are_equal(left, right);
  }
  const std::span<const std::byte> left_bytes = file_.bytes(left_entry);
  const std::span<const std::byte> right_bytes = file_.bytes(right_entry);
  const bool equal = left_entry.shape == right_entry.shape &&
                     std::equal(left_bytes.begin(), left_bytes.end(), right_bytes.begin(), right_bytes.end());
  file_.drop(left_entry);
  file_.drop(right_entry);
  return equal;
}

void SafetensorsSource::read_values(std::size_t position, std::span<float> values) const {
  const SafetensorsEntry& entry = file_.entries()[position];
  read_floats(entry.dtype, file_.bytes(entry).data(), 1, values);
  file_.drop(entry);
}

std::uint64_t tensor_file_type_bytes(TensorFileType type) noexcept {
  return type == TensorFileType::kF32 ? 4 : 2;
}

void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors, TensorFileType type) {
  const std::string_view dtype = type == TensorFileType::kF32 ? "F32" : type == TensorFileType::kF16 ? "F16" : "BF16";
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
    header.key(tensor.name).begin_object().key("dtype").value(dtype).key("shape").begin_array();
    for (const std::uint64_t extent : tensor.shape) {
      header.value(extent);
    }
    const std::uint64_t end = offset + count * tensor_file_type_bytes(type);
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
  std::vector<std::uint16_t> narrow;
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    staging.resize(counts[index]);
    tensors[index].read(staging);
    if (type == TensorFileType::kF32) {
      file.write(std::as_bytes(std::span<const float>(staging)));
      continue;
    }
    narrow.resize(staging.size());
    std::transform(staging.begin(), staging.end(), narrow.begin(),
                   type == TensorFileType::kF16 ? float_to_half : float_to_bfloat16);
    file.write(std::as_bytes(std::span<const std::uint16_t>(narrow)));
  }
  file.close();
}

} // namespace assay
