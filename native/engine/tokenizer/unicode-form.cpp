#include "engine/tokenizer/unicode-form.h"

#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

struct Character {
  std::uint32_t code_point = 0;
  ByteRange source;
  std::uint8_t combining = 0;
  // The byte itself, where it is no part of valid UTF-8; −1 otherwise.
  std::int16_t raw_byte = -1;
};

std::vector<Character> take_apart(const AlignedText& text, std::size_t begin, std::size_t end, bool compatibly) {
  std::vector<Character> characters;
  characters.reserve(end - begin);
  const auto add = [&](std::uint32_t code_point, ByteRange source) {
    characters.push_back({code_point, source, static_cast<std::uint8_t>(combining_class(code_point)), -1});
  };
  for (std::size_t at = begin; at < end;) {
    std::uint32_t code_point = 0;
    const unsigned length = next_character(text.text(), at, code_point);
    const ByteRange source = text.source(at, at + length);
    if (length == 1 && code_point == kReplacementCharacter) {
      const auto byte = static_cast<unsigned char>(text.text()[at]);
      characters.push_back({code_point, source, 0, static_cast<std::int16_t>(byte)});
    } else {
      std::uint32_t buffer[3] = {};
      const std::span<const std::uint32_t> parts = decompose(code_point, compatibly, buffer);
      if (parts.empty()) {
        add(code_point, source);
      }
      for (const std::uint32_t part : parts) {
        add(part, source);
      }
    }
    at += length;
  }
  return characters;
}

// Marks between two starters in the order of their classes, those of one class as they stood.
void order_marks(std::vector<Character>& characters) {
  for (auto at = characters.begin(); at != characters.end();) {
    if (at->combining == 0) {
      ++at;
      continue;
    }
    const auto end = std::find_if(at, characters.end(), [](const Character& each) { return each.combining == 0; });
    std::stable_sort(at, end,
                     [](const Character& left, const Character& right) { return left.combining < right.combining; });
    at = end;
  }
}

void put_together(std::vector<Character>& characters) {
  constexpr std::size_t kNone = ~std::size_t{0};
  std::size_t starter = kNone;
  std::size_t used = 0;
  for (std::size_t index = 0; index < characters.size(); ++index) {
    const Character current = characters[index];
    if (starter != kNone) {
      // Nothing between may have the same class, or be a starter.
      const bool is_next = used == starter + 1;
      const bool is_blocked = !is_next && characters[used - 1].combining >= current.combining;
      const std::uint32_t whole =
          is_blocked || current.raw_byte >= 0 ? 0 : compose(characters[starter].code_point, current.code_point);
      if (whole != 0) {
        Character& target = characters[starter];
        target.code_point = whole;
        target.source = {std::min(target.source.begin, current.source.begin),
                         std::max(target.source.end, current.source.end)};
        continue;
      }
    }
    if (current.combining == 0) {
      starter = current.raw_byte >= 0 ? kNone : used;
    }
    characters[used++] = current;
  }
  characters.resize(used);
}

} // namespace

namespace {

void append_form(const AlignedText& text, std::size_t begin, std::size_t end, UnicodeForm form, AlignedText& out) {
  std::vector<Character> characters =
      take_apart(text, begin, end, form == UnicodeForm::kNfkc || form == UnicodeForm::kNfkd);
  order_marks(characters);
  if (form == UnicodeForm::kNfc || form == UnicodeForm::kNfkc) {
    put_together(characters);
  }
  for (const Character& each : characters) {
    if (each.raw_byte >= 0) {
      const char byte = static_cast<char>(each.raw_byte);
      out.put(std::string_view(&byte, 1), each.source);
    } else {
      out.put(each.code_point, each.source);
    }
  }
}

} // namespace

// ASCII stays as it is, except that a character may take marks that follow it.
void apply_unicode_form(AlignedText& text, UnicodeForm form) {
  const std::string& bytes = text.text();
  const auto is_ascii = [](char byte) { return static_cast<unsigned char>(byte) < 0x80; };
  AlignedText out;
  out.reserve(text.size());
  for (auto at = bytes.begin(); at != bytes.end();) {
    const auto wide = std::find_if_not(at, bytes.end(), is_ascii);
    const auto first = wide == at || wide == bytes.end() ? wide : wide - 1;
    const auto end = std::find_if(wide, bytes.end(), is_ascii);
    const auto index_of = [&](auto place) { return static_cast<std::size_t>(place - bytes.begin()); };
    out.copy(text, index_of(at), index_of(first));
    append_form(text, index_of(first), index_of(end), form, out);
    at = end;
  }
  text.swap(out);
}

} // namespace assay
