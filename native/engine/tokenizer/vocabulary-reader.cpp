#include "engine/tokenizer/vocabulary-reader.h"

#include "engine/base/error.h"
#include "engine/tokenizer/byte-alphabet.h"

namespace assay {

void VocabularyReader::fail(const std::string& what) const {
  throw Error("TOKENIZER_INVALID", "Cannot read the tokenizer of " + source_ + ": " + what + ".");
}

void VocabularyReader::add_vocabulary(const JsonValue& vocabulary) {
  if (!vocabulary.is_object()) {
    fail(std::string("the vocabulary is ") + vocabulary.kind_name() + " and should be an object of pieces and ids");
  }
  id_of_piece_.reserve(vocabulary.members().size());
  for (const JsonMember& member : vocabulary.members()) {
    if (!member.value.is_unsigned() || member.value.as_unsigned() > 0xFFFFFFFFU) {
      fail("the id of \"" + member.key + "\" is not a whole number of at most 32 bits");
    }
    id_of_piece_.emplace(member.key, static_cast<std::uint32_t>(member.value.as_unsigned()));
  }
}

void VocabularyReader::add_special(const std::string& text, const SpecialToken& special) {
  const auto [found, inserted] = id_of_piece_.emplace(text, special.id);
  if (found->second != special.id) {
    fail("the special token \"" + text + "\" has id " + std::to_string(special.id) + ", but the vocabulary says " +
         std::to_string(found->second));
  }
  specials_.push_back(special);
  special_texts_.push_back(text);
}

const std::uint32_t* VocabularyReader::find_piece(std::string_view piece) const {
  const auto found = id_of_piece_.find(std::string(piece));
  return found == id_of_piece_.end() ? nullptr : &found->second;
}

void VocabularyReader::add_merge(std::string_view left, std::string_view right) {
  joined_.assign(left).append(right);
  Merge merge;
  for (const auto& [piece, id] : {std::pair(left, &merge.left), std::pair(right, &merge.right),
                                  std::pair(std::string_view(joined_), &merge.result)}) {
    const std::uint32_t* found = find_piece(piece);
    if (found == nullptr) {
      fail("merge " + std::to_string(merges_.size()) + " (\"" + std::string(left) + "\" and \"" + std::string(right) +
           "\") needs \"" + std::string(piece) + "\", which the vocabulary lacks");
    }
    *id = *found;
  }
  merges_.push_back(merge);
}

Tokenizer VocabularyReader::finish(bool ignore_merges) && {
  TokenizerParts parts;
  const std::size_t count = id_of_piece_.size();
  parts.tokens.resize(count);
  std::vector<bool> seen(count, false);
  std::vector<bool> special(count, false);
  for (std::size_t index = 0; index < specials_.size(); ++index) {
    if (specials_[index].id < count) {
      special[specials_[index].id] = true;
    }
  }
  for (const auto& [piece, id] : id_of_piece_) {
    // With as many ids as numbers below the count and none twice, none is missing either.
    if (id >= count) {
      fail("\"" + piece + "\" has id " + std::to_string(id) + ", but there are only " + std::to_string(count) +
           " tokens: ids must run from 0 without a gap");
    }
    if (seen[id]) {
      fail("id " + std::to_string(id) + " belongs to two tokens");
    }
    seen[id] = true;
    if (special[id]) {
      parts.tokens[id] = piece;
    } else if (!piece_to_bytes(piece, parts.tokens[id])) {
      fail("\"" + piece + "\" (id " + std::to_string(id) + ") has a character outside the byte-level alphabet");
    }
  }
  parts.merges = std::move(merges_);
  parts.specials = std::move(specials_);
  parts.ignore_merges = ignore_merges;
  return Tokenizer(std::move(parts), source_);
}

} // namespace assay
