#include "engine/tokenizer/unicode-text.h"

#include "engine/tokenizer/unicode-text.generated.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>
#include <vector>

namespace assay {

namespace {

constexpr std::uint32_t kCodePoints = 0x110000;
constexpr std::uint32_t kHangulFirst = 0xAC00;
constexpr std::uint32_t kHangulCount = 11172;
constexpr std::uint32_t kLeadFirst = 0x1100;
constexpr std::uint32_t kVowelFirst = 0x1161;
constexpr std::uint32_t kTailFirst = 0x11A7;
constexpr std::uint32_t kVowels = 21;
constexpr std::uint32_t kTails = 28;
constexpr std::uint32_t kLeads = 19;

// One byte a code point, in pages of 256 of which equal ones are stored once.
class ByteTable {
public:
  explicit ByteTable(std::span<const std::uint32_t> ranges) : page_of_(kCodePoints >> 8) {
    std::vector<std::uint8_t> page(256);
    std::size_t range = 0;
    for (std::uint32_t code_point = 0; code_point < kCodePoints; ++code_point) {
      while (range + 1 < ranges.size() && (ranges[range + 1] >> 8) <= code_point) {
        ++range;
      }
      page[code_point & 255U] = static_cast<std::uint8_t>(ranges[range] & 255U);
      if ((code_point & 255U) == 255) {
        const auto found = std::find(pages_.begin(), pages_.end(), page);
        page_of_[code_point >> 8] = static_cast<std::uint16_t>(found - pages_.begin());
        if (found == pages_.end()) {
          pages_.push_back(page);
        }
      }
    }
  }

  std::uint8_t operator[](std::uint32_t code_point) const {
    return code_point < kCodePoints ? pages_[page_of_[code_point >> 8]][code_point & 255U] : std::uint8_t{0};
  }

private:
  std::vector<std::uint16_t> page_of_;
  std::vector<std::vector<std::uint8_t>> pages_;
};

// Entries of the form: length << 24 | code point, values …
class Mappings {
public:
  explicit Mappings(std::span<const std::uint32_t> entries) {
    for (std::size_t at = 0; at < entries.size();) {
      const std::size_t length = entries[at] >> 24;
      values_.emplace(entries[at] & 0xFFFFFFU, entries.subspan(at + 1, length));
      at += 1 + length;
    }
  }

  std::span<const std::uint32_t> find(std::uint32_t code_point) const {
    const auto found = values_.find(code_point);
    return found == values_.end() ? std::span<const std::uint32_t>() : found->second;
  }

private:
  std::unordered_map<std::uint32_t, std::span<const std::uint32_t>> values_;
};

std::uint64_t composition_key(std::uint32_t first, std::uint32_t second) {
  return (static_cast<std::uint64_t>(first) << 32) | second;
}

} // namespace

GeneralCategory general_category(std::uint32_t code_point) {
  static const ByteTable table(kCategoryRanges);
  return static_cast<GeneralCategory>(table[code_point]);
}

bool is_word_character(std::uint32_t code_point) {
  switch (general_category(code_point)) {
  case GeneralCategory::kLowercaseLetter:
  case GeneralCategory::kModifierLetter:
  case GeneralCategory::kOtherLetter:
  case GeneralCategory::kTitlecaseLetter:
  case GeneralCategory::kUppercaseLetter:
  case GeneralCategory::kSpacingMark:
  case GeneralCategory::kEnclosingMark:
  case GeneralCategory::kNonspacingMark:
  case GeneralCategory::kDecimalNumber:
  case GeneralCategory::kLetterNumber:
  case GeneralCategory::kConnectorPunctuation:
    return true;
  case GeneralCategory::kOtherSymbol:
    // The circled and squared letters are alphabetic by property, not by category.
    return (code_point >= 0x24B6 && code_point <= 0x24E9) || (code_point >= 0x1F130 && code_point <= 0x1F149) ||
           (code_point >= 0x1F150 && code_point <= 0x1F169) || (code_point >= 0x1F170 && code_point <= 0x1F189);
  default:
    return code_point == 0x200C || code_point == 0x200D;
  }
}

std::span<const std::uint32_t> lower_case(std::uint32_t code_point) {
  static const Mappings mappings(kLowerCase);
  return mappings.find(code_point);
}

unsigned combining_class(std::uint32_t code_point) {
  static const ByteTable table(kCombiningClassRanges);
  return table[code_point];
}

std::span<const std::uint32_t> decompose(std::uint32_t code_point, bool compatibly, std::uint32_t* buffer) {
  static const Mappings canonical(kCanonicalDecompositions);
  static const Mappings compatible(kCompatibleDecompositions);
  // Also of canonical pairs whose parts have compatible mappings: their full form, where it differs.
  static const auto mixed = [] {
    std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> found;
    for (std::size_t at = 0; at < std::size(kCanonicalDecompositions);) {
      const std::uint32_t length = kCanonicalDecompositions[at] >> 24;
      std::vector<std::uint32_t> full;
      bool differs = false;
      for (std::uint32_t part = 0; part < length; ++part) {
        const std::uint32_t value = kCanonicalDecompositions[at + 1 + part];
        const std::span<const std::uint32_t> further = compatible.find(value);
        differs = differs || !further.empty();
        if (further.empty()) {
          full.push_back(value);
        } else {
          full.insert(full.end(), further.begin(), further.end());
        }
      }
      if (differs) {
        found.emplace(kCanonicalDecompositions[at] & 0xFFFFFFU, std::move(full));
      }
      at += 1 + length;
    }
    return found;
  }();
  if (code_point - kHangulFirst < kHangulCount) {
    const std::uint32_t index = code_point - kHangulFirst;
    buffer[0] = kLeadFirst + index / (kVowels * kTails);
    buffer[1] = kVowelFirst + index % (kVowels * kTails) / kTails;
    buffer[2] = kTailFirst + index % kTails;
    return {buffer, index % kTails == 0 ? std::size_t{2} : std::size_t{3}};
  }
  if (compatibly) {
    if (const auto found = mixed.find(code_point); found != mixed.end()) {
      return found->second;
    }
    if (const auto found = compatible.find(code_point); !found.empty()) {
      return found;
    }
  }
  return canonical.find(code_point);
}

std::uint32_t compose(std::uint32_t first, std::uint32_t second) {
  static const auto table = [] {
    std::unordered_map<std::uint64_t, std::uint32_t> pairs;
    for (std::size_t at = 0; at + 2 < std::size(kCompositions); at += 3) {
      pairs.emplace(composition_key(kCompositions[at], kCompositions[at + 1]), kCompositions[at + 2]);
    }
    return pairs;
  }();
  if (first - kLeadFirst < kLeads && second - kVowelFirst < kVowels) {
    return kHangulFirst + ((first - kLeadFirst) * kVowels + (second - kVowelFirst)) * kTails;
  }
  if (first - kHangulFirst < kHangulCount && (first - kHangulFirst) % kTails == 0 && second > kTailFirst &&
      second < kTailFirst + kTails) {
    return first + (second - kTailFirst);
  }
  const auto found = table.find(composition_key(first, second));
  return found == table.end() ? 0 : found->second;
}

} // namespace assay
