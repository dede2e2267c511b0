// Forward only: scoring and logits. Keeps nothing between layers, and borrows training's activation memory where that
// is large enough, since the two never run at once.
#include "engine/base/error.h"
#include "engine/model/gpt2-memory.h"
#include "engine/model/gpt2.h"

#include <algorithm>

namespace assay {

namespace {

// Rows of a group when memory is the model's own to choose: enough to keep the matrix products busy.
constexpr std::int64_t kGroupRows = 2048;

} // namespace

Gpt2Model::Inference& Gpt2Model::inference_for(std::int64_t rows) {
  if (inference_ == nullptr) {
    inference_ = std::make_unique<Inference>();
  }
  Inference& inference = *inference_;
  const std::size_t wanted = inference.lay_out(config_, rows, nullptr);
  if (training_ != nullptr && wanted <= training_->arena.size_bytes()) {
    inference.lay_out(config_, rows, training_->arena.bytes());
  } else {
    if (inference.own.size_bytes() < wanted) {
      inference.own = Buffer();
      inference.own = Buffer(backend_, wanted);
    }
    inference.lay_out(config_, rows, inference.own.bytes());
  }
  backend_.reserve_workspace(backend_.workspace_bytes(workspace_request(config_, rows, config_.max_seq_len, false)));
  return inference;
}

// Leaves the final norm's output of inference.tokens in inference.norm.
void Gpt2Model::forward_only(const Inference& s, std::int64_t batch, std::int64_t seq_len) {
  const Gpt2Config& c = config_;
  const std::int64_t rows = batch * seq_len;
  const auto norm = [&](const float* branch, const float* weight, const float* bias) {
    LayerNormForward call{s.residual, branch,  branch != nullptr ? s.residual : nullptr,
                          weight,     bias,    s.norm,
                          nullptr,    nullptr, rows,
                          c.d_model,  seq_len, c.layer_norm_eps,
                          {}};
    backend_.layer_norm_forward(call);
  };
  backend_.embedding_forward({s.tokens, weights_.wte, weights_.wpe, s.residual, batch, seq_len, c.d_model, 0, {}});
  const float* branch = nullptr;
  for (const Gpt2LayerWeights& w : weights_.layers) {
    norm(branch, w.ln_1_weight, w.ln_1_bias);
    branch = s.branch;
    backend_.linear_forward(
        {s.norm, w.c_attn_weight, w.c_attn_bias, s.wide, nullptr, Activation::kNone, rows, c.d_model, 3 * c.d_model});
    backend_.attention_forward({s.wide, s.attention, nullptr, batch, seq_len, c.n_heads, c.d_model / c.n_heads, {}});
    backend_.linear_forward({s.attention, w.attn_c_proj_weight, w.attn_c_proj_bias, s.branch, nullptr,
                             Activation::kNone, rows, c.d_model, c.d_model});
    norm(branch, w.ln_2_weight, w.ln_2_bias);
    backend_.linear_forward(
        {s.norm, w.c_fc_weight, w.c_fc_bias, s.wide, nullptr, Activation::kGeluNew, rows, c.d_model, c.d_inner});
    backend_.linear_forward({s.wide, w.mlp_c_proj_weight, w.mlp_c_proj_bias, s.branch, nullptr, Activation::kNone, rows,
                             c.d_inner, c.d_model});
  }
  norm(branch, weights_.ln_f_weight, weights_.ln_f_bias);
}

Evaluation Gpt2Model::evaluate(std::span<const std::int32_t> inputs, std::span<const std::int32_t> targets,
                               std::int64_t batch, std::int64_t seq_len) {
  if (batch < 1 || seq_len < 1 || seq_len > config_.max_seq_len ||
      inputs.size() != static_cast<std::size_t>(batch * seq_len) || targets.size() != inputs.size()) {
    throw Error("BATCH_SHAPE_MISMATCH", "Cannot score " + std::to_string(inputs.size()) + " inputs and " +
                                            std::to_string(targets.size()) + " targets as " + std::to_string(batch) +
                                            " × " + std::to_string(seq_len) + "; the model reads at most " +
                                            std::to_string(config_.max_seq_len) + " positions.");
  }
  check_tokens(inputs, false);
  check_tokens(targets, true);
  // Beside prepared training, no more rows than its plan provided for.
  const std::int64_t group_rows =
      training_ != nullptr ? training_->options.microbatch_size * training_->options.seq_len : kGroupRows;
  const std::int64_t group = std::clamp<std::int64_t>(group_rows / seq_len, 1, batch);
  const Inference& inference = inference_for(group * seq_len);
  Evaluation evaluation;
  for (std::int64_t first = 0; first < batch; first += group) {
    const std::int64_t here = std::min(group, batch - first);
    const std::int64_t rows = here * seq_len;
    const auto at = static_cast<std::size_t>(first * seq_len);
    const auto count = static_cast<std::size_t>(rows);
    backend_.copy_to_backend(inference.tokens, inputs.data() + at, count * sizeof(std::int32_t));
    backend_.copy_to_backend(inference.targets, targets.data() + at, count * sizeof(std::int32_t));
    forward_only(inference, here, seq_len);
    evaluation.nats += backend_.classifier_evaluate(
        Classifier{inference.norm, weights_.wte, inference.targets, rows, config_.d_model, config_.vocab_size});
    evaluation.token_count += std::count_if(targets.begin() + static_cast<std::ptrdiff_t>(at),
                                            targets.begin() + static_cast<std::ptrdiff_t>(at + count),
                                            [](std::int32_t target) { return target >= 0; });
  }
  return evaluation;
}

std::vector<float> Gpt2Model::logits(std::span<const std::int32_t> tokens) {
  const auto seq_len = static_cast<std::int64_t>(tokens.size());
  if (seq_len < 1 || seq_len > config_.max_seq_len) {
    throw Error("BATCH_SHAPE_MISMATCH", "Cannot compute logits of " + std::to_string(seq_len) +
                                            " tokens; the model reads between 1 and " +
                                            std::to_string(config_.max_seq_len) + " positions.");
  }
  check_tokens(tokens, false);
  const Inference& inference = inference_for(seq_len);
  backend_.copy_to_backend(inference.tokens, tokens.data(), tokens.size_bytes());
  forward_only(inference, 1, seq_len);
  // In groups of rows, so that a device needs no memory for all of them.
  const std::int64_t group = std::min<std::int64_t>(seq_len, 64);
  const Buffer rows_on_backend(backend_, static_cast<std::size_t>(group * config_.vocab_size) * sizeof(float));
  std::vector<float> all(static_cast<std::size_t>(seq_len * config_.vocab_size));
  for (std::int64_t first = 0; first < seq_len; first += group) {
    const std::int64_t here = std::min(group, seq_len - first);
    backend_.logits(inference.norm + first * config_.d_model, weights_.wte, nullptr, rows_on_backend.floats(), here,
                    config_.d_model, config_.vocab_size, false);
    backend_.copy_to_host(all.data() + first * config_.vocab_size, rows_on_backend.floats(),
                          static_cast<std::size_t>(here * config_.vocab_size) * sizeof(float));
  }
  return all;
}

} // namespace assay
