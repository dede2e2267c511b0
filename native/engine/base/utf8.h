// UTF-8, one code point at a time and strict (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing past
// U+10FFFF. Header only, because the tokenizer calls it in its inner loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace assay {

// Reads the code point at `at`, of which `size` > 0 bytes are left, and returns its length in bytes; 0 when the bytes
// are not UTF-8 (`code_point` is then untouched).
inline unsigned decode_utf8(const unsigned char* at, std::size_t size, std::uint32_t& code_point) {
  const auto continues = [&](std::size_t index) { return (at[index] & 0xC0U) == 0x80U; };
  const std::uint32_t lead = at[0];
  if (lead < 0x80) {
    code_point = lead;
    return 1;
  }
  if (lead < 0xC2 || lead > 0xF4) {
    return 0;
  }
  if (lead < 0xE0) {
    if (size < 2 || !continues(1)) {
      return 0;
    }
    code_point = ((lead & 0x1FU) << 6) | (at[1] & 0x3FU);
    return 2;
  }
  if (lead < 0xF0) {
    if (size < 3 || !continues(1) || !continues(2)) {
      return 0;
    }
    const std::uint32_t value = ((lead & 0x0FU) << 12) | ((at[1] & 0x3FU) << 6) | (at[2] & 0x3FU);
    if (value < 0x800 || (value >= 0xD800 && value <= 0xDFFF)) {
      return 0;
    }
    code_point = value;
    return 3;
  }
  if (size < 4 || !continues(1) || !continues(2) || !continues(3)) {
    return 0;
  }
  const std::uint32_t value =
      ((lead & 0x07U) << 18) | ((at[1] & 0x3FU) << 12) | ((at[2] & 0x3FU) << 6) | (at[3] & 0x3FU);
  if (value < 0x10000 || value > 0x10FFFF) {
    return 0;
  }
  code_point = value;
  return 4;
}

inline constexpr std::size_t kMaxUtf8Length = 4;

// Writes at most kMaxUtf8Length bytes and returns how many. `code_point` must be a scalar value (no surrogate, at most
// U+10FFFF).
inline std::size_t encode_utf8(char* out, std::uint32_t code_point) {
  const auto put = [&](std::size_t index, std::uint32_t byte) { out[index] = static_cast<char>(byte); };
  if (code_point < 0x80) {
    put(0, code_point);
    return 1;
  }
  if (code_point < 0x800) {
    put(0, 0xC0U | (code_point >> 6));
    put(1, 0x80U | (code_point & 0x3FU));
    return 2;
  }
  if (code_point < 0x10000) {
    put(0, 0xE0U | (code_point >> 12));
    put(1, 0x80U | ((code_point >> 6) & 0x3FU));
    put(2, 0x80U | (code_point & 0x3FU));
    return 3;
  }
  put(0, 0xF0U | (code_point >> 18));
  put(1, 0x80U | ((code_point >> 12) & 0x3FU));
  put(2, 0x80U | ((code_point >> 6) & 0x3FU));
  put(3, 0x80U | (code_point & 0x3FU));
  return 4;
}

inline void append_utf8(std::string& text, std::uint32_t code_point) {
  char bytes[kMaxUtf8Length];
  text.append(bytes, encode_utf8(bytes, code_point));
}

// The offset of the first byte that is not UTF-8, or text.size().
inline std::size_t find_invalid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint32_t code_point = 0;
    const unsigned length = decode_utf8(bytes + at, text.size() - at, code_point);
    if (length == 0) {
      return at;
    }
    at += length;
  }
  return at;
}

} // namespace assay
