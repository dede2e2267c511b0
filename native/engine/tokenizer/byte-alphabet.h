// GPT-2's printable alphabet for bytes: each of the 256 bytes is written as one character, so that any bytes can stand
// in JSON and in merges.txt. Bytes that print stand for themselves; the others follow from U+0100 on. The order of the
// characters is also the order of the first 256 ids.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace assay {

// kByteOfId[id] is the byte whose token has that id in GPT-2's order: the printable bytes, then the rest.
inline constexpr std::array<std::uint8_t, 256> kByteOfId = [] {
  std::array<std::uint8_t, 256> bytes{};
  const auto prints = [](unsigned byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  };
  std::size_t next = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (prints(byte)) {
      bytes[next++] = static_cast<std::uint8_t>(byte);
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!prints(byte)) {
      bytes[next++] = static_cast<std::uint8_t>(byte);
    }
  }
  return bytes;
}();

inline constexpr std::array<std::uint8_t, 256> kIdOfByte = [] {
  std::array<std::uint8_t, 256> ids{};
  for (unsigned id = 0; id < 256; ++id) {
    ids[kByteOfId[id]] = static_cast<std::uint8_t>(id);
  }
  return ids;
}();

// " the" → "Ġthe".
std::string bytes_to_piece(std::string_view bytes);

// "Ġthe" → " the"; false when a character is outside the alphabet (`bytes` then holds what came before it).
bool piece_to_bytes(std::string_view piece, std::string& bytes);

} // namespace assay
