#include "engine/model/backward-pass.h"

namespace assay {

namespace {

bool is_trained(const LinearGradients& g) {
  return g.weight != nullptr || g.bias != nullptr || (!g.adapters.empty() && g.adapters.front().a != nullptr);
}

bool is_trained(const BlockGradients& g) {
  return g.norm_1.weight != nullptr || g.norm_2.weight != nullptr || is_trained(g.qkv) ||
         is_trained(g.attention_output) || is_trained(g.up) || is_trained(g.down);
}

bool trains_embeddings(const ModelGradients& g) {
  return g.token_embedding != nullptr || g.position_embedding != nullptr || g.token_type_embedding != nullptr ||
         g.embedding_norm.weight != nullptr;
}

} // namespace

void BackwardPass::linear(const LinearWeights& w, const LinearGradients& g, ConstValues d_output, ConstValues input,
                          Values d_input, ConstValues input_pre_activation, std::uint32_t first_site) const {
  const PhaseTimer timer(p_.phases.linear_backward);
  LinearBackward call{};
  call.d_output = d_output;
  call.input = input;
  call.weight = w.weight;
  call.d_input = d_input;
  call.d_weight = g.weight;
  call.d_bias = g.bias;
  call.rows = rows_;
  call.in = w.in;
  call.out = w.out;
  call.accumulate = accumulate_;
  call.bf16 = p_.bf16;
  if (w.adapters.empty()) {
    call.input_pre_activation = input_pre_activation;
    call.input_activation = p_.config.activation;
    p_.backend.linear_backward(call);
    return;
  }
  p_.backend.linear_backward(call);
  const std::int64_t rank = p_.config.lora.rank;
  const bool drops = p_.drops && p_.config.lora.dropout > 0.0F;
  for (std::size_t i = 0; i < w.adapters.size(); ++i) {
    const AdapterPointers<WeightView>& adapter = w.adapters[i];
    const AdapterPointers<float*>& d_adapter = g.adapters[i];
    const Dropout dropout = p_.dropout(p_.config.lora.dropout, first_site + static_cast<std::uint32_t>(i));
    ConstValues seen = input;
    if (drops) {
      p_.backend.copy_columns(p_.outer.adapter_input, w.in, input, w.in, rows_, w.in, false);
      p_.backend.dropout(p_.outer.adapter_input, rows_, w.in, p_.batch.seq_len, dropout);
      seen = p_.outer.adapter_input;
    }
    // Cheaper to compute again than to keep for every layer.
    LinearForward down{};
    down.input = seen;
    down.weight = adapter.a;
    down.output = p_.outer.adapter_low;
    down.rows = rows_;
    down.in = w.in;
    down.out = rank;
    down.bf16 = p_.bf16;
    p_.backend.linear_forward(down);
    ConstValues d_slice = d_output;
    if (adapter.columns != w.out) {
      p_.backend.copy_columns(p_.outer.adapter_wide, adapter.columns, d_output + adapter.first_column, w.out, rows_,
                              adapter.columns, false);
      d_slice = p_.outer.adapter_wide;
    }
    LinearBackward of_b{};
    of_b.d_output = d_slice;
    of_b.input = p_.outer.adapter_low;
    of_b.weight = adapter.b;
    of_b.d_input = p_.outer.adapter_d_low;
    of_b.d_weight = d_adapter.b;
    of_b.rows = rows_;
    of_b.in = rank;
    of_b.out = adapter.columns;
    of_b.accumulate = accumulate_;
    of_b.scale = p_.adapter_scale();
    of_b.bf16 = p_.bf16;
    p_.backend.linear_backward(of_b);
    LinearBackward of_a{};
    of_a.d_output = p_.outer.adapter_d_low;
    of_a.input = seen;
    of_a.weight = adapter.a;
    of_a.d_weight = d_adapter.a;
    of_a.rows = rows_;
    of_a.in = w.in;
    of_a.out = rank;
    of_a.accumulate = accumulate_;
    of_a.bf16 = p_.bf16;
    if (d_input != nullptr) {
      of_a.d_input = drops ? p_.outer.adapter_wide : d_input;
      of_a.add_to_d_input = !drops;
    }
    p_.backend.linear_backward(of_a);
    if (d_input != nullptr && drops) {
      p_.backend.dropout(p_.outer.adapter_wide, rows_, w.in, p_.batch.seq_len, dropout);
      p_.backend.add(d_input, p_.outer.adapter_wide, rows_ * w.in);
    }
  }
  if (d_input != nullptr && input_pre_activation != nullptr) {
    p_.backend.activation_backward(d_input, input_pre_activation, rows_ * w.in, p_.config.activation);
  }
}

// d_norm (and d_output_2) through the norm, plus d_residual, becomes d_residual; d_branch is what of that reaches the
// branch of the norm's sum.
void BackwardPass::norm(const NormPointers& weights, const NormPointers& gradients, ConstValues input,
                        const float* mean, const float* inverse_deviation, ConstValues d_output_2,
                        ConstValues d_residual, bool has_branch, std::uint32_t site) const {
  const PhaseTimer timer(p_.phases.layer_norm);
  LayerNormBackward call{};
  call.d_output = d_norm_;
  call.input = input;
  call.weight = weights.weight;
  call.mean = mean;
  call.inverse_deviation = inverse_deviation;
  call.d_residual = d_residual;
  call.d_residual_output = b_.d_residual;
  call.d_weight = gradients.weight;
  call.d_bias = gradients.bias;
  call.rows = rows_;
  call.channels = p_.config.d_model;
  call.rows_per_sample = p_.batch.seq_len;
  call.accumulate = accumulate_;
  call.d_output_2 = d_output_2;
  if (has_branch && b_.d_branch != b_.d_residual) {
    call.d_branch = b_.d_branch;
    call.dropout = p_.dropout(p_.config.resid_pdrop, site);
  }
  p_.backend.layer_norm_backward(call);
}

// From d_branch, the gradient of the block's branch, to d_norm, that of the inner layers' input.
void BackwardPass::feed_forward(std::size_t layer, const BlockActivations& a, ConstValues inner_input) const {
  const BlockWeights& w = p_.weights.blocks[layer];
  const BlockGradients& g = g_.blocks[layer];
  if (is_selective_) {
    forward_.feed_forward_again(layer, a);
  }
  linear(w.down, g.down, b_.d_branch, a.inner, b_.d_wide, a.inner_sum,
         adapter_site(p_.config, layer, LinearPlace::kDown, 0));
  linear(w.up, g.up, b_.d_wide, inner_input, d_norm_, nullptr, adapter_site(p_.config, layer, LinearPlace::kUp, 0));
}

// From d_branch, the gradient of attention's branch, to d_wide, that of queries, keys and values.
void BackwardPass::attention(std::size_t layer, const BlockActivations& a) const {
  const ModelConfig& c = p_.config;
  linear(p_.weights.blocks[layer].attention_output, g_.blocks[layer].attention_output, b_.d_branch, a.attention,
         d_norm_, nullptr, adapter_site(c, layer, LinearPlace::kAttentionOutput, 0));
  const PhaseTimer timer(p_.phases.attention_backward);
  AttentionBackward call{};
  call.d_output = d_norm_;
  call.qkv = a.qkv;
  call.output = a.attention;
  call.log_sum_exp = a.log_sum_exp;
  call.d_qkv = b_.d_wide;
  call.batch = p_.batch.batch;
  call.seq_len = p_.batch.seq_len;
  call.heads = c.n_heads;
  call.head_size = c.head_size();
  call.dropout = p_.dropout(c.attn_pdrop, attention_site(layer));
  call.causal = c.is_causal();
  call.key_begin = p_.batch.key_begin;
  call.key_end = p_.batch.key_end;
  // In fp32 whatever the precision: scores decide exponents, and the products are small beside the linear layers.
  p_.backend.attention_backward(call);
}

void BackwardPass::block_norms_before(std::size_t layer, const BlockActivations& a, bool needs_d_input) const {
  const BlockWeights& w = p_.weights.blocks[layer];
  const BlockGradients& g = g_.blocks[layer];
  feed_forward(layer, a, a.norm_2);
  norm(w.norm_2, g.norm_2, a.middle, a.mean_2, a.inverse_deviation_2, nullptr, b_.d_residual, true,
       attention_residual_site(layer));
  attention(layer, a);
  if (is_selective_) {
    forward_.norm_1_again(layer, a);
  }
  const bool needs_norm = needs_d_input || g.norm_1.weight != nullptr;
  linear(w.qkv, g.qkv, b_.d_wide, a.norm_1, needs_norm ? d_norm_ : Values(), nullptr,
         adapter_site(p_.config, layer, LinearPlace::kQkv, 0));
  if (needs_norm) {
    norm(w.norm_1, g.norm_1, a.input, a.mean_1, a.inverse_deviation_1, nullptr, b_.d_residual, layer > 0,
         layer > 0 ? mlp_residual_site(layer - 1) : 0);
  }
}

// In: the gradient of the block's output is d_norm, plus d_residual where there is one. Out: that of its input is
// d_norm plus d_residual.
void BackwardPass::block_norms_after(std::size_t layer, const BlockActivations& a, bool has_residual_gradient) const {
  const BlockWeights& w = p_.weights.blocks[layer];
  const BlockGradients& g = g_.blocks[layer];
  norm(w.norm_2, g.norm_2, a.last, a.mean_2, a.inverse_deviation_2, has_residual_gradient ? b_.d_residual : Values(),
       nullptr, true, mlp_residual_site(layer));
  feed_forward(layer, a, a.norm_1);
  norm(w.norm_1, g.norm_1, a.middle, a.mean_1, a.inverse_deviation_1, b_.d_residual, nullptr, true,
       attention_residual_site(layer));
  attention(layer, a);
  linear(w.qkv, g.qkv, b_.d_wide, a.input, d_norm_, nullptr, adapter_site(p_.config, layer, LinearPlace::kQkv, 0));
}

bool BackwardPass::is_trained_below(std::size_t layer) const {
  if (trains_embeddings(g_)) {
    return true;
  }
  for (std::size_t i = 0; i < layer; ++i) {
    if (is_trained(g_.blocks[i])) {
      return true;
    }
  }
  return false;
}

void BackwardPass::run(const std::vector<Values>& inputs, const std::vector<BlockActivations>& blocks,
                       Recompute recompute) {
  is_selective_ = recompute == Recompute::kSelective;
  const bool norms_after = p_.config.norms_come_after();
  if (!norms_after) {
    norm(p_.weights.final_norm, g_.final_norm, inputs.back(), p_.outer.mean_f, p_.outer.inverse_deviation_f, nullptr,
         nullptr, true, mlp_residual_site(blocks.size() - 1));
  }
  bool has_residual_gradient = false;
  for (std::size_t i = blocks.size(); i-- > 0;) {
    if (!is_trained_below(i + 1)) {
      return;
    }
    if (recompute == Recompute::kFull) {
      // Computing the block again takes d_norm's memory; d_wide's is free between blocks.
      const std::int64_t channels = p_.config.d_model;
      if (norms_after) {
        p_.backend.copy_columns(b_.d_wide, channels, d_norm_, channels, rows_, channels, false);
      }
      forward_.run_block_again(i, blocks[i]);
      if (norms_after) {
        p_.backend.copy_columns(d_norm_, channels, b_.d_wide, channels, rows_, channels, false);
      }
    }
    if (norms_after) {
      block_norms_after(i, blocks[i], has_residual_gradient);
      has_residual_gradient = true;
    } else {
      block_norms_before(i, blocks[i], is_trained_below(i));
    }
  }
  if (trains_embeddings(g_)) {
    embed();
  }
}

void BackwardPass::embed() const {
  const bool norms_after = p_.config.norms_come_after();
  const Dropout dropout = p_.dropout(p_.config.embd_pdrop, kEmbeddingSite);
  if (norms_after) {
    p_.backend.add(d_norm_, b_.d_residual, rows_ * p_.config.d_model);
    p_.backend.dropout(d_norm_, rows_, p_.config.d_model, p_.batch.seq_len, dropout);
    norm(p_.weights.embedding_norm, g_.embedding_norm, p_.outer.embedding_sum, p_.outer.embedding_mean,
         p_.outer.embedding_inverse_deviation, nullptr, nullptr, false, 0);
  }
  const PhaseTimer timer(p_.phases.embedding);
  EmbeddingBackward call{};
  call.tokens = p_.batch.tokens;
  call.d_output = b_.d_residual;
  call.token_order = p_.batch.token_order;
  call.d_token_weight = g_.token_embedding;
  call.d_position_weight = g_.position_embedding;
  call.batch = p_.batch.batch;
  call.seq_len = p_.batch.seq_len;
  call.channels = p_.config.d_model;
  call.positions = p_.batch.positions;
  call.token_types = p_.batch.token_types;
  call.d_token_type_weight = g_.token_type_embedding;
  if (!norms_after) {
    call.dropout = dropout;
  }
  p_.backend.embedding_backward(call);
}

} // namespace assay
