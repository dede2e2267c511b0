#include "engine/tokenizer/word-encoder.h"

#include "engine/base/error.h"
#include "engine/tokenizer/word-merger.h"

namespace assay {

namespace {

class WordLevelEncoder final : public WordEncoder {
public:
  WordLevelEncoder(const PieceIds& ids, std::uint32_t unknown_id) : ids_(ids), unknown_id_(unknown_id) {}

  void encode(std::string_view word, std::vector<WordToken>& tokens) override {
    const auto found = ids_.find(word);
    tokens.push_back({found == ids_.end() ? unknown_id_ : found->second, 0, static_cast<std::uint32_t>(word.size())});
  }

private:
  const PieceIds& ids_;
  std::uint32_t unknown_id_;
};

class ByteBpeEncoder final : public WordEncoder {
public:
  explicit ByteBpeEncoder(const Tokenizer& tokenizer) : tokenizer_(tokenizer), merger_(tokenizer) {}

  void encode(std::string_view word, std::vector<WordToken>& tokens) override {
    ids_.clear();
    merger_.merge(word, ids_);
    std::uint32_t at = 0;
    for (const std::uint32_t id : ids_) {
      const std::uint32_t end = at + tokenizer_.token_length(id);
      tokens.push_back({id, at, end});
      at = end;
    }
  }

private:
  const Tokenizer& tokenizer_;
  WordMerger merger_;
  TokenIds ids_;
};

template <typename Make> class Factory final : public WordEncoderFactory {
public:
  explicit Factory(Make make) : make_(std::move(make)) {}
  std::unique_ptr<WordEncoder> make() const override { return make_(); }

private:
  Make make_;
};

template <typename Make> std::unique_ptr<WordEncoderFactory> factory_of(Make make) {
  return std::make_unique<Factory<Make>>(std::move(make));
}

} // namespace

std::vector<std::uint32_t> byte_fallback_ids(const PieceIds& ids) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  std::vector<std::uint32_t> found;
  for (unsigned byte = 0; byte < 256; ++byte) {
    const char piece[] = {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15U], '>'};
    const auto id = ids.find(std::string_view(piece, sizeof piece));
    if (id == ids.end()) {
      return {};
    }
    found.push_back(id->second);
  }
  return found;
}

std::unique_ptr<WordEncoderFactory> make_word_encoder_factory(const SubwordModel& model,
                                                              std::span<const std::string> pieces, const PieceIds& ids,
                                                              const std::string& source) {
  if (const auto* word_piece = std::get_if<WordPieceModel>(&model)) {
    return make_word_piece_factory(*word_piece, ids, source);
  }
  if (const auto* unigram = std::get_if<UnigramModel>(&model)) {
    return make_unigram_factory(*unigram, pieces, ids, source);
  }
  if (const auto* characters = std::get_if<CharacterBpeModel>(&model)) {
    return make_character_bpe_factory(*characters, ids, source);
  }
  if (const auto* words = std::get_if<WordLevelModel>(&model)) {
    const auto unknown = ids.find(words->unknown_token);
    if (unknown == ids.end()) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source +
                                           ": its vocabulary lacks the unknown token \"" + words->unknown_token +
                                           "\"; add it to the vocabulary.");
    }
    return factory_of([&ids, id = unknown->second] { return std::make_unique<WordLevelEncoder>(ids, id); });
  }
  const auto& bytes = std::get<std::shared_ptr<const Tokenizer>>(model);
  return factory_of([bytes] { return std::make_unique<ByteBpeEncoder>(*bytes); });
}

} // namespace assay
