#include "engine/checkpoint/gguf.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/element-type.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace assay {

namespace {

constexpr std::uint64_t kBlockValues = 32;
constexpr std::uint64_t kQ8BlockBytes = 2 + kBlockValues;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kLargestAlignment = 1 << 20;
constexpr std::uint32_t kMostAxes = 4;
constexpr int kDeepestArray = 4;
constexpr std::size_t kLongestShownValue = 4096;

struct TensorType {
  std::uint32_t number;
  const char* name;
  // Values a block and bytes a block.
  std::uint64_t block_values;
  std::uint64_t block_bytes;
};
constexpr std::array kTensorTypes = {
    TensorType{0, "F32", 1, 4},  TensorType{1, "F16", 1, 2},  TensorType{8, "Q8_0", kBlockValues, kQ8BlockBytes},
    TensorType{24, "I8", 1, 1},  TensorType{25, "I16", 1, 2}, TensorType{26, "I32", 1, 4},
    TensorType{27, "I64", 1, 8}, TensorType{28, "F64", 1, 8}, TensorType{30, "BF16", 1, 2},
};

enum ValueType : std::uint32_t { kU8, kI8, kU16, kI16, kU32, kI32, kF32, kBool, kString, kArray, kU64, kI64, kF64 };
constexpr std::array kValueNames = {"u8",   "i8",      "u16",    "i16", "u32", "i32", "f32",
                                    "bool", "strings", "arrays", "u64", "i64", "f64"};
constexpr std::array<unsigned, 13> kValueBytes = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

// Reads on through the header; every step is checked against the file's end.
class HeaderReader {
public:
  HeaderReader(std::span<const std::byte> bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("GGUF_DAMAGED", "Cannot read " + source_ + " as GGUF: " + what + ".");
  }

  std::size_t position() const { return at_; }

  const std::byte* skip(std::uint64_t size) {
    if (size > bytes_.size() - at_) {
      fail("the file ends at byte " + std::to_string(bytes_.size()) + ", inside its header; it was cut");
    }
    const std::byte* from = bytes_.data() + at_;
    at_ += static_cast<std::size_t>(size);
    return from;
  }

  std::uint64_t number(unsigned width) {
    std::uint64_t value = 0;
    std::memcpy(&value, skip(width), width);
    return value;
  }

  std::string text(const char* what) {
    const std::uint64_t size = number(8);
    const auto* from = reinterpret_cast<const char*>(skip(size));
    const std::string_view found(from, static_cast<std::size_t>(size));
    if (size > kLongestShownValue || find_invalid_utf8(found) != found.size()) {
      fail(std::string(what) + " is longer than " + std::to_string(kLongestShownValue) + " bytes or no UTF-8");
    }
    return std::string(found);
  }

  // A metadata value as text.
  std::string value(const std::string& key) {
    const auto type = static_cast<std::uint32_t>(number(4));
    if (type == kArray) {
      return array(key, 0);
    }
    return scalar(key, type);
  }

private:
  std::string scalar(const std::string& key, std::uint32_t type) {
    switch (type) {
    case kString: {
      const std::uint64_t size = number(8);
      const auto* from = reinterpret_cast<const char*>(skip(size));
      const std::string_view found(from, static_cast<std::size_t>(size));
      // A chat template may be of any length; tokens need not be whole characters.
      return found.size() <= kLongestShownValue && find_invalid_utf8(found) == found.size()
                 ? std::string(found)
                 : "(" + std::to_string(size) + " bytes)";
    }
    case kU8:
    case kU16:
    case kU32:
    case kU64:
      return std::to_string(number(kValueBytes[type]));
    case kI8:
      return std::to_string(static_cast<std::int8_t>(number(1)));
    case kI16:
      return std::to_string(static_cast<std::int16_t>(number(2)));
    case kI32:
      return std::to_string(static_cast<std::int32_t>(number(4)));
    case kI64:
      return std::to_string(static_cast<std::int64_t>(number(8)));
    case kF32:
      return decimal(std::bit_cast<float>(static_cast<std::uint32_t>(number(4))));
    case kF64:
      return decimal(std::bit_cast<double>(number(8)));
    case kBool:
      return number(1) != 0 ? "true" : "false";
    default:
      fail("key " + quotable(key) + " has the unknown type " + std::to_string(type));
    }
  }

  static std::string decimal(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.9g", value);
    return text;
  }

  std::string array(const std::string& key, int depth) {
    const auto type = static_cast<std::uint32_t>(number(4));
    const std::uint64_t count = number(8);
    if (type >= kValueBytes.size() || depth >= kDeepestArray) {
      fail("key " + quotable(key) + " is an array of the unknown type " + std::to_string(type) +
           ", or nested too deep");
    }
    if (type == kString) {
      for (std::uint64_t index = 0; index < count; ++index) {
        skip(number(8));
      }
    } else if (type == kArray) {
      for (std::uint64_t index = 0; index < count; ++index) {
        array(key, depth + 1);
      }
    } else {
      std::uint64_t size = 0;
      if (__builtin_mul_overflow(count, static_cast<std::uint64_t>(kValueBytes[type]), &size)) {
        fail("key " + quotable(key) + " is an array of " + std::to_string(count) + " values, whose size overflows");
      }
      skip(size);
    }
    return "[" + std::to_string(count) + " " + kValueNames[type] + "]";
  }

