// A tokenizer of any kind as a value: normalizers, pre-tokenizers, a model, special tokens and decoders, as a foreign
// file describes them. It is checked once when it is made and never changes, so that any number of threads may share
// it. Plain byte-level BPE (as GPT-2 has it) is one kind among them and keeps its own faster encoder, to which
// byte_level() leads.
#pragma once

#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/subword-model.h"
#include "engine/tokenizer/text-decoder.h"
#include "engine/tokenizer/text-encoding.h"
#include "engine/tokenizer/text-normalizer.h"
#include "engine/tokenizer/text-splitter.h"
#include "engine/tokenizer/vocabulary-trie.h"
#include "engine/tokenizer/word-encoder.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct AddedToken {
  std::uint32_t id = 0;
  std::string content;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
  // Stands for no text: found in text only where that is asked for.
  bool special = true;
};

// "pad", "cls", "sep", "mask", "unk", "bos", "eos": the token's text, where a file says it.
using TokenRoles = std::map<std::string, std::string>;

struct TextTokenizerParts {
  // By id, as files write them.
  std::vector<std::string> pieces;
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitterStep> splitter;
  SubwordModel model;
  PostProcessor post_processor;
  std::vector<DecoderStep> decoder;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  TokenRoles roles;
};

struct EncodeOptions {
  bool add_special_tokens = true;
  // Whether the text of a special token in the input is that token. Added tokens that are not special always are.
  bool match_special_tokens = false;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
};

// Of byte-level BPE, as its files write them.
std::vector<std::string> pieces_of(const Tokenizer& tokenizer);

enum class TokenizerKind { kByteBpe, kCharacterBpe, kWordPiece, kUnigram, kWordLevel };

class TextTokenizer {
public:
  // Throws TOKENIZER_INVALID.
  TextTokenizer(TextTokenizerParts parts, const std::string& source);
  // GPT-2's kind: no normalizer, its pre-tokenizer, nothing put around a text.
  explicit TextTokenizer(std::shared_ptr<const Tokenizer> byte_level);
  TextTokenizer(const TextTokenizer&) = delete;
  TextTokenizer& operator=(const TextTokenizer&) = delete;
  ~TextTokenizer();

  TokenizerKind kind() const;
  // Whether a normalizer turns text into lower case.
  bool lowercases() const;
  const TextTokenizerParts& parts() const noexcept { return parts_; }
  std::uint32_t vocab_size() const noexcept { return static_cast<std::uint32_t>(parts_.pieces.size()); }
  // Where texts are cut as GPT-2's are (whatever is put around them); null for every other.
  EncoderPool* byte_level() const noexcept { return byte_level_.get(); }

  // As the file writes it. Throws BAD_ARGUMENT.
  const std::string& piece(std::uint32_t id) const;
  std::optional<std::uint32_t> id_of_piece(std::string_view piece) const;
  // The text a token stands for where that is certain: bytes of byte-level BPE; the piece itself for the other kinds.
  std::string token_bytes(std::uint32_t id) const;
  std::optional<std::uint32_t> id_of_bytes(std::string_view bytes) const;
  // What a token adds to a text that goes on: decode() without regard to what stands before it.
  std::string streamed_bytes(std::uint32_t id) const;
  bool is_special(std::uint32_t id) const;
  // By what the files say, or by the names in use ("[CLS]", "<s>", …).
  std::optional<std::uint32_t> role_id(std::string_view role) const;
  // Whether a token begins a word rather than going on with one.
  bool starts_word(std::uint32_t id) const;

  TextEncoding encode(std::string_view text, const EncodeOptions& options = {}) const;
  TextEncoding encode_pair(std::string_view first, std::string_view second, const EncodeOptions& options = {}) const;
  // The same result for any number of threads. Padded to the longest where `padding` has no length.
  std::vector<TextEncoding> encode_batch(std::span<const std::string_view> texts, const EncodeOptions& options,
                                         unsigned threads) const;
  // Ids alone, nothing put around the texts: what corpora are made of.
  EncodedBatch encode_ids(std::span<const std::string_view> texts, unsigned threads) const;

  std::string decode(std::span<const std::uint32_t> ids, bool skip_special_tokens = false) const;

private:
  class Worker;

  void index(const std::string& source);
  bool cuts_as_gpt2() const;
  std::unique_ptr<Worker> take() const;
  void give_back(std::unique_ptr<Worker> worker) const;

  TextTokenizerParts parts_;
  PieceIds ids_;
  std::vector<bool> special_;
  // Added tokens: those looked for in the original text and those looked for after normalization; by index in parts.
  VocabularyTrie raw_added_;
  VocabularyTrie normalized_added_;
  bool has_added_ = false;
  bool has_normalized_added_ = false;
  std::unique_ptr<WordEncoderFactory> factory_;
  std::unique_ptr<EncoderPool> byte_level_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Worker>> idle_;
};

} // namespace assay
