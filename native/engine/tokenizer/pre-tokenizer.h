// GPT-2's pre-tokenization: text is cut into words before any merging, by the pattern
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// Written by hand over UTF-8, because a regex engine is slower than all that follows. The words tile the text: each
// byte is in exactly one. A byte that is not part of valid UTF-8 counts as one character that is neither space, letter
// nor number, as U+FFFD would; the byte itself is kept. Header only: this is the inner loop of training and encoding.
#pragma once

#include "engine/base/utf8.h"
#include "engine/tokenizer/unicode-tables.generated.h"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace assay {

// The values are those of the generated tables.
enum class CharacterClass : std::uint8_t { kOther = 0, kLetter = 1, kNumber = 2, kSpace = 3 };

inline CharacterClass class_of_code_point(std::uint32_t code_point) {
  if (code_point >= kUnicodeTableLimit) {
    return CharacterClass::kOther;
  }
  const std::uint8_t* block = kUnicodeBlocks[kUnicodeBlockOf[code_point >> 7]];
  return static_cast<CharacterClass>((block[(code_point & 127U) >> 2] >> ((code_point & 3U) * 2)) & 3U);
}

inline constexpr std::array<CharacterClass, 128> kAsciiClass = [] {
  std::array<CharacterClass, 128> classes{};
  for (unsigned byte = 0; byte < 128; ++byte) {
    const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    const bool number = byte >= '0' && byte <= '9';
    const bool space = byte == ' ' || (byte >= '\t' && byte <= '\r');
    classes[byte] = letter   ? CharacterClass::kLetter
                    : number ? CharacterClass::kNumber
                    : space  ? CharacterClass::kSpace
                             : CharacterClass::kOther;
  }
  return classes;
}();

class PreTokenizer {
public:
  // The text must outlive the pre-tokenizer.
  explicit PreTokenizer(std::string_view text)
      : text_(reinterpret_cast<const unsigned char*>(text.data())), size_(text.size()) {}

  // The end of the word that begins at `begin` < size. `begin` must be 0 or the end of a word.
  std::size_t word_end(std::size_t begin) const {
    const unsigned char first = text_[begin];
    if (first == ' ' && begin + 1 < size_) {
      // " word", the usual case, first.
      const std::size_t letters = skip_ascii_letters(begin + 1);
      if (letters > begin + 1) {
        return letters < size_ && text_[letters] >= 0x80 ? skip_class(letters, CharacterClass::kLetter) : letters;
      }
      unsigned length = 0;
      const CharacterClass next = class_at(begin + 1, length);
      if (next != CharacterClass::kSpace) {
        return skip_class(begin + 1 + length, next);
      }
      return space_end(begin);
    }
    if (first == '\'') {
      if (const std::size_t length = contraction_length(begin); length > 0) {
        return begin + length;
      }
    }
    unsigned length = 0;
    const CharacterClass own = class_at(begin, length);
    return own == CharacterClass::kSpace ? space_end(begin) : skip_class(begin + length, own);
  }

  // The ends of the words from `begin` < size on, as many as are found at once, at most kMaxEnds; at least one.
  static constexpr std::size_t kMaxEnds = 64;
  std::size_t word_ends(std::size_t begin, std::size_t (&ends)[kMaxEnds]) const {
    std::size_t count = 0;
    std::uint64_t starts = begin + 64 <= size_ ? plain_word_starts(text_ + begin) : 0;
    for (; starts != 0; starts &= starts - 1) {
      ends[count++] = begin + static_cast<std::size_t>(std::countr_zero(starts));
    }
    if (count == 0) {
      ends[count++] = word_end(begin);
    }
    return count;
  }

private:
  // Of the 64 bytes from `text` on, where a word begins: a bit each where words begin that need nothing but ASCII to
  // tell, up to the first byte that does (a wider character, an apostrophe, white space other than a single space).
  // The first byte begins a word, and has no bit.
  static std::uint64_t plain_word_starts(const unsigned char* text) {
#if defined(__SSE2__)
    std::uint64_t letters = 0;
    std::uint64_t numbers = 0;
    std::uint64_t spaces = 0;
    std::uint64_t hard = 0;
    for (unsigned part = 0; part < 4; ++part) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text + part * 16));
      const auto mask = [&](__m128i each) {
        return static_cast<std::uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(each))) << (part * 16);
      };
      // Whether a byte less `first` is at most `last`, unsigned.
      const auto within = [](__m128i from, char first, char last) {
        const __m128i shifted = _mm_sub_epi8(from, _mm_set1_epi8(first));
        return _mm_cmpeq_epi8(_mm_min_epu8(shifted, _mm_set1_epi8(last)), shifted);
      };
      letters |= mask(within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 25));
      numbers |= mask(within(bytes, '0', 9));
      spaces |= mask(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')));
      hard |=
          mask(_mm_or_si128(bytes, _mm_or_si128(within(bytes, '\t', 4), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\'')))));
    }
    hard |= spaces & (spaces << 1);
    const std::uint64_t others = ~(letters | numbers | spaces);
    const std::uint64_t same = (letters & (letters << 1)) | (numbers & (numbers << 1)) | (others & (others << 1));
    const std::uint64_t starts = spaces | ~(same | (spaces << 1));
    // Up to and without the first hard byte.
    return starts & (hard - 1) & ~hard & ~std::uint64_t{1};
