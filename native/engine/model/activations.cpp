#include "engine/model/activations.h"

#include <algorithm>

namespace assay {

namespace {

// Hands out places in order, or counts only where there is no base.
class Placer {
public:
  Placer(std::byte* base, DataType type) : base_(base), type_(type) {}
  Values values(std::int64_t count) { return {place(static_cast<std::size_t>(count) * size_of(type_)), type_}; }
  float* floats(std::int64_t count) { return reinterpret_cast<float*>(place(static_cast<std::size_t>(count) * 4)); }
  std::int32_t* integers(std::int64_t count) { return reinterpret_cast<std::int32_t*>(floats(count)); }
  StepSums* sums() { return reinterpret_cast<StepSums*>(place(sizeof(StepSums))); }
  Values nothing() const { return {nullptr, type_}; }
  std::size_t size_bytes() const { return plan_.size_bytes(); }

private:
  std::byte* place(std::size_t size_bytes) {
    const std::size_t offset = plan_.place(size_bytes);
    return base_ != nullptr ? base_ + offset : nullptr;
  }

  std::byte* base_;
  DataType type_;
  ArenaPlan plan_;
};

DeviceIntegers place_integers(Placer& place, std::int64_t rows, bool orders_tokens) {
  DeviceIntegers integers{};
  integers.tokens = place.integers(rows);
  integers.token_types = place.integers(rows);
  integers.positions = place.integers(rows);
  integers.key_begin = place.integers(rows);
  integers.key_end = place.integers(rows);
  integers.token_order = orders_tokens ? place.integers(rows) : nullptr;
  return integers;
}

void place_adapters(Placer& place, OuterActivations& outer, const ModelConfig& c, std::int64_t rows) {
  outer.adapter_low = outer.adapter_d_low = outer.adapter_wide = outer.adapter_input = place.nothing();
  if (c.lora.rank > 0) {
    const std::int64_t wide = rows * std::max(3 * c.d_model, c.d_inner);
    outer.adapter_low = place.values(rows * c.lora.rank);
    outer.adapter_d_low = place.values(rows * c.lora.rank);
    outer.adapter_wide = place.values(wide);
    outer.adapter_input = place.values(wide);
  }
}

// `wide` has room for 4 · M · C where there is a masked LM, 1 · M · C for token classification.
void place_head(Placer& place, HeadActivations& head, const ModelConfig& c, std::int64_t batch, std::int64_t rows,
                Values wide, bool training) {
  const std::int64_t narrow = rows * c.d_model;
  const auto slice = [&](std::int64_t index) { return wide != nullptr ? wide + index * narrow : wide; };
  head.gathered = slice(0);
  head.transform_sum = head.transformed = head.normed = place.nothing();
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
  head.logits = place.values(small);
  head.d_logits = training ? place.values(small) : place.nothing();
  head.class_weights = place.floats(std::max<std::int64_t>(c.head_outputs(), 1));
  const std::int64_t pooled = c.has_sequence_head() ? batch * c.d_model : 0;
  head.losses = place.sums();
  head.pooled_input = place.values(pooled);
  head.pooled_sum = place.values(pooled);
  head.pooled = place.values(pooled);
  head.d_pooled = place.values(training ? pooled : 0);
}

std::int64_t wide_channels(const ModelConfig& c) {
  return std::max({3 * c.d_model, c.d_inner, c.has_masked_lm() ? 4 * c.d_model : 0});
}

} // namespace

std::size_t TransformerModel::Training::lay_out(const ModelConfig& c, const TrainingOptions& with, ArenaKind kind,
                                                std::byte* base) {
  Placer place(base, kind.type);
  const std::int64_t rows = with.microbatch_size * with.seq_len;
  const std::int64_t narrow = rows * c.d_model;
  const std::int64_t inner_count = rows * c.d_inner;
  const bool norms_after = c.norms_come_after();
  integers = place_integers(place, rows, kind.orders_tokens);
  outer = {};
  outer.embedding_sum = outer.norm_f = place.nothing();
  if (norms_after) {
    outer.embedding_sum = place.values(narrow);
    outer.embedding_mean = place.floats(rows);
    outer.embedding_inverse_deviation = place.floats(rows);
  }
  const auto layers = static_cast<std::size_t>(c.n_layers);
  inputs.resize(layers + 1);
  for (Values& input : inputs) {
    input = place.values(narrow);
  }
  blocks.resize(layers);
  for (std::size_t i = 0; i < layers; ++i) {
    BlockActivations& block = blocks[i];
    if (i > 0 && with.recompute == Recompute::kFull) {
      block = blocks[0];
    } else {
      // Norms' and the activation's outputs are cheap to compute again from the sums they were made of. Where norms
      // come before, neither norm's output is needed while the other's is.
      const bool keeps_all = i == 0 || with.recompute == Recompute::kNone;
      const bool norms_share = !norms_after && with.recompute == Recompute::kSelective;
      block.norm_1 = keeps_all ? place.values(narrow) : blocks[0].norm_1;
      block.mean_1 = place.floats(rows);
      block.inverse_deviation_1 = place.floats(rows);
      block.qkv = place.values(3 * narrow);
      block.attention = place.values(narrow);
      block.log_sum_exp = place.floats(rows * c.n_heads);
      block.middle = place.values(narrow);
      block.mean_2 = place.floats(rows);
      block.inverse_deviation_2 = place.floats(rows);
      block.inner_sum = place.values(inner_count);
      block.inner = keeps_all ? place.values(inner_count) : blocks[0].inner;
      block.last = norms_after ? place.values(narrow) : place.nothing();
      block.norm_2 = norms_share ? block.norm_1 : norms_after ? place.nothing() : place.values(narrow);
    }
    block.input = inputs[i];
    if (norms_after) {
      block.norm_2 = inputs[i + 1];
    }
  }
  if (c.has_final_norm()) {
    outer.norm_f = place.values(narrow);
    outer.mean_f = place.floats(rows);
    outer.inverse_deviation_f = place.floats(rows);
  }
  outer.branch = place.values(narrow);
  place_adapters(place, outer, c, rows);
  d_residual = place.values(narrow);
  d_branch = c.resid_pdrop > 0.0F ? place.values(narrow) : d_residual;
  d_wide = place.values(rows * wide_channels(c));
  place_head(place, head, c, with.microbatch_size, rows, d_wide, true);
  return place.size_bytes();
}

std::size_t TransformerModel::Inference::lay_out(const ModelConfig& c, std::int64_t batch, std::int64_t seq_len,
                                                 ArenaKind kind, std::byte* base) {
  Placer place(base, kind.type);
  const std::int64_t rows = batch * seq_len;
  const std::int64_t narrow = rows * c.d_model;
  integers = place_integers(place, rows, false);
  const Values residual = place.values(narrow);
  const Values norm = place.values(narrow);
  const Values wide = place.values(rows * wide_channels(c));
  block = {};
  block.input = residual;
  block.norm_1 = norm;
  block.qkv = wide;
  block.attention = place.values(narrow);
  block.middle = residual;
  block.norm_2 = c.norms_come_after() ? residual : norm;
  block.inner = wide;
  block.inner_sum = place.nothing();
  block.last = norm;
  outer = {};
  outer.embedding_sum = norm;
  outer.norm_f = norm;
  outer.branch = place.values(narrow);
  place_adapters(place, outer, c, rows);
  place_head(place, head, c, batch, rows, wide, false);
  return place.size_bytes();
}

} // namespace assay
