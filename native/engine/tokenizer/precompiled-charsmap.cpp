#include "engine/tokenizer/precompiled-charsmap.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <cstring>

namespace assay {

namespace {

// Entries of the maps in use have at most a few characters; a longer walk would only serve a hostile file.
constexpr std::size_t kLongestEntry = 128;

bool has_leaf(std::uint32_t unit) {
  return ((unit >> 8) & 1U) != 0;
}

std::uint32_t label(std::uint32_t unit) {
  return unit & (0x80000000U | 0xFFU);
}

std::size_t offset(std::uint32_t unit) {
  return static_cast<std::size_t>(unit >> 10) << ((unit & 0x200U) >> 6);
}

} // namespace

PrecompiledCharsmap::PrecompiledCharsmap(std::string blob, const std::string& source) : blob_(std::move(blob)) {
  std::uint32_t trie_bytes = 0;
  if (blob_.size() >= sizeof trie_bytes) {
    std::memcpy(&trie_bytes, blob_.data(), sizeof trie_bytes);
  }
  if (blob_.size() < sizeof trie_bytes || trie_bytes > blob_.size() - sizeof trie_bytes || trie_bytes % 4 != 0 ||
      trie_bytes == 0) {
    throw Error("TOKENIZER_INVALID", "Cannot read the tokenizer " + source +
                                         ": its precompiled character map does not fit its own size; fetch it again.");
  }
  units_.resize(trie_bytes / 4);
  std::memcpy(units_.data(), blob_.data() + sizeof trie_bytes, trie_bytes);
  texts_begin_ = sizeof trie_bytes + trie_bytes;
  if (const std::string_view texts = std::string_view(blob_).substr(texts_begin_);
      find_invalid_utf8(texts) != texts.size()) {
    throw Error("TOKENIZER_INVALID", "Cannot read the tokenizer " + source +
                                         ": its precompiled character map holds text that is not UTF-8.");
  }
}

std::optional<PrecompiledCharsmap::Match> PrecompiledCharsmap::longest_match(std::string_view text) const {
  std::optional<Match> found;
  std::size_t position = offset(units_[0]);
  for (std::size_t index = 0; index < std::min(text.size(), kLongestEntry); ++index) {
    const auto byte = static_cast<unsigned char>(text[index]);
    position ^= byte;
    if (position >= units_.size() || label(units_[position]) != byte) {
      break;
    }
    const std::uint32_t unit = units_[position];
    position ^= offset(unit);
    if (position >= units_.size()) {
      break;
    }
    if (has_leaf(unit)) {
      const std::size_t at = units_[position] & 0x7FFFFFFFU;
      const std::string_view texts = std::string_view(blob_).substr(texts_begin_);
      if (at < texts.size()) {
        found = Match{index + 1, texts.substr(at, texts.find('\0', at) - at)};
      }
    }
  }
  return found;
}

} // namespace assay
