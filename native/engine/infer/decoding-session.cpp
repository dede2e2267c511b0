#include "engine/infer/decoding-session.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string>

namespace assay {

DecodingSession::DecodingSession(Gpt2Model& model, std::int64_t capacity) : model_(model), capacity_(capacity) {
  const Gpt2Config& c = model.config();
  if (capacity < 1 || capacity > c.max_seq_len) {
    throw Error("CONTEXT_TOO_LONG", "A decoding session of " + std::to_string(capacity) +
                                        " positions was asked of a model that reads 1 to " +
                                        std::to_string(c.max_seq_len) + ".");
  }
  ArenaPlan plan;
  const std::size_t tokens = plan.place(static_cast<std::size_t>(capacity) * sizeof(std::int32_t));
  const std::size_t residual = plan.place_values(capacity * c.d_model);
  const std::size_t norm = plan.place_values(capacity * c.d_model);
  const std::size_t branch = plan.place_values(capacity * c.d_model);
  const std::size_t attention = plan.place_values(capacity * c.d_model);
  const std::size_t wide = plan.place_values(capacity * std::max(3 * c.d_model, c.d_inner));
  const std::size_t logits = plan.place_values(c.vocab_size);
  const std::size_t caches = plan.place_values(c.n_layers * 2 * capacity * c.d_model);
  memory_ = Buffer(model.backend(), plan.size_bytes());
  const auto at = [&](std::size_t offset) { return reinterpret_cast<float*>(memory_.bytes() + offset); };
  tokens_ = reinterpret_cast<std::int32_t*>(memory_.bytes() + tokens);
  residual_ = at(residual);
  norm_ = at(norm);
  branch_ = at(branch);
  attention_ = at(attention);
  wide_ = at(wide);
  logits_ = at(logits);
  caches_ = at(caches);
  host_logits_.resize(static_cast<std::size_t>(c.vocab_size));
}

void DecodingSession::check(std::span<const std::int32_t> tokens) const {
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (count == 0) {
    throw Error("BAD_ARGUMENT", "Decoding needs at least one token to go on from.");
  }
  if (count > capacity_ - position_) {
    throw Error("CONTEXT_TOO_LONG", "Cannot append " + std::to_string(count) + " tokens at position " +
                                        std::to_string(position_) + " of a context of " + std::to_string(capacity_) +
                                        ".");
  }
  for (const std::int32_t token : tokens) {
    if (token < 0 || token >= model_.config().vocab_size) {
      throw Error("TOKEN_OUT_OF_RANGE", "The text holds token " + std::to_string(token) +
                                            " but the model's vocabulary has " +
                                            std::to_string(model_.config().vocab_size) +
                                            " entries; use the tokenizer that belongs to the model.");
    }
  }
}

std::span<const float> DecodingSession::feed(std::span<const std::int32_t> tokens) {
  check(tokens);
  const Gpt2Config& c = model_.config();
  Backend& backend = model_.backend();
  const auto count = static_cast<std::int64_t>(tokens.size());
  backend.reserve_workspace(backend.workspace_bytes({.rows = count,
                                                     .seq_len = capacity_,
                                                     .channels = c.d_model,
                                                     .inner_channels = c.d_inner,
                                                     .heads = c.n_heads,
                                                     .vocab_size = c.vocab_size,
                                                     .training = false}));
  backend.copy_to_backend(tokens_, tokens.data(), tokens.size_bytes());
  run_layers(count);
  position_ += count;
  backend.logits(norm_ + (count - 1) * c.d_model, model_.weights().wte, nullptr, logits_, 1, c.d_model, c.vocab_size,
                 false);
  backend.copy_to_host(host_logits_.data(), logits_, host_logits_.size() * sizeof(float));
  return host_logits_;
}

// Leaves the final norm's output of the new positions in norm_.
void DecodingSession::run_layers(std::int64_t count) {
  const Gpt2Config& c = model_.config();
  const Gpt2Weights& weights = model_.weights();
  Backend& backend = model_.backend();
  const std::int64_t cache_count = capacity_ * c.d_model;
  const auto norm = [&](const float* branch, const float* weight, const float* bias) {
    LayerNormForward call{};
    call.residual = residual_;
    call.branch = branch;
    call.residual_output = branch != nullptr ? residual_ : nullptr;
    call.weight = weight;
    call.bias = bias;
    call.output = norm_;
    call.rows = count;
    call.channels = c.d_model;
    call.rows_per_sample = count;
    call.epsilon = c.layer_norm_eps;
    backend.layer_norm_forward(call);
  };
  const auto linear = [&](const float* input, const float* weight, const float* bias, float* output, std::int64_t in,
                          std::int64_t out, bool gelu) {
    LinearForward call{};
    call.input = input;
    call.weight = weight;
    call.bias = bias;
    call.output = output;
    call.activation = gelu ? Activation::kGeluNew : Activation::kNone;
    call.rows = count;
    call.in = in;
    call.out = out;
    backend.linear_forward(call);
  };

  EmbeddingForward embedding{};
  embedding.tokens = tokens_;
  embedding.token_weight = weights.wte;
  embedding.position_weight = weights.wpe;
  embedding.output = residual_;
  embedding.batch = 1;
  embedding.seq_len = count;
  embedding.channels = c.d_model;
  embedding.first_position = position_;
  backend.embedding_forward(embedding);

  const float* branch = nullptr;
  float* keys = caches_;
  for (const Gpt2LayerWeights& layer : weights.layers) {
    float* values = keys + cache_count;
    norm(branch, layer.ln_1_weight, layer.ln_1_bias);
    branch = branch_;
    linear(norm_, layer.c_attn_weight, layer.c_attn_bias, wide_, c.d_model, 3 * c.d_model, false);
    AttentionCached attention{};
    attention.qkv = wide_;
    attention.key_cache = keys;
    attention.value_cache = values;
    attention.output = attention_;
    attention.past = std::span(&position_, 1);
    attention.count = count;
    attention.capacity = capacity_;
    attention.heads = c.n_heads;
    attention.head_size = c.d_model / c.n_heads;
    backend.attention_cached(attention);
    linear(attention_, layer.attn_c_proj_weight, layer.attn_c_proj_bias, branch_, c.d_model, c.d_model, false);
    norm(branch, layer.ln_2_weight, layer.ln_2_bias);
    linear(norm_, layer.c_fc_weight, layer.c_fc_bias, wide_, c.d_model, c.d_inner, true);
    linear(wide_, layer.mlp_c_proj_weight, layer.mlp_c_proj_bias, branch_, c.d_inner, c.d_model, false);
    keys = values + cache_count;
  }
  norm(branch, weights.ln_f_weight, weights.ln_f_bias);
}

} // namespace assay
