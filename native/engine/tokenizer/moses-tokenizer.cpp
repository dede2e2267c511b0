// Each rule is one pass over the characters, in sacremoses' order, because every rule reads what the one before wrote.
// Where a rule's pattern spans several characters, a match uses all of them up, as a regular expression's does.
#include "engine/tokenizer/moses-characters.h"
#include "engine/tokenizer/moses.h"

#include <algorithm>
#include <array>
#include <utility>

namespace assay {

namespace {

// A dot of "..", which no further rule looks into; written as a dot again.
constexpr std::uint32_t kDotOfMany = 0x110000;

struct Character {
  std::uint32_t code_point = 0;
  ByteRange source;
  // The byte itself, where it is no part of valid UTF-8; −1 otherwise.
  std::int16_t raw_byte = -1;
};

using Characters = std::vector<Character>;

// A character that the rules put in before what begins at `place`.
Character put_in(char character, std::uint32_t place) {
  return {static_cast<std::uint32_t>(character), {place, place}, -1};
}

void put_space_before(Characters& out, const Character& next) {
  out.push_back(put_in(' ', next.source.begin));
}

void put_space_after(Characters& out, const Character& last) {
  out.push_back(put_in(' ', last.source.end));
}

void put_apart(Characters& out, const Character& each) {
  put_space_before(out, each);
  out.push_back(each);
  put_space_after(out, each);
}

bool is(const Characters& text, std::size_t at, char wanted) {
  return at < text.size() && text[at].code_point == static_cast<std::uint32_t>(wanted);
}

// rule(text, at, out) gives how many characters it has taken and written anew; 0 leaves the one at `at` as it is.
template <typename Rule> void apply(Characters& text, const Rule& rule) {
  Characters out;
  out.reserve(text.size() + text.size() / 4);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t taken = rule(text, at, out);
    if (taken == 0) {
      out.push_back(text[at]);
    }
    at += std::max<std::size_t>(taken, 1);
  }
  text.swap(out);
}

Characters characters_of(const AlignedText& text) {
  Characters characters;
  characters.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code_point = 0;
    const unsigned length = next_character(text.text(), at, code_point);
    const bool is_raw = length == 1 && code_point == kReplacementCharacter;
    const auto byte = static_cast<unsigned char>(text.text()[at]);
    characters.push_back({code_point, text.source(at, at + length), static_cast<std::int16_t>(is_raw ? byte : -1)});
    at += length;
  }
  return characters;
}

std::size_t one_space(const Characters& text, std::size_t at, Characters& out) {
  std::size_t end = at;
  while (end < text.size() && is_moses_space(text[end].code_point)) {
    ++end;
  }
  if (end > at) {
    out.push_back({' ', {text[at].source.begin, text[end - 1].source.end}, -1});
  }
  return end - at;
}

void drop_controls(Characters& text) {
  std::erase_if(text, [](const Character& each) { return each.code_point < 0x20; });
}

void strip(Characters& text) {
  const auto is_text = [](const Character& each) { return each.code_point != ' '; };
  text.erase(std::find_if(text.rbegin(), text.rend(), is_text).base(), text.end());
  text.erase(text.begin(), std::find_if(text.begin(), text.end(), is_text));
}

std::size_t sign_apart(const Characters& text, std::size_t at, Characters& out) {
  const std::uint32_t code_point = text[at].code_point;
  if (is_moses_word_character(code_point) || code_point == ' ' || code_point == '.' || code_point == '\'' ||
      code_point == '`' || code_point == ',' || code_point == '-') {
    return 0;
  }
  put_apart(out, text[at]);
  return 1;
}

// The character after the hyphen is only looked at, so that "a-b-c" is cut twice.
std::size_t hyphen_apart(const Characters& text, std::size_t at, Characters& out) {
  if (!is_moses_word_character(text[at].code_point) || !is(text, at + 1, '-') || at + 2 >= text.size() ||
      !is_moses_word_character(text[at + 2].code_point)) {
    return 0;
  }
  const ByteRange hyphen = text[at + 1].source;
  out.push_back(text[at]);
  out.push_back(put_in(' ', hyphen.begin));
  for (const char each : {'@', '-', '@'}) {
    out.push_back({static_cast<std::uint32_t>(each), hyphen, -1});
  }
  out.push_back(put_in(' ', hyphen.end));
  return 2;
}

