// What a text becomes: ids and all that a model or a reader of results wants to know of each, and the steps after the
// model: special tokens around one text or two, truncation, padding.
#pragma once

#include "engine/tokenizer/aligned-text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace assay {

inline constexpr std::int32_t kNoWord = -1;

struct TextEncoding {
  std::vector<std::uint32_t> ids;
  std::vector<std::uint32_t> type_ids;
  // 0 for padding.
  std::vector<std::uint8_t> attention_mask;
  // 1 for tokens that stand for no text: put in by the template, or padding.
  std::vector<std::uint8_t> special_tokens_mask;
  // Bytes of the original text; of which one of a pair says `sequences`.
  std::vector<ByteRange> offsets;
  // The number of the word a token is part of; kNoWord for special tokens.
  std::vector<std::int32_t> words;
  // 0 or 1; −1 for special tokens.
  std::vector<std::int8_t> sequences;
  // What truncation cut off, each again at most as long.
  std::vector<TextEncoding> overflow;

  std::size_t size() const noexcept { return ids.size(); }
};

struct TemplatePart {
  enum class Kind : std::uint8_t { kFirst, kSecond, kSpecial };
  Kind kind = Kind::kFirst;
  std::uint32_t type_id = 0;
  // Of kSpecial, which may stand for several tokens.
  std::string name;
  std::vector<std::uint32_t> ids;
};

struct PostProcessor {
  // Empty: the texts as they are, one after another.
  std::vector<TemplatePart> single;
  std::vector<TemplatePart> pair;
  // Takes white space at the ends out of offsets.
  bool trim_offsets = false;
};

enum class TruncationStrategy { kLongestFirst, kOnlyFirst, kOnlySecond };
enum class Side { kRight, kLeft };

struct Truncation {
  std::size_t max_length = 512;
  // Tokens of a text that each further part repeats.
  std::size_t stride = 0;
  TruncationStrategy strategy = TruncationStrategy::kLongestFirst;
  // Where tokens are taken away.
  Side side = Side::kRight;
};

struct Padding {
  // Unset: the longest of the batch.
  std::optional<std::size_t> length;
  std::size_t multiple_of = 1;
  std::uint32_t pad_id = 0;
  std::uint32_t pad_type_id = 0;
  std::string pad_token = "[PAD]";
  Side side = Side::kRight;
};

// Truncates both, then puts the template around them. `second` may be null. Throws BAD_ARGUMENT: a stride that is not
// below the length that is left, or special tokens that alone are too long.
TextEncoding assemble(TextEncoding first, TextEncoding* second, const PostProcessor& processor,
                      const std::optional<Truncation>& truncation, bool add_special_tokens);

// Also the overflow.
void pad(TextEncoding& encoding, const Padding& padding, std::size_t length);
// The length to which a batch of this longest encoding is padded.
std::size_t padded_length(const Padding& padding, std::size_t longest);

} // namespace assay
