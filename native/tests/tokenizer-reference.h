// What the tokenizer tests compare with: pre-tokenization as the pattern reads, an encoder that tries every pair each
// time, a trainer that counts everything anew after each merge; and texts that are hard on all of them.
#pragma once

#include "engine/base/utf8.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/merge-learner.h"
#include "engine/tokenizer/pre-tokenizer.h"
#include "engine/tokenizer/tokenizer.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace assay::test {

struct ReferenceCharacter {
  CharacterClass kind = CharacterClass::kOther;
  std::string bytes;
};

inline std::vector<ReferenceCharacter> reference_characters(std::string_view text) {
  std::vector<ReferenceCharacter> characters;
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code_point = 0;
    const unsigned length =
        decode_utf8(reinterpret_cast<const unsigned char*>(text.data()) + at, text.size() - at, code_point);
    const CharacterClass kind = length == 0 ? CharacterClass::kOther : class_of_code_point(code_point);
    characters.push_back({kind, std::string(text.substr(at, std::max(length, 1U)))});
    at += std::max(length, 1U);
  }
  return characters;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+, alternative by alternative.
inline std::vector<std::string> reference_words(std::string_view text) {
  const std::vector<ReferenceCharacter> characters = reference_characters(text);
  const std::size_t count = characters.size();
  const auto run_end = [&](std::size_t at, CharacterClass kind) {
    while (at < count && characters[at].kind == kind) {
      ++at;
    }
    return at;
  };
  const auto match = [&](std::size_t begin) {
    for (const std::string_view ending : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      std::string ahead;
      for (std::size_t at = begin; at < count && ahead.size() < ending.size(); ++at) {
        ahead += characters[at].bytes;
      }
      if (ahead == ending) {
        return begin + ending.size();
      }
    }
    for (const CharacterClass kind : {CharacterClass::kLetter, CharacterClass::kNumber, CharacterClass::kOther}) {
      const std::size_t first = characters[begin].bytes == " " ? begin + 1 : begin;
      if (const std::size_t end = run_end(first, kind); end > first) {
        return end;
      }
    }
    // \s+(?!\S): the longest run of spaces, shortened until no non-space follows.
    const std::size_t spaces = run_end(begin, CharacterClass::kSpace);
    for (std::size_t end = spaces; end > begin; --end) {
      if (end == count || characters[end].kind == CharacterClass::kSpace) {
        return end;
      }
    }
    return spaces;
  };
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < count;) {
    const std::size_t end = match(begin);
    std::string word;
    for (std::size_t at = begin; at < end; ++at) {
      word += characters[at].bytes;
    }
    words.push_back(word);
    begin = end;
  }
  return words;
}

