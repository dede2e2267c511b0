// The models that cut a word into tokens, as data. What each is: WordPiece (Schuster and Nakajima 2012, as BERT has
// it), BPE over characters (Sennrich et al. 2016), Unigram (Kudo 2018), whole words, and byte-level BPE, whose own
// class is Tokenizer. Encoding with one is word-encoder.h.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

namespace assay {

inline constexpr std::uint32_t kNoToken = 0xFFFFFFFFU;

struct WordPieceModel {
  std::string unknown_token = "[UNK]";
  std::string continuing_prefix = "##";
  // Longer words are unknown as a whole.
  std::size_t max_word_characters = 100;
};

struct UnigramModel {
  // Log probabilities by id.
  std::vector<double> scores;
  std::optional<std::uint32_t> unknown_id;
  bool byte_fallback = false;
};

struct CharacterBpeModel {
  struct RankedMerge {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint32_t result = 0;
    // Lower first; of equal ones the leftmost.
    std::uint32_t rank = 0;
  };
  // What merges work on; the token of each, or kNoToken. In most files the symbols are the vocabulary itself.
  std::vector<std::string> symbols;
  std::vector<std::uint32_t> token_of_symbol;
  std::vector<RankedMerge> merges;
  std::optional<std::uint32_t> unknown_id;
  std::string continuing_prefix;
  std::string end_of_word_suffix;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
};

struct WordLevelModel {
  std::string unknown_token = "[UNK]";
};

using SubwordModel =
    std::variant<WordPieceModel, UnigramModel, CharacterBpeModel, WordLevelModel, std::shared_ptr<const Tokenizer>>;

} // namespace assay
