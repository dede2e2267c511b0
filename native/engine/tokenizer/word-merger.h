// Applies a tokenizer's merges to one word: always the pair of the lowest rank, the leftmost of those, as GPT-2,
// Hugging Face and tiktoken do. Short words are scanned for it. Long ones (sequences, base64, text without spaces) are
// worked off rank by rank in windows that are then joined, so that time grows with their length and memory access stays
// near. Vocabularies whose ranks are out of order take the plain way, a heap. All ways give the same ids.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

using TokenIds = std::vector<std::uint32_t>;

// Keeps its working memory from word to word, so it belongs to one thread at a time.
class WordMerger {
public:
  // The tokenizer must outlive the merger.
  explicit WordMerger(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // Appends the ids of the word. Throws BAD_ARGUMENT for a word of 2 GiB or more.
  void merge(std::string_view word, TokenIds& ids);
  // The same by heap whatever the word: the referee of the faster ways.
  void merge_by_heap(std::string_view word, TokenIds& ids);

private:
  // The symbols of a word as a doubly linked list over the positions of its bytes.
  struct Symbol {
    std::uint32_t id = 0;
    std::uint32_t next = 0;
    std::uint32_t previous = 0;
    // Of the pair with the next symbol; kNoRank where there is nothing to merge or the symbol was taken into another.
    std::uint32_t rank = 0;
  };
  struct BucketEntry {
    std::uint32_t position = 0;
    std::uint32_t next = 0;
  };

  void merge_by_scanning(std::string_view word, TokenIds& ids);
  void merge_by_buckets(std::string_view word, TokenIds& ids);
  void merge_without_windows(std::string_view word, TokenIds& ids);
  bool merge_in_windows(std::string_view word, TokenIds& ids);
  bool join(std::string_view word, std::size_t middle, std::size_t first, TokenIds& ids);
  bool stays_apart(std::uint32_t left, std::uint32_t right);

  void start_list(std::string_view word);
  void append_list(TokenIds& ids) const;
  void rate(std::uint32_t at);
  template <typename Changed> void merge_at(std::uint32_t at, std::uint32_t result, const Changed& changed);

  const Tokenizer& tokenizer_;
  std::vector<Symbol> symbols_;
  // By rank: the newest entry of its bucket, and whether it holds any.
  std::vector<std::uint32_t> bucket_heads_;
  std::vector<std::uint64_t> filled_buckets_;
  std::vector<BucketEntry> bucket_entries_;
  std::vector<std::uint32_t> positions_;
  TokenIds window_;
  TokenIds joint_;
  TokenIds pair_;
  std::string pair_bytes_;
};

} // namespace assay
