// What tokenizer.json and vocab.json + merges.txt have in common: pieces with ids and merges between pieces, gathered
// and turned into checked parts. Internal to the tokenizer's file readers.
#pragma once

#include "engine/base/json.h"
#include "engine/tokenizer/tokenizer.h"

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace assay {

class VocabularyReader {
public:
  explicit VocabularyReader(std::string source) : source_(std::move(source)) {}

  // {piece: id, …}; ids must be 0 to n − 1, each once, after all special tokens have been added too.
  void add_vocabulary(const JsonValue& vocabulary);
  // A special token's text may be in the vocabulary (with the same id) or only here.
  void add_special(const std::string& text, const SpecialToken& special);
  // By piece, in rank order, after the vocabulary.
  void add_merge(std::string_view left, std::string_view right);

  bool has_piece(std::string_view piece) const { return id_of_piece_.contains(std::string(piece)); }
  std::uint32_t id_of_piece(std::string_view piece) const { return id_of_piece_.at(std::string(piece)); }

  Tokenizer finish(bool ignore_merges) &&;

  [[noreturn]] void fail(const std::string& what) const;

private:
  const std::uint32_t* find_piece(std::string_view piece) const;

  std::string source_;
  std::unordered_map<std::string, std::uint32_t> id_of_piece_;
  std::vector<SpecialToken> specials_;
  std::vector<std::string> special_texts_;
  std::vector<Merge> merges_;
  std::string joined_;
};

} // namespace assay
