// Learns a WordPiece vocabulary as Hugging Face's trainer does: characters are the first symbols, one that goes on a
// word is another symbol than the same one at its beginning ("##x"), and the most frequent pair of neighbours becomes a
// symbol until the vocabulary is full. Only the pieces are kept: encoding takes the longest that fits, not the merges.
// The text is to be normalized before and cut at white space (WordCut::kWhiteSpace).
#pragma once

#include "engine/tokenizer/word-statistics.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace assay {

struct WordPieceTrainOptions {
  // Special tokens and characters included.
  std::uint32_t vocab_size = 0;
  std::uint64_t min_frequency = 2;
  // They take the first ids, in this order.
  std::vector<std::string> special_tokens = {};
  // They take the last ids.
  std::vector<std::string> last_tokens = {};
  // The most frequent characters that get pieces; a word with any other is unknown.
  std::uint32_t alphabet_limit = 1000;
  // Normalized words that become pieces whatever their frequency. Their characters join the alphabet.
  std::vector<std::string> protected_words = {};
  // (merges so far, merges wanted), now and then, on the calling thread.
  std::function<void(std::size_t, std::size_t)> on_progress = {};
};

struct WordPieceTrainResult {
  // By id: special tokens, the alphabet by code point ("a" before "##a"), protected words, merged pieces in the order
  // learned, the last tokens. Fewer than asked for where the text has no more pairs that occur often enough.
  std::vector<std::string> pieces;
  std::uint64_t min_word_count = 1;
  std::uint64_t words_left_out = 0;
};

// Throws CORPUS_EMPTY, BAD_ARGUMENT or OUT_OF_MEMORY.
WordPieceTrainResult train_wordpiece(const WordStatistics& words, const WordPieceTrainOptions& options);

} // namespace assay
