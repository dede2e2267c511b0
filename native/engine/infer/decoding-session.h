// One text being decoded: keys and values of every position so far, so that a new token costs one position's work and
// not the whole text's. It runs the layers itself on the model's weights and allocates only when it is made.
#pragma once

#include "engine/model/transformer.h"
#include "engine/ops/buffer.h"

#include <cstdint>
#include <span>
#include <vector>

namespace assay {

class DecodingSession {
public:
  // Room for `capacity` positions (at most the model's context). The model outlives the session and keeps its weights
  // while the session lives, or the cache no longer belongs to them. Throws OUT_OF_MEMORY.
  DecodingSession(TransformerModel& model, std::int64_t capacity);

  std::int64_t capacity() const noexcept { return capacity_; }
  std::int64_t position() const noexcept { return position_; }
  // Forgets the text; the next token is at position 0 again.
  void reset() noexcept { position_ = 0; }

  // Appends tokens in one pass and returns the logits that follow the last of them, valid until the next call. Throws
  // CONTEXT_TOO_LONG when they do not fit, TOKEN_OUT_OF_RANGE for an id outside the vocabulary.
  std::span<const float> feed(std::span<const std::int32_t> tokens);

private:
  void check(std::span<const std::int32_t> tokens) const;
  void run_layers(std::int64_t count);

  TransformerModel& model_;
  std::int64_t capacity_;
  std::int64_t position_ = 0;
  Buffer memory_;
  std::int32_t* tokens_ = nullptr;
  float* residual_ = nullptr;     // (count, C)
  float* norm_ = nullptr;         // (count, C)
  float* branch_ = nullptr;       // (count, C)
  float* attention_ = nullptr;    // (count, C)
  float* wide_ = nullptr;         // (count, 3C or inner)
  float* logits_ = nullptr;       // (V)
  float* adapter_low_ = nullptr;  // (count, rank)
  float* adapter_wide_ = nullptr; // (count, 3C or inner)
  float* caches_ = nullptr;       // (L, keys and values, H, capacity, D)
  std::vector<float> host_logits_;
};

} // namespace assay
