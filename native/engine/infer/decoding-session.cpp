#include "engine/infer/decoding-session.h"

#include "engine/base/error.h"
#include "engine/model/forward-pass.h"

#include <algorithm>
#include <string>

namespace assay {

DecodingSession::DecodingSession(TransformerModel& model, std::int64_t capacity) : model_(model), capacity_(capacity) {
  const ModelConfig& c = model.config();
  if (!c.is_causal() || c.head != HeadKind::kCausalLm) {
    throw Error("NOT_SUPPORTED",
                "Only a causal language model writes text; this model is an encoder or has another head.");
  }
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
  const std::size_t adapter_low = plan.place_values(capacity * c.lora.rank);
  const std::size_t adapter_wide =
      plan.place_values(c.lora.rank > 0 ? capacity * std::max(3 * c.d_model, c.d_inner) : 0);
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
  adapter_low_ = at(adapter_low);
  adapter_wide_ = at(adapter_wide);
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
  const ModelConfig& c = model_.config();
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
  backend.logits(norm_ + (count - 1) * c.d_model, model_.weights().token_embedding, nullptr, logits_, 1, c.d_model,
                 c.vocab_size, model_.inference_precision() == Precision::kAmpBf16);
  backend.copy_to_host(host_logits_.data(), logits_, host_logits_.size() * sizeof(float));
  return host_logits_;
}

// Leaves the final norm's output of the new positions in norm_.
void DecodingSession::run_layers(std::int64_t count) {
  const ModelConfig& c = model_.config();
  const ModelWeights& weights = model_.weights();
  Backend& backend = model_.backend();
  const bool bf16 = model_.inference_precision() == Precision::kAmpBf16;
  const std::int64_t cache_count = capacity_ * c.d_model;
  PhaseSeconds phases;
  OuterActivations outer{};
  outer.branch = branch_;
  outer.adapter_low = adapter_low_;
  outer.adapter_wide = adapter_wide_;
  DeviceBatch batch;
  batch.batch = 1;
  batch.seq_len = count;
  batch.tokens = tokens_;
  PassContext context{backend, c, weights, batch, outer, phases};
  context.bf16 = bf16;
  const ForwardPass pass(context);
  const auto norm = [&](const float* branch, const NormPointers& w) {
    LayerNormForward call{};
    call.residual = residual_;
    call.branch = branch;
    call.residual_output = branch != nullptr ? residual_ : nullptr;
    call.weight = w.weight;
    call.bias = w.bias;
    call.output = norm_;
    call.rows = count;
    call.channels = c.d_model;
    call.rows_per_sample = count;
    call.epsilon = c.layer_norm_eps;
    backend.layer_norm_forward(call);
  };

  EmbeddingForward embedding{};
  embedding.tokens = tokens_;
  embedding.token_weight = weights.token_embedding;
  embedding.position_weight = weights.position_embedding;
  embedding.output = residual_;
  embedding.batch = 1;
  embedding.seq_len = count;
  embedding.channels = c.d_model;
  embedding.first_position = position_;
  backend.embedding_forward(embedding);

  const float* branch = nullptr;
  float* keys = caches_;
  for (const BlockWeights& block : weights.blocks) {
    float* values = keys + cache_count;
    norm(branch, block.norm_1);
    branch = branch_;
    pass.linear(block.qkv, norm_, wide_, nullptr, Activation::kNone, 0);
    AttentionCached attention{};
    attention.qkv = wide_;
    attention.key_cache = keys;
    attention.value_cache = values;
    attention.output = attention_;
    attention.past = std::span(&position_, 1);
    attention.count = count;
    attention.capacity = capacity_;
    attention.heads = c.n_heads;
    attention.head_size = c.head_size();
    attention.bf16 = bf16;
    backend.attention_cached(attention);
    pass.linear(block.attention_output, attention_, branch_, nullptr, Activation::kNone, 0);
    norm(branch, block.norm_2);
    pass.linear(block.up, norm_, wide_, nullptr, c.activation, 0);
    pass.linear(block.down, wide_, branch_, nullptr, Activation::kNone, 0);
    keys = values + cache_count;
  }
  norm(branch, weights.final_norm);
}

} // namespace assay
