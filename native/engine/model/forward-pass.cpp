#include "engine/model/forward-pass.h"

namespace assay {

void ForwardPass::linear(const LinearWeights& w, ConstValues input, Values output, Values pre_activation,
                         Activation activation, std::uint32_t first_site) const {
  const PhaseTimer timer(p_.phases.linear_forward);
  LinearForward call{};
  call.input = input;
  call.weight = w.weight;
  call.bias = w.bias;
  call.output = output;
  call.rows = rows_;
  call.in = w.in;
  call.out = w.out;
  call.bf16 = p_.bf16;
  if (w.adapters.empty()) {
    call.pre_activation = pre_activation;
    call.activation = activation;
    p_.backend.linear_forward(call);
    return;
  }
  const Values sum = pre_activation != nullptr ? pre_activation : output;
  call.output = sum;
  p_.backend.linear_forward(call);
  const std::int64_t rank = p_.config.lora.rank;
  for (std::size_t i = 0; i < w.adapters.size(); ++i) {
    const AdapterPointers<WeightView>& adapter = w.adapters[i];
    ConstValues seen = input;
    if (p_.drops && p_.config.lora.dropout > 0.0F) {
      p_.backend.copy_columns(p_.outer.adapter_input, w.in, input, w.in, rows_, w.in, false);
      p_.backend.dropout(p_.outer.adapter_input, rows_, w.in, p_.batch.seq_len,
                         p_.dropout(p_.config.lora.dropout, first_site + static_cast<std::uint32_t>(i)));
      seen = p_.outer.adapter_input;
    }
    LinearForward down{};
    down.input = seen;
    down.weight = adapter.a;
    down.output = p_.outer.adapter_low;
    down.rows = rows_;
    down.in = w.in;
    down.out = rank;
    down.bf16 = p_.bf16;
    p_.backend.linear_forward(down);
    LinearForward up{};
    up.input = p_.outer.adapter_low;
    up.weight = adapter.b;
    up.rows = rows_;
    up.in = rank;
    up.out = adapter.columns;
    up.scale = p_.adapter_scale();
    up.bf16 = p_.bf16;
    const bool is_whole = adapter.columns == w.out;
    up.output = is_whole ? sum : p_.outer.adapter_wide;
    up.add = is_whole;
    p_.backend.linear_forward(up);
    if (!is_whole) {
      p_.backend.copy_columns(sum + adapter.first_column, w.out, p_.outer.adapter_wide, adapter.columns, rows_,
                              adapter.columns, true);
    }
  }
  if (activation != Activation::kNone) {
    p_.backend.activation_forward(output, sum, rows_ * w.out, activation);
  }
}

void ForwardPass::norm(const NormPointers& weights, ConstValues residual, bool with_branch, Values sum, Values output,
                       float* mean, float* inverse_deviation, std::uint32_t site) const {
  const PhaseTimer timer(p_.phases.layer_norm);
  LayerNormForward call{};
  call.residual = residual;
  if (with_branch) {
    call.branch = p_.outer.branch;
    call.residual_output = sum;
  }
  call.weight = weights.weight;
  call.bias = weights.bias;
  call.output = output;
  call.mean = mean;
  call.inverse_deviation = inverse_deviation;
  call.rows = rows_;
  call.channels = p_.config.d_model;
  call.rows_per_sample = p_.batch.seq_len;
  call.epsilon = p_.config.layer_norm_eps;
  if (with_branch) {
    call.dropout = p_.dropout(p_.config.resid_pdrop, site);
  }
  p_.backend.layer_norm_forward(call);
}

void ForwardPass::embed(Values input) const {
  const bool norms_after = p_.config.norms_come_after();
  const Dropout dropout = p_.dropout(p_.config.embd_pdrop, kEmbeddingSite);
  EmbeddingForward call{};
  call.tokens = p_.batch.tokens;
  call.token_weight = p_.weights.token_embedding;
  call.position_weight = p_.weights.position_embedding;
  call.output = norms_after ? p_.outer.embedding_sum : input;
  call.batch = p_.batch.batch;
  call.seq_len = p_.batch.seq_len;
  call.channels = p_.config.d_model;
  call.positions = p_.batch.positions;
  call.token_types = p_.batch.token_types;
  call.token_type_weight = p_.weights.token_type_embedding;
  if (!norms_after) {
    call.dropout = dropout;
  }
  {
    const PhaseTimer timer(p_.phases.embedding);
    p_.backend.embedding_forward(call);
  }
  if (norms_after) {
    norm(p_.weights.embedding_norm, p_.outer.embedding_sum, false, nullptr, input, p_.outer.embedding_mean,
         p_.outer.embedding_inverse_deviation, 0);
    p_.backend.dropout(input, rows_, p_.config.d_model, p_.batch.seq_len, dropout);
  }
}

void ForwardPass::run_block(std::size_t layer, const BlockActivations& block, ConstValues residual) const {
  run_to_inner(layer, block, residual);
  run_from_inner(layer, block);
}

void ForwardPass::run_block_again(std::size_t layer, const BlockActivations& block) const {
  run_to_inner(layer, block, nullptr);
  // Norms before: the block's sum with its branch is the next block's input, and was kept.
  if (p_.config.norms_come_after()) {
    run_from_inner(layer, block);
  }
}

void ForwardPass::norm_1_again(std::size_t layer, const BlockActivations& a) const {
  // The statistics come out as they were.
  norm(p_.weights.blocks[layer].norm_1, p_.config.norms_come_after() ? a.middle : a.input, false, nullptr, a.norm_1,
       a.mean_1, a.inverse_deviation_1, 0);
}

void ForwardPass::feed_forward_again(std::size_t layer, const BlockActivations& a) const {
  if (p_.config.norms_come_after()) {
    norm_1_again(layer, a);
  } else {
    norm(p_.weights.blocks[layer].norm_2, a.middle, false, nullptr, a.norm_2, a.mean_2, a.inverse_deviation_2, 0);
  }
  p_.backend.activation_forward(a.inner, a.inner_sum, rows_ * p_.config.d_inner, p_.config.activation);
}

void ForwardPass::run_from_inner(std::size_t layer, const BlockActivations& a) const {
  const BlockWeights& w = p_.weights.blocks[layer];
  linear(w.down, a.inner, p_.outer.branch, nullptr, Activation::kNone,
         adapter_site(p_.config, layer, LinearPlace::kDown, 0));
  if (p_.config.norms_come_after()) {
    norm(w.norm_2, a.norm_1, true, a.last, a.norm_2, a.mean_2, a.inverse_deviation_2, mlp_residual_site(layer));
  }
}

void ForwardPass::run_to_inner(std::size_t layer, const BlockActivations& a, ConstValues residual) const {
  const ModelConfig& c = p_.config;
  const BlockWeights& w = p_.weights.blocks[layer];
  const bool norms_after = c.norms_come_after();
  ConstValues attention_input = a.input;
  if (!norms_after) {
    norm(w.norm_1, residual != nullptr ? residual : ConstValues(a.input), residual != nullptr, a.input, a.norm_1,
         a.mean_1, a.inverse_deviation_1, layer > 0 ? mlp_residual_site(layer - 1) : 0);
    attention_input = a.norm_1;
  }
  linear(w.qkv, attention_input, a.qkv, nullptr, Activation::kNone, adapter_site(c, layer, LinearPlace::kQkv, 0));
  {
    const PhaseTimer timer(p_.phases.attention_forward);
    AttentionForward call{};
    call.qkv = a.qkv;
    call.output = a.attention;
    call.log_sum_exp = a.log_sum_exp;
    call.batch = p_.batch.batch;
    call.seq_len = p_.batch.seq_len;
    call.heads = c.n_heads;
    call.head_size = c.head_size();
    call.dropout = p_.dropout(c.attn_pdrop, attention_site(layer));
    call.causal = c.is_causal();
    call.key_begin = p_.batch.key_begin;
    call.key_end = p_.batch.key_end;
    // In fp32 whatever the precision: scores decide exponents, and the products are small beside the linear layers.
    p_.backend.attention_forward(call);
  }
  linear(w.attention_output, a.attention, p_.outer.branch, nullptr, Activation::kNone,
         adapter_site(c, layer, LinearPlace::kAttentionOutput, 0));
  ConstValues inner_input;
  if (norms_after) {
    norm(w.norm_1, a.input, true, a.middle, a.norm_1, a.mean_1, a.inverse_deviation_1, attention_residual_site(layer));
    inner_input = a.norm_1;
  } else {
    norm(w.norm_2, a.input, true, a.middle, a.norm_2, a.mean_2, a.inverse_deviation_2, attention_residual_site(layer));
    inner_input = a.norm_2;
  }
  linear(w.up, inner_input, a.inner, a.inner_sum, c.activation, adapter_site(c, layer, LinearPlace::kUp, 0));
}

void ForwardPass::final_norm(ConstValues residual, Values sum) const {
  norm(p_.weights.final_norm, residual, true, sum, p_.outer.norm_f, p_.outer.mean_f, p_.outer.inverse_deviation_f,
       mlp_residual_site(p_.weights.blocks.size() - 1));
}

ConstValues ForwardPass::run(const std::vector<Values>& inputs, const std::vector<BlockActivations>& blocks) const {
  embed(inputs.front());
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    const bool has_pending_branch = i > 0 && !p_.config.norms_come_after();
    run_block(i, blocks[i], has_pending_branch ? blocks[i - 1].middle : Values());
  }
  if (!p_.config.has_final_norm()) {
    return inputs.back();
  }
  final_norm(blocks.back().middle, inputs.back());
  return p_.outer.norm_f;
}

} // namespace assay