  std::span<const std::byte> bytes_;
  const std::string& source_;
  std::size_t at_ = 0;
};

struct Claim {
  std::string name;
  std::uint64_t begin = 0;
  std::uint64_t size = 0;
};

// Tensors may leave holes for alignment, but none may lie in another.
void check_overlaps(std::vector<Claim> claims, const HeaderReader& reader) {
  std::sort(claims.begin(), claims.end(),
            [](const Claim& left, const Claim& right) { return left.begin < right.begin; });
  std::uint64_t free = 0;
  for (const Claim& claim : claims) {
    if (claim.size > 0 && claim.begin < free) {
      reader.fail("tensor " + quotable(claim.name) + " overlaps another");
    }
    free = std::max(free, claim.begin + claim.size);
  }
}

} // namespace

GgufFile::GgufFile(FileBytes file) : file_(std::move(file)) {
  set_path(file_.name());
  HeaderReader reader(file_.bytes(), path());
  if (std::memcmp(reader.skip(4), "GGUF", 4) != 0) {
    reader.fail("it does not begin with GGUF");
  }
  const std::uint64_t version = reader.number(4);
  if (version != 2 && version != 3) {
    reader.fail("it is of version " + std::to_string(version) + "; versions 2 and 3 are read");
  }
  const std::uint64_t tensor_count = reader.number(8);
  const std::uint64_t key_count = reader.number(8);
  std::uint64_t alignment = kDefaultAlignment;
  for (std::uint64_t index = 0; index < key_count; ++index) {
    const std::string key = reader.text("a key");
    const std::string value = reader.value(key);
    if (!metadata_.emplace(key, value).second) {
      reader.fail("key " + quotable(key) + " is there twice");
    }
    if (key == "general.alignment") {
      alignment = std::strtoull(value.c_str(), nullptr, 10);
      if (!std::has_single_bit(alignment) || alignment > kLargestAlignment) {
        reader.fail("its alignment of " + quotable(value) + " bytes is no power of two");
      }
    }
  }
  std::vector<Claim> claims;
  for (std::uint64_t index = 0; index < tensor_count; ++index) {
    SourceTensor tensor;
    tensor.name = reader.text("a tensor's name");
    const std::uint64_t axes = reader.number(4);
    if (axes > kMostAxes) {
      reader.fail("tensor " + quotable(tensor.name) + " has " + std::to_string(axes) + " axes");
    }
    for (std::uint64_t axis = 0; axis < axes; ++axis) {
      tensor.shape.insert(tensor.shape.begin(), reader.number(8));
    }
    const std::uint64_t number = reader.number(4);
    const std::uint64_t begin = reader.number(8);
    const auto type = std::find_if(kTensorTypes.begin(), kTensorTypes.end(),
                                   [&](const TensorType& each) { return each.number == number; });
    if (type == kTensorTypes.end()) {
      throw Error("NOT_SUPPORTED", "Cannot read " + path() + ": tensor " + quotable(tensor.name) +
                                       " is of ggml's type " + std::to_string(number) +
                                       "; F32, F16, BF16, F64 and Q8_0 are read, so convert it to one of them.");
    }
    tensor.dtype = type->name;
    std::uint64_t count = 0;
    std::uint64_t size = 0;
    if (!shape_product(tensor.shape, count) ||
        __builtin_mul_overflow(count / type->block_values, type->block_bytes, &size)) {
      reader.fail("tensor " + quotable(tensor.name) + " has a shape " + shape_text(tensor.shape) +
                  " whose size overflows");
    }
    if ((tensor.shape.empty() ? 1 : tensor.shape.back()) % type->block_values != 0) {
      reader.fail("tensor " + quotable(tensor.name) + " of shape " + shape_text(tensor.shape) + " in " + type->name +
                  " has rows that are no multiple of " + std::to_string(type->block_values));
    }
    if (begin % alignment != 0) {
      reader.fail("tensor " + quotable(tensor.name) + " begins at byte " + std::to_string(begin) +
                  ", no multiple of the alignment " + std::to_string(alignment));
    }
    claims.push_back({tensor.name, begin, size});
    if (!add(std::move(tensor))) {
      reader.fail("tensor " + quotable(claims.back().name) + " is there twice");
    }
  }
  const std::uint64_t data_begin = (reader.position() + alignment - 1) / alignment * alignment;
  const std::uint64_t data_bytes = data_begin < file_.size() ? file_.size() - data_begin : 0;
  for (const Claim& claim : claims) {
    if (claim.begin > data_bytes || claim.size > data_bytes - claim.begin) {
      reader.fail("tensor " + quotable(claim.name) + " of " + std::to_string(claim.size) + " bytes at byte " +
                  std::to_string(claim.begin) + " leaves the " + std::to_string(data_bytes) +
                  " bytes of data; the file was cut");
    }
    places_.push_back(claim.size == 0 ? nullptr : file_.bytes().data() + data_begin + claim.begin);
  }
  check_overlaps(std::move(claims), reader);
}

void GgufFile::read_values(std::size_t position, std::span<float> values) const {
  const std::byte* at = places_[position];
  if (values.empty()) {
    return;
  }
  if (tensors()[position].dtype != "Q8_0") {
    read_floats(tensors()[position].dtype, at, 1, values);
    file_.drop({at, values.size() * element_bytes(tensors()[position].dtype)});
    return;
  }
  // A block is its scale in F16 and 32 signed bytes.
  for (std::size_t block = 0; block < values.size(); block += kBlockValues) {
    std::uint16_t scale_bits = 0;
    std::memcpy(&scale_bits, at, sizeof scale_bits);
    const float scale = half_to_float(scale_bits);
    for (std::size_t index = 0; index < kBlockValues; ++index) {
      const auto quant = static_cast<std::int8_t>(std::to_integer<std::uint8_t>(at[2 + index]));
      values[block + index] = scale * static_cast<float>(quant);
    }
    at += kQ8BlockBytes;
  }
}

} // namespace assay
