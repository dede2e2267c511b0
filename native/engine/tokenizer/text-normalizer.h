// The normalizers of a tokenizer as data: a list of steps that rewrite a text and keep every byte's place in the
// original. The steps are those of Hugging Face's tokenizer.json; composed characters cover all that they were composed
// of.
#pragma once

#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/precompiled-charsmap.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace assay {

struct BertNormalizer {
  bool clean_text = true;
  bool handle_chinese_chars = true;
  // Unset: as `lowercase`.
  std::optional<bool> strip_accents;
  bool lowercase = true;
};

enum class UnicodeForm { kNfc, kNfd, kNfkc, kNfkd };

struct LowercaseNormalizer {};
// Takes away every mark (category M).
struct StripAccentsNormalizer {};

struct StripNormalizer {
  bool left = true;
  bool right = true;
};

// Of the regular expressions that tokenizer.json may hold, these are done by hand; any other is refused.
enum class ReplacePattern { kText, kSpaceRun, kLeadingSpaces, kTrailingSpaces };
// "" for kText.
std::string_view regex_of(ReplacePattern pattern);

struct ReplaceNormalizer {
  ReplacePattern pattern = ReplacePattern::kText;
  // Where the pattern is kText.
  std::string text;
  std::string content;
};

// To a text that is not empty.
struct PrependNormalizer {
  std::string text;
};

// Words as moses.h cuts them, a space between.
struct MosesNormalizer {};

struct CharsmapNormalizer {
  std::shared_ptr<const PrecompiledCharsmap> map;
};

using NormalizerStep =
    std::variant<BertNormalizer, UnicodeForm, LowercaseNormalizer, StripAccentsNormalizer, StripNormalizer,
                 ReplaceNormalizer, PrependNormalizer, CharsmapNormalizer, MosesNormalizer>;

void normalize(AlignedText& text, const std::vector<NormalizerStep>& steps);

} // namespace assay
