#include "engine/tokenizer/moses-characters.h"

#include "engine/tokenizer/moses-characters.generated.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>
#include <span>

namespace assay {

namespace {

// `ranges` are first and last code points in turn, ascending.
bool is_in(std::span<const std::uint32_t> ranges, std::uint32_t code_point) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), code_point);
  const auto index = static_cast<std::size_t>(after - ranges.begin());
  // Within a range an odd number of its ends has been passed; its last code point is one of them.
  return index % 2 == 1 || (index > 0 && ranges[index - 1] == code_point);
}

} // namespace

bool is_moses_letter(std::uint32_t code_point) {
  if (code_point < 0x80) {
    const std::uint32_t lower = code_point | 0x20U;
    return lower >= 'a' && lower <= 'z';
  }
  return is_in(kMosesLetters, code_point);
}

bool is_moses_word_character(std::uint32_t code_point) {
  if (code_point < 0x80) {
    return is_moses_letter(code_point) || (code_point >= '0' && code_point <= '9');
  }
  return is_moses_letter(code_point) || is_in(kMosesDigits, code_point);
}

bool is_moses_number(std::uint32_t code_point) {
  return is_in(kMosesNumbers, code_point);
}

bool is_moses_lower_case(std::uint32_t code_point) {
  return is_in(kMosesLowerCase, code_point);
}

bool is_moses_currency(std::uint32_t code_point) {
  return is_in(kMosesCurrency, code_point);
}

bool is_moses_space(std::uint32_t code_point) {
  return is_white_space(code_point) || (code_point >= 0x1C && code_point <= 0x1F);
}

bool is_moses_cjk(std::uint32_t code_point) {
  // Blocks: Hangul, the radicals up to Yi, Phags-pa, compatibility forms, Tangut, kana and Nushu, the second plane.
  constexpr std::uint32_t kBlocks[] = {0x1100,  0x11FF,  0x2E80,  0xA4CF,  0xA840,  0xA87F, 0xAC00,  0xD7AF,
                                       0xF900,  0xFAFF,  0xFE30,  0xFE4F,  0xFF65,  0xFFDC, 0x17000, 0x18AFF,
                                       0x1B000, 0x1B12F, 0x1B170, 0x1B2FF, 0x20000, 0x2FFFF};
  return is_in(kBlocks, code_point);
}

} // namespace assay