#else
    static_cast<void>(text);
    return 0;
#endif
  }

  CharacterClass class_at(std::size_t at, unsigned& length) const {
    if (text_[at] < 0x80) {
      length = 1;
      return kAsciiClass[text_[at]];
    }
    std::uint32_t code_point = 0;
    length = decode_utf8(text_ + at, size_ - at, code_point);
    if (length == 0) {
      length = 1;
      return CharacterClass::kOther;
    }
    return class_of_code_point(code_point);
  }

  // The first position from `at` on whose character is of another class.
  std::size_t skip_class(std::size_t at, CharacterClass wanted) const {
    while (at < size_) {
      unsigned length = 0;
      if (class_at(at, length) != wanted) {
        break;
      }
      at += length;
    }
    return at;
  }

  std::size_t skip_ascii_letters(std::size_t at) const {
#if defined(__SSE2__)
    // Sixteen bytes at once: (byte | 0x20) - 'a' is below 26, unsigned, exactly for letters.
    while (at + 16 <= size_) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text_ + at));
      const __m128i folded = _mm_sub_epi8(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
      const __m128i letters = _mm_cmpeq_epi8(_mm_min_epu8(folded, _mm_set1_epi8(25)), folded);
      const auto others = ~static_cast<unsigned>(_mm_movemask_epi8(letters)) & 0xFFFFU;
      if (others != 0) {
        return at + static_cast<std::size_t>(std::countr_zero(others));
      }
      at += 16;
    }
#endif
    while (at < size_ && text_[at] < 0x80 && kAsciiClass[text_[at]] == CharacterClass::kLetter) {
      ++at;
    }
    return at;
  }

  // `begin` is a space. A run of spaces leaves its last one to the word that follows, unless it is alone or at the end.
  std::size_t space_end(std::size_t begin) const {
    std::size_t last = begin;
    std::size_t at = begin;
    while (at < size_) {
      unsigned length = 0;
      if (class_at(at, length) != CharacterClass::kSpace) {
        return last > begin ? last : at;
      }
      last = at;
      at += length;
    }
    return at;
  }

  // 's 't 'm 'd 're 've 'll at `begin`, where an apostrophe stands; 0 when it is none of them.
  std::size_t contraction_length(std::size_t begin) const {
    const unsigned char one = begin + 1 < size_ ? text_[begin + 1] : 0;
    if (one == 's' || one == 't' || one == 'm' || one == 'd') {
      return 2;
    }
    const unsigned char two = begin + 2 < size_ ? text_[begin + 2] : 0;
    const bool longer = (one == 'r' && two == 'e') || (one == 'v' && two == 'e') || (one == 'l' && two == 'l');
    return longer ? 3 : 0;
  }

  const unsigned char* text_;
  std::size_t size_;
};

// Calls take(word) for each word of the text, in order.
template <typename Take> void for_each_word(std::string_view text, const Take& take) {
  const PreTokenizer words(text);
  std::size_t ends[PreTokenizer::kMaxEnds];
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t count = words.word_ends(begin, ends);
    for (std::size_t index = 0; index < count; begin = ends[index++]) {
      take(text.substr(begin, ends[index] - begin));
    }
  }
}

// The first position at or after `at` where a word begins whatever stands before it: a space after something that is no
// space. Text cut there gives the same words in pieces as whole. text.size() when there is none.
inline std::size_t find_word_boundary(std::string_view text, std::size_t at) {
  const auto is_ascii_space = [&](std::size_t index) {
    const auto byte = static_cast<unsigned char>(text[index]);
    return byte < 0x80 && kAsciiClass[byte] == CharacterClass::kSpace;
  };
  // Before the space only ASCII is accepted, so that the tail of a wider space is not taken for a letter.
  for (std::size_t index = at > 0 ? at : 1; index < text.size(); ++index) {
    if (is_ascii_space(index) && static_cast<unsigned char>(text[index - 1]) < 0x80 && !is_ascii_space(index - 1)) {
      return index;
    }
  }
  return text.size();
}

} // namespace assay
