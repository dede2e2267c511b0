// What unigram training begins with: the words as code points, the characters that must stay, and the frequent
// substrings.
#pragma once

#include "engine/tokenizer/unigram-trainer.h"

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

struct CountedWord {
  std::u32string text;
  std::uint64_t count = 0;
};

struct SeedPiece {
  std::u32string text;
  double score = 0; // a log probability
};

struct UnigramSeeds {
  std::vector<CountedWord> words; // ordered by their text
  std::vector<SeedPiece> pieces;  // the characters, then substrings by falling frequency · length
  std::size_t character_count = 0;
  WordStatistics::Gathered gathered;
};

UnigramSeeds find_seeds(const WordStatistics& words, const UnigramTrainOptions& options);

std::u32string to_code_points(std::string_view text);
std::string to_utf8(std::u32string_view text);

} // namespace assay
