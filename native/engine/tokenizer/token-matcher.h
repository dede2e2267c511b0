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

  // The longest token that `text`, which is not empty, begins with: at least its first byte.
  std::uint32_t longest(std::string_view text) const {
    std::uint32_t node = first_nodes_[static_cast<unsigned char>(text[0])];
    std::uint32_t found = nodes_[node].token;
    for (std::size_t index = 1; index < text.size(); ++index) {
      const std::uint32_t next = nodes_[node].children + static_cast<unsigned char>(text[index]);
      if (nodes_[next].parent != node) {
        break;
      }
      node = next;
      if (nodes_[node].token != kNone) {
        found = nodes_[node].token;
      }
    }
    return found;
  }

  // The longest token that token `id` begins with, itself excluded; kNone for a byte.
  std::uint32_t shorter(std::uint32_t id) const { return tokens_[id].shorter; }
  std::uint32_t length(std::uint32_t id) const { return tokens_[id].length; }

  // Whether merging the bytes of the two gives the two again. `tokenizer` is the one this was made of.
  bool stay_apart(const Tokenizer& tokenizer, std::uint32_t left, std::uint32_t right) const {
    return are_apart(tokenizer, left, right, kNone);
  }

private:
  // A trie as one array: the child of a node by byte b, if it has one, is at children + b and names its parent.
  struct Node {
    std::uint32_t parent = kNone;
    std::uint32_t children = 0;
    std::uint32_t token = kNone;
  };
  struct Token {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    // One more than the rank of the merge that makes it; 0 for a byte.
    std::uint32_t made_after = 0;
    std::uint32_t shorter = kNone;
    std::uint32_t length = 0;
  };

  bool are_apart(const Tokenizer& tokenizer, std::uint32_t left, std::uint32_t right, std::uint32_t limit) const;
  // The tokens whose bytes merge to themselves, in order of bytes.
  std::vector<std::uint32_t> sound_tokens(const Tokenizer& tokenizer);
  void build_trie(const Tokenizer& tokenizer, std::span<const std::uint32_t> ordered);

  // Bits by hash of a pair: 0 means that no merge takes it. Small enough to stay in cache, unlike the merges.
  std::vector<std::uint64_t> filter_;
  std::size_t filter_mask_ = 0;
  std::vector<Token> tokens_;
  std::vector<Node> nodes_;
  std::uint32_t first_nodes_[256] = {};
};

} // namespace assay
