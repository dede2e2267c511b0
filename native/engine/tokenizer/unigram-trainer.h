// Learns a unigram language model over pieces (Kudo 2018, "Subword Regularization"), as SentencePiece does: from many
// frequent substrings, expectation-maximization gives each a probability, and those whose loss hurts least are dropped,
// a quarter at a time, until the vocabulary has its size. Characters always stay. The text is to be normalized before
// and cut at white space (WordCut::kWhiteSpace); every word is learned with "▁" before it. The same for any thread
// count.
#pragma once

#include "engine/tokenizer/word-statistics.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace assay {

struct UnigramTrainOptions {
  // Special tokens included.
  std::uint32_t vocab_size = 0;
  // They take the first ids, in this order; the first of them is the unknown token.
  std::vector<std::string> special_tokens = {"<unk>"};
  // They take the last ids.
  std::vector<std::string> last_tokens = {};
  // Share of all characters that get pieces of their own; the rarest others are unknown.
  double character_coverage = 0.9995;
  std::uint32_t most_seeds = 1000000;
  std::uint32_t longest_piece = 16; // characters, "▁" among them
  // Words without "▁" that become pieces whatever their frequency.
  std::vector<std::string> protected_words = {};
  unsigned threads = 1;
  // (pieces dropped, pieces to drop), now and then, on the calling thread.
  std::function<void(std::size_t, std::size_t)> on_progress = {};
};

struct UnigramTrainResult {
  // By id: special tokens (score 0), pieces by falling log probability, of equal ones by their bytes, the last tokens
  // (0).
  std::vector<std::string> pieces;
  std::vector<double> scores;
  std::uint64_t min_word_count = 1;
  std::uint64_t words_left_out = 0;
};

// Throws CORPUS_EMPTY, BAD_ARGUMENT, OUT_OF_MEMORY, or VOCABULARY_TOO_LARGE where the text has too few substrings.
UnigramTrainResult train_unigram(const WordStatistics& words, const UnigramTrainOptions& options);

} // namespace assay
