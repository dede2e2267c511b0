// A byte-level BPE tokenizer as a value: the bytes of each token, the merges in rank order, the special tokens. It is
// checked once when it is made and never changes, so that any number of encoders on any threads may share it. Reading
// and writing files is tokenizer-json.h and vocab-and-merges.h; encoding is encoder.h; learning one is bpe-trainer.h.
#pragma once

#include "engine/tokenizer/pair-table.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace assay {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";

class TokenMatcher;

struct Merge {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint32_t result = 0;

  bool operator==(const Merge&) const = default;
};

// A token that stands for itself and never comes from text. The flags are Hugging Face's; they are kept for writing.
struct SpecialToken {
  std::uint32_t id = 0;
  bool single_word = false;
  bool lstrip = false;
  bool rstrip = false;
  bool normalized = false;
};

struct TokenizerParts {
  // Bytes by id; for a special token its text.
  std::vector<std::string> tokens;
  // In rank order.
  std::vector<Merge> merges;
  std::vector<SpecialToken> specials;
  // A word that is a token as it stands is not merged up to (tiktoken's rule; Hugging Face calls it ignore_merges).
  bool ignore_merges = false;
};

class Tokenizer {
public:
  struct RankedMerge {
    std::uint32_t rank = 0;
    std::uint32_t result = 0;
  };

  // `source` names where the parts come from, in messages. Throws TOKENIZER_INVALID: a byte without a token, two tokens
  // of the same bytes, a merge whose parts and result do not fit each other, a special token that is also an ordinary
  // one.
  Tokenizer(TokenizerParts parts, const std::string& source);
  // Not copied, because the index of bytes points into the tokens.
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;
  Tokenizer(Tokenizer&&) = default;
  Tokenizer& operator=(Tokenizer&&) = default;
  ~Tokenizer() = default;

  std::uint32_t vocab_size() const noexcept { return static_cast<std::uint32_t>(parts_.tokens.size()); }
  std::span<const std::string> tokens() const noexcept { return parts_.tokens; }
  std::span<const Merge> merges() const noexcept { return parts_.merges; }
  // By id.
  std::span<const SpecialToken> specials() const noexcept { return parts_.specials; }
  bool is_special(std::uint32_t id) const;
  bool ignore_merges() const noexcept { return parts_.ignore_merges; }
  // Of the special token <|endoftext|>.
  std::optional<std::uint32_t> end_of_text_id() const noexcept { return end_of_text_id_; }

  // Throws BAD_ARGUMENT.
  std::string_view token_bytes(std::uint32_t id) const;
  // Ordinary tokens before special ones.
  std::optional<std::uint32_t> id_of_bytes(std::string_view bytes) const;
  std::uint32_t token_length(std::uint32_t id) const { return lengths_[id]; }

  std::uint32_t id_of_byte(unsigned char byte) const { return byte_ids_[byte]; }
  const RankedMerge* find_merge(std::uint32_t left, std::uint32_t right) const {
    return merge_table_.find(pair_key(left, right));
  }
  // Whether each merge ranks after those that make its parts, as in every trained vocabulary. Words then need no heap.
  bool has_ordered_merges() const noexcept { return has_ordered_merges_; }
  // Made when first asked for, of ordered merges alone. Any thread may ask.
  const TokenMatcher& matcher() const;

  // The bytes of the tokens, one after another; special tokens give their text. Throws BAD_ARGUMENT.
  std::string decode(std::span<const std::uint32_t> ids) const;

private:
  void index_tokens(const std::string& source);
  void index_merges(const std::string& source);

  TokenizerParts parts_;
  std::vector<std::uint32_t> lengths_;
  // Views into parts_.tokens.
  std::unordered_map<std::string_view, std::uint32_t> id_of_bytes_;
  std::uint32_t byte_ids_[256] = {};
  PairTable<RankedMerge> merge_table_;
  std::optional<std::uint32_t> end_of_text_id_;
  bool has_ordered_merges_ = true;
  struct LazyMatcher {
    std::once_flag once;
    std::shared_ptr<const TokenMatcher> matcher;
  };
  std::unique_ptr<LazyMatcher> matcher_ = std::make_unique<LazyMatcher>();
};

} // namespace assay
