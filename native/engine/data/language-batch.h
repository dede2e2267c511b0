// From windows of running text to what a language model is trained on: the next token, with or without a border between
// documents; or masked tokens and the order of two segments (Devlin et al. 2018; Lan et al., "ALBERT", 2019). What is
// masked is a function of seed, step and place in the batch alone, so a resumed run repeats it.
#pragma once

#include "engine/model/batch.h"

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

struct MaskingOptions {
  double probability = 0.15; // share of a sequence's tokens that is predicted, at least one
  bool whole_word = false;   // all tokens of a word or none
  bool sentence_order = false;
  std::int32_t mask_id = 0, cls_id = 0, sep_id = 0, pad_id = 0;
  std::vector<std::uint8_t> word_starts; // (V): 1 where a token begins a word
  std::vector<std::int32_t> specials;    // never masked, never put in
  std::uint64_t seed = 0;
};

// Throws TRAINING_OPTIONS_INVALID naming the option.
void validate(const MaskingOptions& options, std::int64_t vocab_size);

// Buffers that a batch's spans point into; kept between steps.
class LanguageBatch {
public:
  // `windows` is (batch, seq_len + 1); each token is the target of the one before. Attention and positions start anew
  // at every `end_of_text_id`, which is the last token to predict of one document and the context of the next, as in
  // evaluation.
  Batch causal_documents(std::span<const std::int32_t> windows, std::int64_t batch, std::int64_t seq_len,
                         std::int32_t end_of_text_id);
  // Sequences [CLS] text [SEP], or with sentence order [CLS] first [SEP] second [SEP] where half of the pairs are
  // swapped (target 1), from the beginning of each window. Of the predicted tokens 80 % become [MASK], 10 % a random
  // token, 10 % stay.
  Batch masked(std::span<const std::int32_t> windows, std::int64_t batch, std::int64_t seq_len,
               const MaskingOptions& options, std::int64_t vocab_size, std::uint32_t step, std::uint32_t first_sample);

private:
  void mask_sequence(std::span<std::int32_t> tokens, std::span<std::int32_t> targets, const MaskingOptions& options,
                     std::int64_t vocab_size, std::uint32_t step, std::uint32_t sample);

  std::vector<std::int32_t> tokens_, targets_, token_types_, segments_, positions_, sentence_targets_;
  std::vector<std::uint8_t> is_special_;
  std::vector<std::pair<std::uint32_t, std::pair<std::int32_t, std::int32_t>>> words_; // draw, [begin, end)
};

} // namespace assay