std::size_t dots_apart(const Characters& text, std::size_t at, Characters& out) {
  std::size_t end = at;
  while (is(text, end, '.')) {
    ++end;
  }
  if (end - at < 2) {
    return 0;
  }
  put_space_before(out, text[at]);
  for (std::size_t each = at; each < end; ++each) {
    out.push_back({kDotOfMany, text[each].source, -1});
  }
  put_space_after(out, text[end - 1]);
  return end - at;
}

std::size_t comma_after_other(const Characters& text, std::size_t at, Characters& out) {
  if (is_moses_number(text[at].code_point) || !is(text, at + 1, ',')) {
    return 0;
  }
  out.push_back(text[at]);
  put_apart(out, text[at + 1]);
  return 2;
}

std::size_t comma_before_other(const Characters& text, std::size_t at, Characters& out) {
  if (!is(text, at, ',') || at + 1 >= text.size() || is_moses_number(text[at + 1].code_point)) {
    return 0;
  }
  put_apart(out, text[at]);
  out.push_back(text[at + 1]);
  return 2;
}

std::size_t comma_at_the_end(const Characters& text, std::size_t at, Characters& out) {
  if (at + 2 != text.size() || !is_moses_number(text[at].code_point) || !is(text, at + 1, ',')) {
    return 0;
  }
  out.push_back(text[at]);
  put_apart(out, text[at + 1]);
  return 2;
}

// An apostrophe between two characters of these kinds: a word of its own, or the beginning of the word that follows.
template <typename Before, typename After>
void apostrophe(Characters& text, const Before& before, const After& after, bool stands_alone) {
  apply(text, [&](const Characters& in, std::size_t at, Characters& out) -> std::size_t {
    if (at + 2 >= in.size() || !is(in, at + 1, '\'') || !before(in[at].code_point) || !after(in[at + 2].code_point)) {
      return 0;
    }
    out.push_back(in[at]);
    put_space_before(out, in[at + 1]);
    out.push_back(in[at + 1]);
    if (stands_alone) {
      put_space_after(out, in[at + 1]);
    }
    out.push_back(in[at + 2]);
    return 3;
  });
}

void split_apostrophes(Characters& text) {
  const auto is_letter = is_moses_letter;
  const auto is_other = [](std::uint32_t each) { return !is_moses_letter(each); };
  const auto is_neither = [](std::uint32_t each) { return !is_moses_letter(each) && !is_moses_number(each); };
  const auto is_plural = [](std::uint32_t each) { return each == 's'; };
  apostrophe(text, is_other, is_other, true);
  apostrophe(text, is_neither, is_letter, true);
  apostrophe(text, is_letter, is_other, true);
  apostrophe(text, is_letter, is_letter, false);
  apostrophe(text, is_moses_number, is_plural, false);
}

// Abbreviations whose dot ends no sentence: Moses' nonbreaking prefixes of English, beside single capitals.
bool is_abbreviation(std::string_view word) {
  constexpr auto kAbbreviations = std::to_array<std::string_view>(
      {"Adj",    "Adm",  "Adv",  "Apr", "Asst", "Aug",  "Bart", "Bldg", "Brig", "Bros", "Capt", "Cmdr", "Col",
       "Comdr",  "Con",  "Corp", "Cpl", "DR",   "Dec",  "Dr",   "Drs",  "Ens",  "Feb",  "Gen",  "Gov",  "Hon",
       "Hosp",   "Hr",   "Insp", "Jan", "Jul",  "Jun",  "Lt",   "MM",   "MR",   "MRS",  "MS",   "Maj",  "Mar",
       "Messrs", "Mlle", "Mme",  "Mr",  "Mrs",  "Ms",   "Msgr", "Nos",  "Nov",  "Nr",   "Oct",  "Op",   "Ord",
       "Pfc",    "Ph",   "Prof", "Pvt", "Rep",  "Reps", "Res",  "Rev",  "Rs",   "Rt",   "Sen",  "Sens", "Sep",
       "Sfc",    "Sgt",  "Sr",   "St",  "Supt", "Surg", "e.g",  "i.e",  "rev",  "v",    "vs"});
  return (word.size() == 1 && word[0] >= 'A' && word[0] <= 'Z') ||
         std::find(kAbbreviations.begin(), kAbbreviations.end(), word) != kAbbreviations.end();
}

