// The wire format of Protocol Buffers (protobuf.dev/programming-guides/encoding), read from bytes that nobody vouches
// for: every length is checked against what is left, nothing is copied.
#pragma once

#include "engine/base/error.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace assay {

struct ProtobufField {
  std::uint32_t number = 0;
  // 0 varint, 1 eight bytes, 2 bytes, 5 four bytes.
  std::uint32_t wire_type = 0;
  // Of a varint and of the fixed widths.
  std::uint64_t value = 0;
  std::string_view bytes;

  float as_float() const {
    const auto bits = static_cast<std::uint32_t>(value);
    float number_value = 0;
    std::memcpy(&number_value, &bits, sizeof number_value);
    return number_value;
  }
};

class ProtobufReader {
public:
  ProtobufReader(std::string_view bytes, const std::string& source) : rest_(bytes), source_(source) {}

  // False at the end. Throws TOKENIZER_INVALID.
  bool next(ProtobufField& field) {
    if (rest_.empty()) {
      return false;
    }
    const std::uint64_t tag = varint();
    field.number = static_cast<std::uint32_t>(tag >> 3);
    field.wire_type = static_cast<std::uint32_t>(tag & 7U);
    field.bytes = {};
    field.value = 0;
    switch (field.wire_type) {
    case 0:
      field.value = varint();
      return true;
    case 1:
      field.value = fixed(8);
      return true;
    case 2: {
      const std::uint64_t length = varint();
      if (length > rest_.size()) {
        fail("a field of " + std::to_string(length) + " bytes goes past the end");
      }
      field.bytes = rest_.substr(0, length);
      rest_.remove_prefix(length);
      return true;
    }
    case 5:
      field.value = fixed(4);
      return true;
    default:
      fail("a field is of the unknown kind " + std::to_string(field.wire_type));
    }
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("TOKENIZER_INVALID",
                "Cannot read " + source_ + " as a SentencePiece model: " + what + "; fetch the file again.");
  }

private:
  std::uint64_t varint() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) {
        fail("it ends within a number");
      }
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    fail("a number has more than ten bytes");
  }

  std::uint64_t fixed(std::size_t bytes) {
    if (rest_.size() < bytes) {
      fail("it ends within a number");
    }
    std::uint64_t value = 0;
    std::memcpy(&value, rest_.data(), bytes);
    rest_.remove_prefix(bytes);
    return value;
  }

  std::string_view rest_;
  const std::string& source_;
};

} // namespace assay