// Takes the pair of the lowest rank, the leftmost of those, until none is left.
inline std::vector<std::uint32_t> reference_merge(const Tokenizer& tokenizer, std::string_view word) {
  std::vector<std::uint32_t> symbols;
  for (const char byte : word) {
    symbols.push_back(tokenizer.id_of_byte(static_cast<unsigned char>(byte)));
  }
  for (;;) {
    const Tokenizer::RankedMerge* best = nullptr;
    std::size_t best_at = 0;
    for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
      const Tokenizer::RankedMerge* merge = tokenizer.find_merge(symbols[at], symbols[at + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        best_at = at;
      }
    }
    if (best == nullptr) {
      return symbols;
    }
    symbols[best_at] = best->result;
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

inline std::vector<std::uint32_t> reference_encode(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::uint32_t> ids;
  for (const std::string& word : reference_words(text)) {
    const std::vector<std::uint32_t> own = reference_merge(tokenizer, word);
    ids.insert(ids.end(), own.begin(), own.end());
  }
  return ids;
}

// Counts every pair of every word before each merge; ties go to the smaller left id, then the smaller right id.
inline std::vector<LearnedMerge> reference_learn(const std::map<std::string, std::uint64_t>& words,
                                                 std::size_t max_merges, std::uint64_t min_frequency) {
  std::vector<std::pair<std::vector<std::uint32_t>, std::uint64_t>> split;
  for (const auto& [word, count] : words) {
    std::vector<std::uint32_t> symbols;
    for (const char byte : word) {
      symbols.push_back(kIdOfByte[static_cast<unsigned char>(byte)]);
    }
    split.emplace_back(symbols, count);
  }
  std::vector<LearnedMerge> merges;
  while (merges.size() < max_merges) {
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> counts;
    for (const auto& [symbols, count] : split) {
      for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
        counts[{symbols[at], symbols[at + 1]}] += count;
      }
    }
    const auto best = std::max_element(counts.begin(), counts.end(), [](const auto& left, const auto& right) {
      return left.second != right.second ? left.second < right.second : left.first > right.first;
    });
    if (best == counts.end() || best->second < std::max<std::uint64_t>(min_frequency, 1)) {
      break;
    }
    const auto made = static_cast<std::uint32_t>(256 + merges.size());
    merges.push_back({{best->first.first, best->first.second, made}, best->second});
    for (auto& [symbols, count] : split) {
      for (std::size_t at = 0; at + 1 < symbols.size(); ++at) {
        if (symbols[at] == best->first.first && symbols[at + 1] == best->first.second) {
          symbols[at] = made;
          symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
      }
    }
  }
  return merges;
}

class TextMaker {
public:
  explicit TextMaker(std::uint32_t seed) : random_(seed) {}

  std::uint32_t below(std::uint32_t bound) {
    return std::uniform_int_distribution<std::uint32_t>(0, bound - 1)(random_);
  }

  // Pieces that begin, end or look like words in awkward ways, code points from everywhere, and now and then raw bytes.
  std::string nasty(std::size_t pieces, bool with_invalid_bytes) {
    static const std::vector<std::string> kPieces = {" ",
                                                     " ",
                                                     "  ",
                                                     "\n",
                                                     "\r\n",
                                                     "\t",
                                                     "\v\f",
                                                     "\u00A0",
                                                     "\u2003",
                                                     "\u3000",
                                                     "\u0085",
                                                     "\uFEFF",
                                                     "\u200B",
                                                     "\u2028",
                                                     "'s",
                                                     "'S",
                                                     "'t",
                                                     "'re",
                                                     "'ve",
                                                     "'m",
                                                     "'ll",
                                                     "'d",
                                                     "'",
                                                     "''",
                                                     "'l",
                                                     "'r",
                                                     "\u2019s",
                                                     "a",
                                                     "Z",
                                                     "word",
                                                     "\u00E9",
                                                     "e\u0301",
                                                     "\u00DF",
                                                     "\uFB01",
                                                     "\u4E2D\u6587",
                                                     "\u65E5\u672C\u8A9E",
                                                     "\u0916\u094D\u0930",
                                                     "1",
                                                     "42",
                                                     "\u00B2",
                                                     "\u2167",
                                                     "\u0663",
                                                     "\u00BD",
                                                     "!",
                                                     "--",
                                                     "...",
                                                     "_",
                                                     "\U0001F600",
                                                     "\U0001F469\u200D\U0001F52C",
                                                     "\U0001F1E9\U0001F1EA",
                                                     "\U0001D518",
                                                     "\U00020000",
                                                     "\U000E0041",
                                                     "\u0300",
                                                     "<|endoftext|>",
                                                     "IL-2R\u03B1",
                                                     "\u03B2-blocker",
                                                     std::string(1, '\0'),
                                                     "\x01",
                                                     "\x1C",
                                                     "\x7F"};
    std::string text;
    for (std::size_t index = 0; index < pieces; ++index) {
      const std::uint32_t choice = below(100);
      if (choice < 80) {
        text += kPieces[below(static_cast<std::uint32_t>(kPieces.size()))];
      } else if (choice < 95 || !with_invalid_bytes) {
        std::uint32_t code_point = below(0x3000);
        if (choice % 3 == 0) {
          code_point = below(0x10F800);
          code_point += code_point >= 0xD800 ? 0x800 : 0;
        }
        append_utf8(text, code_point);
      } else {
        text.push_back(static_cast<char>(below(256)));
      }
    }
    return text;
  }

  std::string from_alphabet(std::string_view alphabet, std::size_t length) {
    std::string text;
    for (std::size_t index = 0; index < length; ++index) {
      text.push_back(alphabet[below(static_cast<std::uint32_t>(alphabet.size()))]);
    }
    return text;
  }

  // Prose enough that a trainer finds words, endings and repetitions.
  std::string prose(std::size_t words) {
    static const std::vector<std::string> kWords = {
        "the",     "patients",  "patient",   "with", "treatment", "treated", "inhibitor",
        "inhibit", "kinase",    "kinases",   "of",   "in",        "and",     "expression",
        "express", "expressed", "0.05",      "p",    "<",         "(n=12)",  "cells",
        "cell",    "T-cell",    "caf\u00E9", "aaaa", "aaa",       "banana",  "\u03B1-synuclein"};
    std::string text;
    for (std::size_t index = 0; index < words; ++index) {
      text += kWords[below(static_cast<std::uint32_t>(kWords.size()))];
      text += below(12) == 0 ? ".\n" : " ";
    }
    return text;
  }

private:
  std::mt19937 random_;
};

} // namespace assay::test
