// Applies a tokenizer's merges to one word: always the pair of the lowest rank, the leftmost of those, as GPT-2,
// Hugging Face and tiktoken do. Merges in order of rank, which every trained vocabulary has, allow to find the tokens
// by trying from the left, in time that grows with the length and no faster, whatever the word (sequences, base64, text
// without spaces). Vocabularies whose ranks are out of order take the plain way, a heap. Both give the same ids.
#pragma once

#include "engine/tokenizer/token-matcher.h"
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
  // The same by heap whatever the word: the referee of the faster way.
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

  void merge_by_trying(std::string_view word, TokenIds& ids);
  bool stay_apart(std::uint32_t left, std::uint32_t right);

  void start_list(std::string_view word);
  void rate(std::uint32_t at);
  template <typename Changed> void merge_at(std::uint32_t at, std::uint32_t result, const Changed& changed);

  const Tokenizer& tokenizer_;
  const TokenMatcher* matcher_ = nullptr;
  // By position in the word: a bit, taken away where no token goes on.
  std::vector<std::uint64_t> open_;
  // By hash of a pair: the pair and whether it stays apart.
  std::vector<std::uint64_t> verdicts_;
  std::vector<Symbol> symbols_;
};

} // namespace assay
