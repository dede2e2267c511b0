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
    for (const char byte : bytes) {
      const std::uint64_t edge = pair_key(node, static_cast<unsigned char>(byte));
      if (const std::uint32_t* next = edges_.find(edge); next != nullptr) {
        node = *next;
      } else {
        edges_.insert(edge, ++nodes_);
        node = nodes_;
      }
    }
    ids_.insert(node, id);
  }

  // Calls take(length, id) for each entry that `text` begins with, the shortest first.
  template <typename Take> void for_each_prefix(std::string_view text, const Take& take) const {
    std::uint32_t node = 0;
    for (std::size_t index = 0; index < text.size(); ++index) {
      const std::uint32_t* next = edges_.find(pair_key(node, static_cast<unsigned char>(text[index])));
      if (next == nullptr) {
        return;
      }
      node = *next;
      if (const std::uint32_t* id = ids_.find(node); id != nullptr) {
        take(index + 1, *id);
      }
    }
  }

private:
  PairTable<std::uint32_t> edges_;
  PairTable<std::uint32_t> ids_;
  std::uint32_t nodes_ = 0;
};

} // namespace assay
