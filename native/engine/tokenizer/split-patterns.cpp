// The regular expressions by which tiktoken's vocabularies cut text into words, by hand. Each alternative is tried in
// the expression's order; all of them together match any character, so that the matches tile the text.
#include "engine/tokenizer/text-splitter.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::string_view kGpt2Regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100kRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kCl100kSingleDigitsRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200kRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// A text as characters with classes; `at` is always at a character.
class Characters {
public:
  explicit Characters(std::string_view text) : text_(text) {}

  bool ends(std::size_t at) const { return at >= text_.size(); }
  std::uint32_t code_point(std::size_t at) const {
    std::uint32_t value = 0;
    next_character(text_, at, value);
    return value;
  }
  std::size_t next(std::size_t at) const {
    std::uint32_t value = 0;
    return at + next_character(text_, at, value);
  }
  bool is(std::size_t at, CharacterClass wanted) const {
    return !ends(at) && class_of_code_point(code_point(at)) == wanted;
  }
  bool is_line_end(std::size_t at) const { return !ends(at) && (text_[at] == '\r' || text_[at] == '\n'); }
  // [^\r\n\p{L}\p{N}]
  bool may_lead(std::size_t at) const {
    return !ends(at) && !is_line_end(at) && !is(at, CharacterClass::kLetter) && !is(at, CharacterClass::kNumber);
  }
  template <typename Wanted> std::size_t skip(std::size_t at, const Wanted& wanted) const {
    while (!ends(at) && wanted(at)) {
      at = next(at);
    }
    return at;
  }

  // 's 't 're 've 'm 'll 'd of any case at `at`; `at` where there is none. The long s folds to s.
  std::size_t contraction_end(std::size_t at) const {
    if (ends(at) || text_[at] != '\'' || ends(at + 1)) {
      return at;
    }
    const auto folded = [&](std::size_t where) -> std::uint32_t {
      if (ends(where)) {
        return 0;
      }
      const std::uint32_t value = code_point(where);
      return value == 0x17F ? 's' : value >= 'A' && value <= 'Z' ? value + 32 : value;
    };
    const std::uint32_t one = folded(at + 1);
    if (one == 's' || one == 't' || one == 'm' || one == 'd') {
      return next(at + 1);
    }
    const std::uint32_t two = one < 0x80 ? folded(at + 2) : 0;
    const bool longer = (one == 'r' && two == 'e') || (one == 'v' && two == 'e') || (one == 'l' && two == 'l');
    return longer ? at + 3 : at;
  }

  // ␣?[^\s\p{L}\p{N}]+[tail]*; `at` where it does not match.
  std::size_t signs_end(std::size_t at, bool with_slash) const {
    const std::size_t first = text_[at] == ' ' && is(at + 1, CharacterClass::kOther) ? at + 1 : at;
    if (!is(first, CharacterClass::kOther)) {
      return at;
    }
    const std::size_t end = skip(first, [&](std::size_t each) { return is(each, CharacterClass::kOther); });
    return skip(end, [&](std::size_t each) { return is_line_end(each) || (with_slash && text_[each] == '/'); });
  }

  // \s*[\r\n]+|\s+(?!\S)|\s+ at a space.
  std::size_t space_end(std::size_t at) const {
    std::size_t last = at;
    std::size_t after_line_end = at;
    std::size_t end = at;
    while (is(end, CharacterClass::kSpace)) {
      last = end;
      end = next(end);
      if (is_line_end(last)) {
        after_line_end = end;
      }
    }
    if (after_line_end > at) {
      return after_line_end;
    }
    return ends(end) || last == at ? end : last;
  }

  std::size_t numbers_end(std::size_t at, unsigned most) const {
    for (unsigned count = 0; count < most && is(at, CharacterClass::kNumber); ++count) {
      at = next(at);
    }
    return at;
  }

private:
  std::string_view text_;
};

std::size_t cl100k_end(const Characters& characters, std::size_t begin, unsigned most_digits) {
  if (const std::size_t end = characters.contraction_end(begin); end > begin) {
    return end;
  }
  const auto is_letter = [&](std::size_t at) { return characters.is(at, CharacterClass::kLetter); };
  if (is_letter(begin)) {
    return characters.skip(begin, is_letter);
  }
  if (characters.may_lead(begin)) {
    if (const std::size_t second = characters.next(begin); is_letter(second)) {
      return characters.skip(second, is_letter);
    }
  }
  if (const std::size_t end = characters.numbers_end(begin, most_digits); end > begin) {
    return end;
  }
  if (const std::size_t end = characters.signs_end(begin, false); end > begin) {
    return end;
  }
  return characters.space_end(begin);
}

// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and [\p{Ll}\p{Lm}\p{Lo}\p{M}]; letters of no case and marks are in both.
struct LetterCase {
  bool is_upper_set = false;
  bool is_lower_set = false;
};

LetterCase letter_case(const Characters& characters, std::size_t at) {
  if (characters.ends(at)) {
    return {};
  }
  const std::uint32_t code_point = characters.code_point(at);
  switch (general_category(code_point)) {
  case GeneralCategory::kUppercaseLetter:
  case GeneralCategory::kTitlecaseLetter:
    return {true, false};
  case GeneralCategory::kLowercaseLetter:
    return {false, true};
  case GeneralCategory::kModifierLetter:
  case GeneralCategory::kOtherLetter:
  case GeneralCategory::kSpacingMark:
  case GeneralCategory::kEnclosingMark:
  case GeneralCategory::kNonspacingMark:
    return {true, true};
  default:
    // Letters newer than the table of categories have no case as far as it knows.
    return class_of_code_point(code_point) == CharacterClass::kLetter ? LetterCase{true, true} : LetterCase{};
  }
}

// Upper*Lower+ from `at` on, as a backtracking engine finds it; `at` where it does not match.
std::size_t lower_word_end(const Characters& characters, std::size_t at) {
  // What both sets hold at the end of Upper* may be given back to Lower+.
  std::size_t upper_end = at;
  std::size_t after_last_shared = at;
  for (LetterCase found = letter_case(characters, upper_end); found.is_upper_set;
       found = letter_case(characters, upper_end)) {
    upper_end = characters.next(upper_end);
    if (found.is_lower_set) {
      after_last_shared = upper_end;
    }
  }
  const std::size_t end =
      characters.skip(upper_end, [&](std::size_t each) { return letter_case(characters, each).is_lower_set; });
  return end > upper_end ? end : after_last_shared;
}

// Upper+Lower* where Upper*Lower+ does not match, so that no lower case letter follows.
std::size_t upper_word_end(const Characters& characters, std::size_t at) {
  return characters.skip(at, [&](std::size_t each) { return letter_case(characters, each).is_upper_set; });
}

std::size_t o200k_end(const Characters& characters, std::size_t begin) {
  const bool may_lead = characters.may_lead(begin);
  for (const auto word_end : {lower_word_end, upper_word_end}) {
    // With the optional first character before without it.
    if (may_lead) {
      const std::size_t second = characters.next(begin);
      if (const std::size_t end = word_end(characters, second); end > second) {
        return characters.contraction_end(end);
      }
    }
    if (const std::size_t end = word_end(characters, begin); end > begin) {
      return characters.contraction_end(end);
    }
  }
  if (const std::size_t end = characters.numbers_end(begin, 3); end > begin) {
    return end;
  }
  if (const std::size_t end = characters.signs_end(begin, true); end > begin) {
    return end;
  }
  return characters.space_end(begin);
}

} // namespace

std::string_view regex_of(SplitPattern pattern) {
  switch (pattern) {
  case SplitPattern::kGpt2:
    return kGpt2Regex;
  case SplitPattern::kCl100k:
    return kCl100kRegex;
  case SplitPattern::kCl100kSingleDigits:
    return kCl100kSingleDigitsRegex;
  case SplitPattern::kO200k:
    return kO200kRegex;
  case SplitPattern::kText:
    break;
  }
  return "";
}

std::optional<SplitPattern> pattern_of_regex(std::string_view regex) {
  for (const SplitPattern pattern :
       {SplitPattern::kGpt2, SplitPattern::kCl100k, SplitPattern::kCl100kSingleDigits, SplitPattern::kO200k}) {
    if (regex_of(pattern) == regex) {
      return pattern;
    }
  }
  return std::nullopt;
}

std::size_t match_end(SplitPattern pattern, std::string_view text, std::size_t begin) {
  switch (pattern) {
  case SplitPattern::kCl100k:
    return cl100k_end(Characters(text), begin, 3);
  case SplitPattern::kCl100kSingleDigits:
    return cl100k_end(Characters(text), begin, 1);
  case SplitPattern::kO200k:
    return o200k_end(Characters(text), begin);
  case SplitPattern::kGpt2:
  case SplitPattern::kText:
    break;
  }
  return PreTokenizer(text).word_end(begin);
}

} // namespace assay
