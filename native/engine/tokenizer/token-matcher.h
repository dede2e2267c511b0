// For merging long words in linear time: the tokens a text begins with, the longest first, and whether two tokens may
// stand side by side. Where merges are in order of rank, the tokens of a word are the only sequence in which each token
// is what merging makes of its bytes and every two neighbours, merged alone, stay those two: the first merge across a
// border, were there one, would also happen in the two alone. So tokens can be found by trying (word-merger.cpp).
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace assay {

class TokenMatcher {
public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  // Of a tokenizer whose merges are in order. It keeps no reference, since tokenizers move.
  explicit TokenMatcher(const Tokenizer& tokenizer);

  // False where the vocabulary is too large to be laid out so (millions of bytes); nothing below may then be called.
  bool is_usable() const noexcept { return is_usable_; }

  struct Match {
    std::uint32_t token = kNone;
    std::uint32_t length = 0;
  };
  // The longest token that `text`, which is not empty, begins with: at least its first byte.
  Match longest(std::string_view text) const {
    std::uint32_t node = first_nodes_[static_cast<unsigned char>(text[0])];
    std::uint32_t entry = nodes_[node];
    std::uint32_t found = node;
    std::uint32_t length = 1;
    for (std::uint32_t index = 1; index < text.size(); ++index) {
      const auto byte = static_cast<unsigned char>(text[index]);
      node = (entry & kChildren) + byte;
      entry = nodes_[node];
      if (entry >> kLabelShift != (kTaken | byte)) {
        break;
      }
      if ((entry & kIsToken) != 0) {
        found = node;
        length = index + 1;
      }
    }
    return {node_tokens_[found], length};
  }

  // The longest token that token `id` begins with, itself excluded; kNone for a byte.
  Match shorter(std::uint32_t id) const { return shorter_[id]; }

  // Whether merging the bytes of the two gives the two again. `tokenizer` is the one this was made of.
  bool stay_apart(const Tokenizer& tokenizer, std::uint32_t left, std::uint32_t right) const {
    return are_apart(tokenizer, left, right, no_limit_);
  }

private:
  // A trie as one array, small enough for the second-level cache. The child of a node by byte b, if it has one, is at
  // children + b and is labelled b; no two nodes have the same `children`, so that no label can be another's.
  // From the lowest bit: children, whether a token ends here, the label, whether the place is taken.
  static constexpr unsigned kLabelShift = 23;
  static constexpr std::uint32_t kIsToken = std::uint32_t{1} << 22;
  static constexpr std::uint32_t kChildren = kIsToken - 1;
  static constexpr std::uint32_t kTaken = 256;

  struct Token {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    // One more than the rank of the merge that makes it; 0 for a byte.
    std::uint32_t made_after = 0;
  };

  bool are_apart(const Tokenizer& tokenizer, std::uint32_t left, std::uint32_t right, std::uint32_t limit) const;
  // The tokens whose bytes merge to themselves, in order of bytes.
  std::vector<std::uint32_t> sound_tokens(const Tokenizer& tokenizer);
  void build_trie(const Tokenizer& tokenizer, std::span<const std::uint32_t> ordered);

  // By hash of a pair: from which rank on, in steps, merges of such pairs come; kNoMerge for none. Small enough to stay
  // in cache, unlike the merges, of which few are then asked for.
  static constexpr std::uint8_t kNoMerge = 255;
  std::vector<std::uint8_t> earliest_;
  std::uint32_t rank_step_ = 1;
  // Above every made_after, and not above kNoMerge steps.
  std::uint32_t no_limit_ = 0;
  std::vector<Token> tokens_;
  std::vector<Match> shorter_;
  std::vector<std::uint32_t> nodes_;
  std::vector<std::uint32_t> node_tokens_;
  bool is_usable_ = true;
  std::uint32_t first_nodes_[256] = {};
};

} // namespace assay
