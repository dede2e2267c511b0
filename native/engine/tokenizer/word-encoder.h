// Cuts words into tokens by a model. An encoder keeps working memory from word to word, so it belongs to one thread;
// what it was made from may be shared. No model takes more than linear time times a logarithm in the length of a word.
#pragma once

#include "engine/tokenizer/subword-model.h"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace assay {

struct WordToken {
  std::uint32_t id = 0;
  // Bytes of the word; tokens follow one another. Characters that no token stands for may lie between.
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

class WordEncoder {
public:
  WordEncoder() = default;
  WordEncoder(const WordEncoder&) = delete;
  WordEncoder& operator=(const WordEncoder&) = delete;
  virtual ~WordEncoder() = default;
  // Appends the tokens of the word, which is not empty and below 2 GiB.
  virtual void encode(std::string_view word, std::vector<WordToken>& tokens) = 0;
};

// Ids by piece; the pieces outlive it.
using PieceIds = std::unordered_map<std::string_view, std::uint32_t>;

// What encoders of one model share: made once, then read by any number of threads.
class WordEncoderFactory {
public:
  WordEncoderFactory() = default;
  WordEncoderFactory(const WordEncoderFactory&) = delete;
  WordEncoderFactory& operator=(const WordEncoderFactory&) = delete;
  virtual ~WordEncoderFactory() = default;
  virtual std::unique_ptr<WordEncoder> make() const = 0;
};

// `model`, `pieces` and `ids` must outlive the factory. Throws TOKENIZER_INVALID.
std::unique_ptr<WordEncoderFactory> make_word_encoder_factory(const SubwordModel& model,
                                                              std::span<const std::string> pieces, const PieceIds& ids,
                                                              const std::string& source);

// One each; make_word_encoder_factory chooses.
std::unique_ptr<WordEncoderFactory> make_word_piece_factory(const WordPieceModel& model, const PieceIds& ids,
                                                            const std::string& source);
std::unique_ptr<WordEncoderFactory> make_unigram_factory(const UnigramModel& model, std::span<const std::string> pieces,
                                                         const PieceIds& ids, const std::string& source);
std::unique_ptr<WordEncoderFactory> make_character_bpe_factory(const CharacterBpeModel& model, const PieceIds& ids,
                                                               const std::string& source);

// "<0x00>" to "<0xFF>", where the vocabulary has all of them; empty otherwise.
std::vector<std::uint32_t> byte_fallback_ids(const PieceIds& ids);

} // namespace assay