// Those whose dot ends no sentence before a number.
bool is_number_abbreviation(std::string_view word) {
  return word == "No" || word == "Art" || word == "pp";
}

struct Word {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::vector<Word> words_of(const Characters& text) {
  std::vector<Word> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t begin = at;
    while (at < text.size() && text[at].code_point != ' ') {
      ++at;
    }
    if (at > begin) {
      words.push_back({begin, at});
    }
    ++at;
  }
  return words;
}

// Whether the dot at the end of `word` stays with it.
bool keeps_dot(const Characters& text, const Word& word, const Word* next) {
  std::string prefix;
  bool has_dot = false;
  bool has_letter = false;
  for (std::size_t at = word.begin; at + 1 < word.end; ++at) {
    const std::uint32_t code_point = text[at].code_point;
    has_dot = has_dot || code_point == '.';
    has_letter = has_letter || is_moses_letter(code_point);
    // No abbreviation is longer, nor holds anything beyond ASCII.
    if (prefix.size() < 8) {
      prefix.push_back(code_point < 0x80 ? static_cast<char>(code_point) : '?');
    }
  }
  const std::uint32_t first_of_next = next == nullptr ? 0 : text[next->begin].code_point;
  return (has_dot && has_letter) || is_abbreviation(prefix) ||
         (next != nullptr && is_moses_lower_case(first_of_next)) ||
         (is_number_abbreviation(prefix) && first_of_next >= '0' && first_of_next <= '9');
}

void split_last_dots(Characters& text) {
  const std::vector<Word> words = words_of(text);
  Characters out;
  out.reserve(text.size() + words.size());
  for (std::size_t index = 0; index < words.size(); ++index) {
    const Word& word = words[index];
    const Word* const next = index + 1 < words.size() ? &words[index + 1] : nullptr;
    if (index > 0) {
      put_space_before(out, text[word.begin]);
    }
    out.insert(out.end(), text.begin() + static_cast<std::ptrdiff_t>(word.begin),
               text.begin() + static_cast<std::ptrdiff_t>(word.end));
    if (word.end - word.begin > 1 && is(text, word.end - 1, '.') && !keeps_dot(text, word, next)) {
      const Character dot = out.back();
      out.pop_back();
      put_space_before(out, dot);
      out.push_back(dot);
    }
  }
  text.swap(out);
}

// .' at the very end.
void split_last_apostrophe(Characters& text) {
  if (text.size() < 2 || !is(text, text.size() - 2, '.') || !is(text, text.size() - 1, '\'')) {
    return;
  }
  const Character dot = text[text.size() - 2];
  const Character quote = text.back();
  text.resize(text.size() - 2);
  put_apart(text, dot);
  text.push_back(quote);
}

std::string_view entity_of(std::uint32_t code_point) {
  switch (code_point) {
  case '&':
    return "&amp;";
  case '|':
    return "&#124;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '\'':
    return "&apos;";
  case '"':
    return "&quot;";
  case '[':
    return "&#91;";
  case ']':
    return "&#93;";
  case kDotOfMany:
    return ".";
  default:
    return "";
  }
}

AlignedText written(const Characters& text) {
  AlignedText out;
  out.reserve(text.size() + text.size() / 4);
  for (const Character& each : text) {
    if (each.raw_byte >= 0) {
      const char byte = static_cast<char>(each.raw_byte);
      out.put(std::string_view(&byte, 1), each.source);
    } else if (const std::string_view entity = entity_of(each.code_point); !entity.empty()) {
      out.put(entity, each.source);
    } else {
      out.put(each.code_point, each.source);
    }
  }
  return out;
}

} // namespace

void moses_tokenize(AlignedText& text) {
  Characters characters = characters_of(text);
  apply(characters, one_space);
  drop_controls(characters);
  strip(characters);
  apply(characters, sign_apart);
  apply(characters, hyphen_apart);
  apply(characters, dots_apart);
  apply(characters, comma_after_other);
  apply(characters, comma_before_other);
  apply(characters, comma_at_the_end);
  split_apostrophes(characters);
  split_last_dots(characters);
  split_last_apostrophe(characters);
  AlignedText out = written(characters);
  text.swap(out);
}

} // namespace assay
