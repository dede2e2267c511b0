// WordPiece: from the left always the longest piece of the vocabulary; a word of which some part is no piece, or that
// is longer than allowed, is unknown as a whole.
#include "engine/base/error.h"
#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/vocabulary-trie.h"
#include "engine/tokenizer/word-encoder.h"

#include <algorithm>

namespace assay {

namespace {

struct WordPieceTables {
  VocabularyTrie first;
  VocabularyTrie continuing;
  std::size_t max_word_characters = 0;
  std::uint32_t unknown_id = 0;
};

class WordPieceEncoder final : public WordEncoder {
public:
  explicit WordPieceEncoder(const WordPieceTables& tables) : tables_(tables) {}

  void encode(std::string_view word, std::vector<WordToken>& tokens) override {
    const std::size_t before = tokens.size();
    if (!is_too_long(word)) {
      std::size_t begin = 0;
      while (begin < word.size()) {
        const std::size_t length = add_longest(word, begin, tokens);
        if (length == 0) {
          break;
        }
        begin += length;
      }
      if (begin == word.size()) {
        return;
      }
    }
    tokens.resize(before);
    tokens.push_back({tables_.unknown_id, 0, static_cast<std::uint32_t>(word.size())});
  }

private:
  bool is_too_long(std::string_view word) const {
    if (word.size() <= tables_.max_word_characters) {
      return false;
    }
    std::size_t characters = 0;
    std::uint32_t code_point = 0;
    for (std::size_t at = 0; at < word.size() && characters <= tables_.max_word_characters; ++characters) {
      at += next_character(word, at, code_point);
    }
    return characters > tables_.max_word_characters;
  }

  std::size_t add_longest(std::string_view word, std::size_t begin, std::vector<WordToken>& tokens) const {
    const VocabularyTrie& pieces = begin == 0 ? tables_.first : tables_.continuing;
    std::size_t longest = 0;
    std::uint32_t found = 0;
    pieces.for_each_prefix(word.substr(begin), [&](std::size_t length, std::uint32_t id) {
      const std::size_t end = begin + length;
      const bool is_inside_character = end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0U) == 0x80U;
      if (!is_inside_character) {
        longest = length;
        found = id;
      }
    });
    if (longest > 0) {
      tokens.push_back({found, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(begin + longest)});
    }
    return longest;
  }

  const WordPieceTables& tables_;
};

class WordPieceFactory final : public WordEncoderFactory {
public:
  WordPieceFactory(const WordPieceModel& model, const PieceIds& ids, const std::string& source) {
    const auto unknown = ids.find(model.unknown_token);
    if (unknown == ids.end()) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source +
                                           ": its vocabulary lacks the unknown token \"" + model.unknown_token +
                                           "\"; add it to the vocabulary.");
    }
    tables_.unknown_id = unknown->second;
    tables_.max_word_characters = model.max_word_characters;
    for (const auto& [piece, id] : ids) {
      tables_.first.insert(piece, id);
      if (piece.starts_with(model.continuing_prefix) && piece.size() > model.continuing_prefix.size()) {
        tables_.continuing.insert(piece.substr(model.continuing_prefix.size()), id);
      }
    }
  }

  std::unique_ptr<WordEncoder> make() const override { return std::make_unique<WordPieceEncoder>(tables_); }

private:
  WordPieceTables tables_;
};

} // namespace

std::unique_ptr<WordEncoderFactory> make_word_piece_factory(const WordPieceModel& model, const PieceIds& ids,
                                                            const std::string& source) {
  return std::make_unique<WordPieceFactory>(model, ids, source);
}

} // namespace assay
