#include "engine/tokenizer/unigram-seeds.h"

#include "engine/base/utf8.h"
#include "engine/tokenizer/word-key.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace assay {

namespace {

// A place in the table of substrings, and its share of what is built from it.
constexpr std::uint64_t kSubstringBytes = 64;

std::string_view bytes_of(std::u32string_view text) {
  return {reinterpret_cast<const char*>(text.data()), text.size() * sizeof(char32_t)};
}

struct Substring {
  std::uint32_t word = 0;
  std::uint16_t begin = 0;
  std::uint16_t length = 0;
  std::uint64_t count = 0;
  bool is_branching = true; // no longer one to its right occurs as often
};

struct HashOfText {
  std::size_t operator()(std::u32string_view text) const { return hash_bytes(bytes_of(text)); }
};

// Characters by falling count until the coverage is reached; of equal counts the smaller code point first.
std::vector<std::pair<char32_t, std::uint64_t>> choose_characters(const std::vector<CountedWord>& words,
                                                                  double coverage) {
  std::map<char32_t, std::uint64_t> counts;
  std::uint64_t total = 0;
  for (const CountedWord& word : words) {
    for (const char32_t character : word.text) {
      counts[character] += word.count;
      total += word.count;
    }
  }
  std::vector<std::pair<char32_t, std::uint64_t>> ordered(counts.begin(), counts.end());
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::uint64_t covered = 0;
  std::size_t kept = 0;
  while (kept < ordered.size() && static_cast<double>(covered) < coverage * static_cast<double>(total)) {
    covered += ordered[kept++].second;
  }
  ordered.resize(kept);
  return ordered;
}

} // namespace

std::u32string to_code_points(std::string_view text) {
  std::u32string result;
  const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code_point = 0xFFFD;
    const unsigned length = decode_utf8(bytes + at, text.size() - at, code_point);
    result.push_back(length == 0 ? U'\uFFFD' : static_cast<char32_t>(code_point));
    at += std::max(length, 1U);
  }
  return result;
}

std::string to_utf8(std::u32string_view text) {
  std::string result;
  for (const char32_t character : text) {
    append_utf8(result, static_cast<std::uint32_t>(character));
  }
  return result;
}

UnigramSeeds find_seeds(const WordStatistics& statistics, const UnigramTrainOptions& options) {
  UnigramSeeds seeds;
  const std::size_t longest = std::max<std::size_t>(options.longest_piece, 2);
  // A word of n characters has fewer than n · longest substrings; many are shared.
  seeds.gathered = statistics.gather(
      [&](std::string_view word) { return kSubstringBytes * word.size() * std::min(word.size(), longest) / 2; },
      [&](std::string_view word, std::uint64_t count) {
        seeds.words.push_back({to_code_points(word), count});
      });
  std::sort(seeds.words.begin(), seeds.words.end(),
            [](const CountedWord& a, const CountedWord& b) { return a.text < b.text; });

  const auto characters = choose_characters(seeds.words, options.character_coverage);
  std::unordered_set<char32_t> required;
  for (const auto& [character, count] : characters) {
    required.insert(character);
    seeds.pieces.push_back({std::u32string(1, character), static_cast<double>(count)});
  }
  for (const std::string& word : options.protected_words) {
    for (const char32_t character : to_code_points(word)) {
      if (required.insert(character).second) {
        seeds.pieces.push_back({std::u32string(1, character), 1.0});
      }
    }
  }
  seeds.character_count = seeds.pieces.size();

  std::vector<Substring> substrings;
  std::unordered_map<std::u32string_view, std::uint32_t, HashOfText> index_of;
  for (std::uint32_t which = 0; which < seeds.words.size(); ++which) {
    const CountedWord& word = seeds.words[which];
    for (std::size_t begin = 0; begin < word.text.size(); ++begin) {
      for (std::size_t length = 1; length <= longest && begin + length <= word.text.size(); ++length) {
        if (!required.contains(word.text[begin + length - 1])) {
          break;
        }
        if (length == 1) {
          continue;
        }
        const std::u32string_view text = std::u32string_view(word.text).substr(begin, length);
        const auto [found, is_new] = index_of.try_emplace(text, static_cast<std::uint32_t>(substrings.size()));
        if (is_new) {
          substrings.push_back({which, static_cast<std::uint16_t>(begin), static_cast<std::uint16_t>(length), 0, true});
        }
        substrings[found->second].count += word.count;
      }
    }
  }
  const auto text_of = [&](const Substring& each) {
    return std::u32string_view(seeds.words[each.word].text).substr(each.begin, each.length);
  };
  for (const Substring& each : substrings) {
    if (each.length > 2) {
      Substring& shorter = substrings[index_of.at(text_of(each).substr(0, each.length - 1U))];
      shorter.is_branching = shorter.is_branching && shorter.count != each.count;
    }
  }
  std::erase_if(substrings, [](const Substring& each) { return each.count < 2 || !each.is_branching; });
  std::sort(substrings.begin(), substrings.end(), [&](const Substring& a, const Substring& b) {
    const std::uint64_t score_a = a.count * a.length;
    const std::uint64_t score_b = b.count * b.length;
    return score_a != score_b ? score_a > score_b : text_of(a) < text_of(b);
  });
  if (substrings.size() > options.most_seeds) {
    substrings.resize(options.most_seeds);
  }
  for (const Substring& each : substrings) {
    seeds.pieces.push_back({std::u32string(text_of(each)), static_cast<double>(each.count * each.length)});
  }
  double total = 0.0;
  for (const SeedPiece& piece : seeds.pieces) {
    total += piece.score;
  }
  for (SeedPiece& piece : seeds.pieces) {
    piece.score = std::log(piece.score) - std::log(total);
  }
  return seeds;
}

} // namespace assay
