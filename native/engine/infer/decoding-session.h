// Texts being decoded side by side: keys and values of every position so far, so that a new token costs one position's
// work and not the whole text's, and one reading of the weights serves a token of each text. It runs the layers itself
// on the model's weights and allocates only when it is made.
#pragma once

#include "engine/model/transformer.h"
#include "engine/ops/buffer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

struct SequenceTokens {
  std::int64_t sequence = 0;
  std::span<const std::int32_t> tokens;
};

struct DecodingOptions {
  std::int64_t capacity = 0;   // positions of each sequence, at most the model's context
  std::int64_t sequences = 1;  // side by side
  std::int64_t rows = 0;       // most tokens of one pass; 0: `capacity`
  std::int64_t logit_rows = 0; // most rows of logits at once; 0: `sequences`
};

class DecodingSession {
public:
  // The model outlives the session and keeps its weights while the session lives, or the cache no longer belongs to
  // them. Throws OUT_OF_MEMORY.
  DecodingSession(TransformerModel& model, const DecodingOptions& options);
  DecodingSession(TransformerModel& model, std::int64_t capacity)
      : DecodingSession(model, DecodingOptions{.capacity = capacity}) {}

  std::int64_t capacity() const noexcept { return options_.capacity; }
  std::int64_t most_rows() const noexcept { return options_.rows; }
  std::int64_t most_logit_rows() const noexcept { return options_.logit_rows; }
  std::int64_t position(std::int64_t sequence = 0) const { return positions_[static_cast<std::size_t>(sequence)]; }
  // Forgets a text; its next token is at position 0 again.
  void reset(std::int64_t sequence = 0) { positions_[static_cast<std::size_t>(sequence)] = 0; }

  // A pass reads a prompt or decodes: prompts are many rows, whose products may be of bf16 where the weights are
  // narrower than fp32 or the model computes so; decoded tokens always meet the weights in fp32. So a text does not
  // depend on what was decoded beside it.
  enum class Pass : std::uint8_t { kPrompt, kDecode };

  // Appends tokens, at most most_rows() of them in all; pieces are of different sequences, in rising order. Throws
  // CONTEXT_TOO_LONG when they do not fit, TOKEN_OUT_OF_RANGE for an id outside the vocabulary.
  void append(std::span<const SequenceTokens> pieces, Pass pass);
  // After append(): the logits that follow some of its rows (numbered over all pieces), (rows, V) in the order given,
  // valid until the next call. At most most_logit_rows().
  std::span<const float> logits(std::span<const std::int32_t> rows);

  // Appends tokens of sequence 0, in as many passes as it takes, and returns the logits that follow the last of them.
  std::span<const float> feed(std::span<const std::int32_t> tokens);

private:
  // Neighbouring sequences that append equally many tokens: one call of attention.
  struct Group {
    std::int64_t sequence, sequences, first_row, count;
    std::int64_t longest; // no fewer positions than any of them has then, rounded up
  };

  void check(const SequenceTokens& piece) const;
  void upload(std::span<const SequenceTokens> pieces);
  void run_pass(Pass pass);
  std::uint64_t key_of_pass() const;
  void run_layers(bool bf16);
  void attend(std::size_t layer, bool bf16);
  ConstValues hidden_of(std::span<const std::int32_t> rows);
  void compute_logits(ConstValues hidden, std::int64_t count);

  TransformerModel& model_;
  DecodingOptions options_;
  std::uint64_t identity_; // of this session among all that ever were
  // Products of bf16, for prompts; where activations are bf16 too there is no other way, and all passes take it.
  bool bf16_;
  DataType type_;                       // of activations and caches
  std::vector<std::int32_t> positions_; // of each sequence: where it goes on
  std::vector<Group> groups_;
  std::int64_t row_count_ = 0;
  bool has_logits_ = false; // of every row, in logits_
  std::vector<std::int32_t> host_tokens_, host_positions_;

  Buffer memory_;
  std::int32_t* tokens_ = nullptr;          // (rows)
  std::int32_t* past_ = nullptr;            // (sequences): positions_ before the pass
  std::int32_t* token_positions_ = nullptr; // (rows)
  std::int32_t* logit_indices_ = nullptr;   // (logit rows)
  Values residual_;                         // (rows, C)
  Values norm_;                             // (rows, C)
  Values branch_;                           // (rows, C)
  Values attention_;                        // (rows, C)
  Values wide_;                             // (rows, 3C or inner)
  Values gathered_;                         // (logit rows, C)
  float* logits_ = nullptr;                 // (logit rows, V)
  Values adapter_low_;                      // (rows, rank)
  Values adapter_wide_;                     // (rows, 3C or inner)
  Values caches_;                           // (L, keys and values, sequences, H, capacity, D)
  std::vector<float> host_logits_;
};

} // namespace assay
