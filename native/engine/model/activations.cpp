#include "engine/model/activations.h"

#include <algorithm>

namespace assay {

namespace {

// Hands out places in order, or counts only where there is no base.
class Placer {
public:
  explicit Placer(std::byte* base) : base_(base) {}
  float* floats(std::int64_t count) { return reinterpret_cast<float*>(place(count)); }
  std::int32_t* integers(std::int64_t count) { return reinterpret_cast<std::int32_t*>(place(count)); }
  std::size_t size_bytes() const { return plan_.size_bytes(); }

private:
  std::byte* place(std::int64_t count) {
    const std::size_t offset = plan_.place_values(count);
    return base_ != nullptr ? base_ + offset : nullptr;
  }

  std::byte* base_;
  ArenaPlan plan_;
};

template <class Target> void place_integers(Placer& place, Target& target, std::int64_t rows) {
  target.tokens = place.integers(rows);
  target.token_types = place.integers(rows);
  target.positions = place.integers(rows);
  target.key_begin = place.integers(rows);
  target.key_end = place.integers(rows);
}

void place_adapters(Placer& place, OuterActivations& outer, const ModelConfig& c, std::int64_t rows) {
  outer.adapter_low = outer.adapter_d_low = outer.adapter_wide = outer.adapter_input = nullptr;
  if (c.lora.rank > 0) {
    const std::int64_t wide = rows * std::max(3 * c.d_model, c.d_inner);
    outer.adapter_low = place.floats(rows * c.lora.rank);
    outer.adapter_d_low = place.floats(rows * c.lora.rank);
    outer.adapter_wide = place.floats(wide);
    outer.adapter_input = place.floats(wide);
  }
}

// `wide` has room for 4 · M · C where there is a masked LM, 1 · M · C for token classification.
void place_head(Placer& place, HeadActivations& head, const ModelConfig& c, std::int64_t batch, std::int64_t rows,
                float* wide, bool training) {
  const std::int64_t narrow = rows * c.d_model;
  const auto slice = [&](std::int64_t index) { return wide != nullptr ? wide + index * narrow : nullptr; };
  head.gathered = slice(0);
  head.transform_sum = head.transformed = head.normed = nullptr;
  head.mean = head.inverse_deviation = nullptr;
  if (c.has_masked_lm()) {
    head.transform_sum = slice(1);
    head.transformed = slice(2);
    head.normed = slice(3);
    head.mean = place.floats(rows);
    head.inverse_deviation = place.floats(rows);
  }
  head.rows = place.integers(rows);
  head.targets = place.integers(rows);
  head.sequence_rows = place.integers(batch);
  head.small_targets = place.integers(2 * rows);
  head.valid = place.integers(batch);
  const std::int64_t small = c.head_outputs() * (c.has_sequence_head() ? batch : rows);
  head.logits = place.floats(small);
  head.d_logits = training ? place.floats(small) : nullptr;
  head.class_weights = place.floats(std::max<std::int64_t>(c.head_outputs(), 1));
  const std::int64_t pooled = c.has_sequence_head() ? batch * c.d_model : 0;
  head.losses = reinterpret_cast<StepSums*>(place.integers(sizeof(StepSums) / sizeof(std::int32_t)));
  head.pooled_input = place.floats(pooled);
  head.pooled_sum = place.floats(pooled);
  head.pooled = place.floats(pooled);
  head.d_pooled = place.floats(training ? pooled : 0);
}

std::int64_t wide_channels(const ModelConfig& c) {
  return std::max({3 * c.d_model, c.d_inner, c.has_masked_lm() ? 4 * c.d_model : 0});
}

} // namespace

std::size_t TransformerModel::Training::lay_out(const ModelConfig& c, const TrainingOptions& with, std::byte* base) {
  Placer place(base);
  const std::int64_t rows = with.microbatch_size * with.seq_len;
  const std::int64_t narrow = rows * c.d_model;
  const std::int64_t inner_count = rows * c.d_inner;
  place_integers(place, *this, rows);
  outer.embedding_sum = outer.embedding_mean = outer.embedding_inverse_deviation = nullptr;
  if (c.norms_come_after()) {
    outer.embedding_sum = place.floats(narrow);
    outer.embedding_mean = place.floats(rows);
    outer.embedding_inverse_deviation = place.floats(rows);
  }
  const auto layers = static_cast<std::size_t>(c.n_layers);
  inputs.resize(layers + 1);
  for (float*& input : inputs) {
    input = place.floats(narrow);
  }
  blocks.resize(layers);
  for (std::size_t i = 0; i < layers; ++i) {
    BlockActivations& block = blocks[i];
    if (i > 0 && with.recompute) {
      block = blocks[0];
    } else {
      block.norm_1 = place.floats(narrow);
      block.mean_1 = place.floats(rows);
      block.inverse_deviation_1 = place.floats(rows);
      block.qkv = place.floats(3 * narrow);
      block.attention = place.floats(narrow);
      block.log_sum_exp = place.floats(rows * c.n_heads);
      block.middle = place.floats(narrow);
      block.mean_2 = place.floats(rows);
      block.inverse_deviation_2 = place.floats(rows);
      block.inner_sum = place.floats(inner_count);
      block.inner = place.floats(inner_count);
      // Norms after have a second sum where norms before have a second norm's output.
      float* fourth = place.floats(narrow);
      block.norm_2 = c.norms_come_after() ? nullptr : fourth;
      block.last = c.norms_come_after() ? fourth : nullptr;
    }
    block.input = inputs[i];
    if (c.norms_come_after()) {
      block.norm_2 = inputs[i + 1];
    }
  }
  outer.norm_f = outer.mean_f = outer.inverse_deviation_f = nullptr;
  if (c.has_final_norm()) {
    outer.norm_f = place.floats(narrow);
    outer.mean_f = place.floats(rows);
    outer.inverse_deviation_f = place.floats(rows);
  }
  outer.branch = place.floats(narrow);
  place_adapters(place, outer, c, rows);
  d_residual = place.floats(narrow);
  d_branch = c.resid_pdrop > 0.0F ? place.floats(narrow) : d_residual;
  d_wide = place.floats(rows * wide_channels(c));
  place_head(place, head, c, with.microbatch_size, rows, d_wide, true);
  return place.size_bytes();
}

std::size_t TransformerModel::Inference::lay_out(const ModelConfig& c, std::int64_t batch, std::int64_t seq_len,
                                                 std::byte* base) {
  Placer place(base);
  const std::int64_t rows = batch * seq_len;
  const std::int64_t narrow = rows * c.d_model;
  place_integers(place, *this, rows);
  float* residual = place.floats(narrow);
  float* norm = place.floats(narrow);
  float* wide = place.floats(rows * wide_channels(c));
  block = {};
  block.input = residual;
  block.norm_1 = norm;
  block.qkv = wide;
  block.attention = place.floats(narrow);
  block.middle = residual;
  block.norm_2 = c.norms_come_after() ? residual : norm;
  block.inner = wide;
  block.last = norm;
  outer = {};
  outer.embedding_sum = norm;
  outer.norm_f = norm;
  outer.branch = place.floats(narrow);
  place_adapters(place, outer, c, rows);
  place_head(place, head, c, batch, rows, wide, false);
  return place.size_bytes();
}

} // namespace assay
