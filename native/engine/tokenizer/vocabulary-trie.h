// Byte strings with ids, found as the prefixes of a text: the pieces of a Unigram vocabulary and added tokens in text.
#pragma once

#include "engine/tokenizer/pair-table.h"

#include <cstdint>
#include <string_view>

namespace assay {

class VocabularyTrie {
public:
  explicit VocabularyTrie(std::size_t expected_bytes = 0) : edges_(expected_bytes) {}

  void insert(std::string_view bytes, std::uint32_t id) {
    std::uint32_t node = 0;
    Edge* last = nullptr;
    for (const char byte : bytes) {
      const std::uint64_t key = pair_key(node, static_cast<unsigned char>(byte));
      if (edges_.find(key) == nullptr) {
        edges_.insert(key, {++nodes_, kNoId});
      }
      last = edges_.find(key);
      node = last->node;
    }
    if (last != nullptr) {
      begins_[static_cast<unsigned char>(bytes[0])] = true;
      if (last->id == kNoId) {
        last->id = id;
      }
    }
  }

  // Calls take(length, id) for each entry that `text` begins with, the shortest first.
  template <typename Take> void for_each_prefix(std::string_view text, const Take& take) const {
    if (text.empty() || !begins_[static_cast<unsigned char>(text[0])]) {
      return;
    }
    std::uint32_t node = 0;
    for (std::size_t index = 0; index < text.size(); ++index) {
      const Edge* next = edges_.find(pair_key(node, static_cast<unsigned char>(text[index])));
      if (next == nullptr) {
        return;
      }
      node = next->node;
      if (next->id != kNoId) {
        take(index + 1, next->id);
      }
    }
  }

private:
  static constexpr std::uint32_t kNoId = ~std::uint32_t{0};

  struct Edge {
    std::uint32_t node = 0;
    // Of the entry that ends here.
    std::uint32_t id = kNoId;
  };

  PairTable<Edge> edges_;
  // Whether any entry begins with the byte: most of a text begins none.
  bool begins_[256] = {};
  std::uint32_t nodes_ = 0;
};

} // namespace assay
