// What a model is fed: tokens of some sequences of one length, what belongs together in them, and what is to be
// predicted. Spans are on the host and belong to the caller.
#pragma once

#include <cstdint>
#include <span>

namespace assay {

struct Batch {
  std::int64_t batch = 0;
  std::int64_t seq_len = 0;
  std::span<const std::int32_t> tokens;      // (B, T)
  std::span<const std::int32_t> token_types; // (B, T), or empty: all 0
  std::span<const std::int32_t> positions;   // (B, T), or empty: 0 … T − 1
  // (B, T), or empty: one text each. A position attends to the neighbouring positions of its own segment number only;
  // −1 is padding, which nothing attends to.
  std::span<const std::int32_t> segments;
  // Negative: not scored. Language models and token classification (B, T); sequence classification (B); multiple choice
  // (B / choices); span QA (B, 2): first and last position of the answer.
  std::span<const std::int32_t> targets;
  std::span<const std::int32_t> sentence_targets; // (B), pretraining: 1 where the segments were swapped
  std::int64_t choices = 1;                       // multiple choice: neighbouring sequences that belong to one question
};

// Tokens of one sequence without the padding at its end.
std::int64_t length_of_sequence(const Batch& batch, std::int64_t sequence);

// Span QA: how many first and last positions are scored, which those beyond a sequence's text are not.
std::int64_t count_scored_ends(const Batch& batch);

} // namespace assay
