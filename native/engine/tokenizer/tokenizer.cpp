#include "engine/tokenizer/tokenizer.h"

#include "engine/base/error.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/token-matcher.h"

#include <algorithm>

namespace assay {

namespace {

// Ids must leave room for the flags of the encoder's word cache.
constexpr std::size_t kMaxVocabulary = std::size_t{1} << 28;

[[noreturn]] void fail(const std::string& source, const std::string& what) {
  throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": " + what + ".");
}

std::string quote(std::string_view bytes) {
  std::string quoted(1, '"');
  quoted.append(bytes_to_piece(bytes)).push_back('"');
  return quoted;
}

} // namespace

Tokenizer::Tokenizer(TokenizerParts parts, const std::string& source) : parts_(std::move(parts)) {
  if (parts_.tokens.size() >= kMaxVocabulary) {
    fail(source, "it has " + std::to_string(parts_.tokens.size()) + " tokens, more than this build can number");
  }
  std::sort(parts_.specials.begin(), parts_.specials.end(),
            [](const SpecialToken& left, const SpecialToken& right) { return left.id < right.id; });
  index_tokens(source);
  index_merges(source);
}

void Tokenizer::index_tokens(const std::string& source) {
  const std::size_t count = parts_.tokens.size();
  for (std::size_t index = 0; index < parts_.specials.size(); ++index) {
    const std::uint32_t id = parts_.specials[index].id;
    if (id >= count) {
      fail(source,
           "a special token has id " + std::to_string(id) + ", and there are " + std::to_string(count) + " tokens");
    }
    if (index > 0 && parts_.specials[index - 1].id == id) {
      fail(source, "two special tokens have id " + std::to_string(id));
    }
  }
  lengths_.resize(count);
  id_of_bytes_.reserve(count);
  bool has_byte[256] = {};
  for (std::uint32_t id = 0; id < count; ++id) {
    const std::string& bytes = parts_.tokens[id];
    if (bytes.empty()) {
      fail(source, "token " + std::to_string(id) + " is empty");
    }
    lengths_[id] = static_cast<std::uint32_t>(bytes.size());
    if (is_special(id)) {
      continue;
    }
    if (!id_of_bytes_.emplace(bytes, id).second) {
      fail(source, "tokens " + std::to_string(id_of_bytes_.at(bytes)) + " and " + std::to_string(id) + " are both " +
                       quote(bytes));
    }
    if (bytes.size() == 1) {
      const auto byte = static_cast<unsigned char>(bytes[0]);
      byte_ids_[byte] = id;
      has_byte[byte] = true;
    }
  }
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!has_byte[byte]) {
      fail(source, "its vocabulary has no token for byte " + std::to_string(byte) + " (" +
                       quote(std::string(1, static_cast<char>(byte))) + "), so that not every text could be encoded");
    }
  }
  // Files list the pieces of ordinary tokens and the texts of special ones in one vocabulary, so these must differ too.
  std::string bytes;
  for (const SpecialToken& special : parts_.specials) {
    const std::string& text = parts_.tokens[special.id];
    if (piece_to_bytes(text, bytes) && id_of_bytes_.contains(bytes)) {
      fail(source, "the special token \"" + text + "\" is also the ordinary token " +
                       std::to_string(id_of_bytes_.at(bytes)) + "; choose another text for it");
    }
  }
  for (const SpecialToken& special : parts_.specials) {
    const std::string& text = parts_.tokens[special.id];
    id_of_bytes_.emplace(text, special.id);
    if (text == kEndOfText) {
      end_of_text_id_ = special.id;
    }
  }
}

void Tokenizer::index_merges(const std::string& source) {
  const std::size_t count = parts_.tokens.size();
  merge_table_ = PairTable<RankedMerge>(parts_.merges.size());
  // By token: one more than the rank of the merge that makes it; 0 for bytes.
  std::vector<std::uint32_t> made_after(count, 0);
  for (std::size_t index = 0; index < parts_.merges.size(); ++index) {
    const Merge& merge = parts_.merges[index];
    const auto rank = static_cast<std::uint32_t>(index);
    const auto describe = [&] { return "merge " + std::to_string(index); };
    if (merge.left >= count || merge.right >= count || merge.result >= count) {
      fail(source, describe() + " names a token that the vocabulary lacks");
    }
    const std::string& left = parts_.tokens[merge.left];
    const std::string& right = parts_.tokens[merge.right];
    const std::string& result = parts_.tokens[merge.result];
    if (result.size() != left.size() + right.size() || !result.starts_with(left) || !result.ends_with(right)) {
      fail(source, describe() + " makes " + quote(result) + " of " + quote(left) + " and " + quote(right));
    }
    if (is_special(merge.left) || is_special(merge.right) || is_special(merge.result)) {
      fail(source, describe() + " (" + quote(left) + " and " + quote(right) + ") takes part in a special token");
    }
    if (!merge_table_.insert(pair_key(merge.left, merge.right), {rank, merge.result})) {
      fail(source, describe() + " (" + quote(left) + " and " + quote(right) + ") occurs twice");
    }
    if (made_after[merge.result] == 0) {
      made_after[merge.result] = rank + 1;
    } else {
      // A second way to make the same token: its rank no longer bounds what it takes part in.
      has_ordered_merges_ = false;
    }
  }
  for (std::size_t index = 0; index < parts_.merges.size(); ++index) {
    const Merge& merge = parts_.merges[index];
    if (std::max(made_after[merge.left], made_after[merge.right]) > index) {
      has_ordered_merges_ = false;
    }
  }
}

bool Tokenizer::is_special(std::uint32_t id) const {
  const auto found = std::lower_bound(parts_.specials.begin(), parts_.specials.end(), id,
                                      [](const SpecialToken& each, std::uint32_t wanted) { return each.id < wanted; });
  return found != parts_.specials.end() && found->id == id;
}

const TokenMatcher& Tokenizer::matcher() const {
  std::call_once(matcher_->once, [&] { matcher_->matcher = std::make_shared<const TokenMatcher>(*this); });
  return *matcher_->matcher;
}

std::string_view Tokenizer::token_bytes(std::uint32_t id) const {
  if (id >= parts_.tokens.size()) {
    throw Error("BAD_ARGUMENT", "There is no token " + std::to_string(id) + ": the vocabulary has ids 0 to " +
                                    std::to_string(parts_.tokens.size() - 1) + ".");
  }
  return parts_.tokens[id];
}

std::optional<std::uint32_t> Tokenizer::id_of_bytes(std::string_view bytes) const {
  const auto found = id_of_bytes_.find(bytes);
  return found == id_of_bytes_.end() ? std::nullopt : std::optional(found->second);
}

std::string Tokenizer::decode(std::span<const std::uint32_t> ids) const {
  std::string bytes;
  for (const std::uint32_t id : ids) {
    bytes.append(token_bytes(id));
  }
  return bytes;
}

} // namespace assay
