// SentencePiece's precompiled character map: a double-array trie of byte strings (as darts-clone lays it out) and the
// texts that replace them. The blob comes from files that nobody vouches for: every step through it is bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class PrecompiledCharsmap {
public:
  // Throws TOKENIZER_INVALID.
  PrecompiledCharsmap(std::string blob, const std::string& source);

  struct Match {
    std::size_t length = 0;
    std::string_view replacement;
  };
  // The longest entry that `text` begins with.
  std::optional<Match> longest_match(std::string_view text) const;
  const std::string& blob() const noexcept { return blob_; }

private:
  std::string blob_;
  std::vector<std::uint32_t> units_;
  std::size_t texts_begin_ = 0;
};

} // namespace assay
