#include "engine/tokenizer/byte-alphabet.h"

#include "engine/base/utf8.h"

namespace assay {

namespace {

// Ids 0 to 187 are the bytes that print and stand for themselves.
constexpr std::uint32_t kPrintableCount = 188;
constexpr std::uint32_t kFirstStandIn = 0x100;

std::uint32_t character_of_byte(std::uint8_t byte) {
  const std::uint32_t id = kIdOfByte[byte];
  return id < kPrintableCount ? byte : kFirstStandIn + (id - kPrintableCount);
}

} // namespace

std::string bytes_to_piece(std::string_view bytes) {
  std::string piece;
  for (const char byte : bytes) {
    append_utf8(piece, character_of_byte(static_cast<std::uint8_t>(byte)));
  }
  return piece;
}

bool piece_to_bytes(std::string_view piece, std::string& bytes) {
  bytes.clear();
  const auto* at = reinterpret_cast<const unsigned char*>(piece.data());
  for (std::size_t index = 0; index < piece.size();) {
    std::uint32_t character = 0;
    const unsigned length = decode_utf8(at + index, piece.size() - index, character);
    if (length == 0 || character >= kFirstStandIn + (256 - kPrintableCount)) {
      return false;
    }
    const std::uint32_t byte =
        character < kFirstStandIn ? character : kByteOfId[kPrintableCount + character - kFirstStandIn];
    if (character_of_byte(static_cast<std::uint8_t>(byte)) != character) {
      return false;
    }
    bytes.push_back(static_cast<char>(byte));
    index += length;
  }
  return true;
}

} // namespace assay
