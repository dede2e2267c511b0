// Text on its way through a tokenizer's steps, with the place in the original that each byte came from: what is
// replaced, taken apart or put together still knows its source, what is put in has an empty one. A byte that is not
// part of valid UTF-8 counts as one character, U+FFFD, and is kept as the byte it is.
#pragma once

#include "engine/base/utf8.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

inline constexpr std::uint32_t kReplacementCharacter = 0xFFFD;

struct ByteRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;

  bool operator==(const ByteRange&) const = default;
};

// The character at `at` < text.size(); always moves on.
inline unsigned next_character(std::string_view text, std::size_t at, std::uint32_t& code_point) {
  const unsigned length =
      decode_utf8(reinterpret_cast<const unsigned char*>(text.data()) + at, text.size() - at, code_point);
  if (length == 0) {
    code_point = kReplacementCharacter;
    return 1;
  }
  return length;
}

class AlignedText {
public:
  AlignedText() = default;
  // Bytes `range` of the original.
  AlignedText(std::string_view original, ByteRange range);

  const std::string& text() const noexcept { return text_; }
  std::size_t size() const noexcept { return text_.size(); }

  // Where bytes [begin, end) came from; for an empty stretch the place between its neighbours.
  ByteRange source(std::size_t begin, std::size_t end) const;

  // Building one from another.
  void clear();
  void reserve(std::size_t bytes);
  void copy(const AlignedText& from, std::size_t begin, std::size_t end);
  // `bytes` stand for what is at `source`.
  void put(std::string_view bytes, ByteRange source);
  void put(std::uint32_t code_point, ByteRange source);

  bool is_ascii() const;
  void swap(AlignedText& other) noexcept;

private:
  std::string text_;
  // One a byte. Bytes of one replaced character share a range.
  std::vector<ByteRange> sources_;
};

} // namespace assay
