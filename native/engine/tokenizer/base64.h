// Base64 (RFC 4648), for the binary blob that a tokenizer.json may carry.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace assay {

inline constexpr std::string_view kBase64Digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline std::string encode_base64(std::string_view bytes) {
  std::string text;
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    const std::size_t count = bytes.size() - at < 3 ? bytes.size() - at : 3;
    unsigned value = 0;
    for (std::size_t index = 0; index < 3; ++index) {
      value = (value << 8) | (index < count ? static_cast<unsigned char>(bytes[at + index]) : 0U);
    }
    for (std::size_t digit = 0; digit < 4; ++digit) {
      text += digit <= count ? kBase64Digits[(value >> (18 - 6 * digit)) & 63U] : '=';
    }
  }
  return text;
}

// Empty where the text is not base64.
inline std::optional<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  std::string bytes;
  unsigned value = 0;
  unsigned bits = 0;
  for (const char digit : text) {
    const std::size_t found = kBase64Digits.find(digit);
    if (found == std::string_view::npos) {
      return std::nullopt;
    }
    value = ((value << 6) | static_cast<unsigned>(found)) & 0xFFFFFFU;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(static_cast<unsigned char>(value >> bits));
    }
  }
  return bytes;
}

} // namespace assay
