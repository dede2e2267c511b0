// What the text pipelines of foreign tokenizers ask of Unicode: general categories, lower case, and the four
// normalization forms' parts (Unicode Standard, section 3.11). Letters, numbers and white space for byte-level BPE are
// in unicode-tables.generated.h, which is newer because it must agree with other libraries.
#pragma once

#include "engine/tokenizer/pre-tokenizer.h"

#include <cstdint>
#include <span>

namespace assay {

enum class GeneralCategory : std::uint8_t {
  kUnassigned,
  kControl,
  kFormat,
  kPrivateUse,
  kSurrogate,
  kLowercaseLetter,
  kModifierLetter,
  kOtherLetter,
  kTitlecaseLetter,
  kUppercaseLetter,
  kSpacingMark,
  kEnclosingMark,
  kNonspacingMark,
  kDecimalNumber,
  kLetterNumber,
  kOtherNumber,
  kConnectorPunctuation,
  kDashPunctuation,
  kClosePunctuation,
  kFinalPunctuation,
  kInitialPunctuation,
  kOtherPunctuation,
  kOpenPunctuation,
  kCurrencySymbol,
  kModifierSymbol,
  kMathSymbol,
  kOtherSymbol,
  kLineSeparator,
  kParagraphSeparator,
  kSpaceSeparator,
};

GeneralCategory general_category(std::uint32_t code_point);

inline bool is_in_categories(std::uint32_t code_point, GeneralCategory first, GeneralCategory last) {
  const GeneralCategory category = general_category(code_point);
  return category >= first && category <= last;
}

// Unicode's White_Space.
inline bool is_white_space(std::uint32_t code_point) {
  return class_of_code_point(code_point) == CharacterClass::kSpace;
}
inline bool is_mark(std::uint32_t code_point) {
  return is_in_categories(code_point, GeneralCategory::kSpacingMark, GeneralCategory::kNonspacingMark);
}
inline bool is_nonspacing_mark(std::uint32_t code_point) {
  return general_category(code_point) == GeneralCategory::kNonspacingMark;
}
// Categories P.
inline bool is_punctuation(std::uint32_t code_point) {
  return is_in_categories(code_point, GeneralCategory::kConnectorPunctuation, GeneralCategory::kOpenPunctuation);
}
inline bool is_ascii_punctuation(std::uint32_t code_point) {
  return (code_point >= 33 && code_point <= 47) || (code_point >= 58 && code_point <= 64) ||
         (code_point >= 91 && code_point <= 96) || (code_point >= 123 && code_point <= 126);
}
// A character of a word for \w: letters, letter-like numbers, marks, decimal digits, connectors, joiners.
bool is_word_character(std::uint32_t code_point);

// Empty where a code point stays as it is. Without regard to what stands around it.
std::span<const std::uint32_t> lower_case(std::uint32_t code_point);

unsigned combining_class(std::uint32_t code_point);
// Full; `buffer` has room for three and holds the parts of Hangul syllables. Empty where there is nothing to take
// apart.
std::span<const std::uint32_t> decompose(std::uint32_t code_point, bool compatibly, std::uint32_t* buffer);
// 0 where the two do not compose.
std::uint32_t compose(std::uint32_t first, std::uint32_t second);

} // namespace assay
