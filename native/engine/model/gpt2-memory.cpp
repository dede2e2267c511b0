#include "engine/model/gpt2-memory.h"

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

} // namespace

std::size_t Gpt2Model::Activations::lay_out(const Gpt2Config& c, std::int64_t batch, std::int64_t seq_len,
                                            std::byte* base) {
  Placer place(base);
  const std::int64_t rows = batch * seq_len;
  const std::int64_t narrow = rows * c.d_model;
  const std::int64_t inner_count = rows * c.d_inner;
  tokens = place.integers(rows);
  targets = place.integers(rows);
  embedded = place.floats(narrow);
  layers.resize(static_cast<std::size_t>(c.n_layers));
  for (LayerActivations& layer : layers) {
    layer.norm_1 = place.floats(narrow);
    layer.mean_1 = place.floats(rows);
    layer.inverse_deviation_1 = place.floats(rows);
    layer.qkv = place.floats(3 * narrow);
    layer.attention = place.floats(narrow);
    layer.log_sum_exp = place.floats(rows * c.n_heads);
    layer.residual_middle = place.floats(narrow);
    layer.norm_2 = place.floats(narrow);
    layer.mean_2 = place.floats(rows);
    layer.inverse_deviation_2 = place.floats(rows);
    layer.inner_sum = place.floats(inner_count);
    layer.inner = place.floats(inner_count);
    layer.residual = place.floats(narrow);
  }
  norm_f = place.floats(narrow);
  mean_f = place.floats(rows);
  inverse_deviation_f = place.floats(rows);
  branch = place.floats(narrow);
  d_residual = place.floats(narrow);
  d_branch = c.resid_pdrop > 0.0F ? place.floats(narrow) : d_residual;
  d_wide = place.floats(std::max(3 * narrow, inner_count));
  return place.size_bytes();
}

std::size_t Gpt2Model::Inference::lay_out(const Gpt2Config& c, std::int64_t rows, std::byte* base) {
  Placer place(base);
  tokens = place.integers(rows);
  targets = place.integers(rows);
  residual = place.floats(rows * c.d_model);
  norm = place.floats(rows * c.d_model);
  wide = place.floats(rows * std::max(3 * c.d_model, c.d_inner));
  attention = place.floats(rows * c.d_model);
  branch = place.floats(rows * c.d_model);
  return place.size_bytes();
}

} // namespace assay
