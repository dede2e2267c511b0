// One training step: microbatches forward and backward, gradients added up, then clipping and DecoupledAdamW.
#include "engine/base/error.h"
#include "engine/model/gpt2-memory.h"
#include "engine/model/gpt2.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

namespace {

// Numbers of the places that drop; see Dropout::site.
constexpr std::uint32_t kEmbeddingSite = 0;
std::uint32_t attention_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 1);
}
std::uint32_t attention_residual_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 2);
}
std::uint32_t mlp_residual_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 3);
}

void check_option(bool is_valid, const char* name, std::int64_t value, const std::string& wanted) {
  if (!is_valid) {
    throw Error("TRAINING_OPTIONS_INVALID", std::string("The training option ") + name + " is " +
                                                std::to_string(value) + "; it must be " + wanted + ".");
  }
}

void check_options(const TrainingOptions& options, const Gpt2Config& config) {
  check_option(options.global_batch_size >= 1 && options.global_batch_size <= (1 << 24), "global_batch_size",
               options.global_batch_size, "at least 1");
  check_option(options.microbatch_size >= 1 && options.microbatch_size <= options.global_batch_size, "microbatch_size",
               options.microbatch_size, "between 1 and the global batch size");
  check_option(options.seq_len >= 1 && options.seq_len <= config.max_seq_len, "seq_len", options.seq_len,
               "between 1 and the model's max_seq_len " + std::to_string(config.max_seq_len));
  if (options.gradient_clipping && !(std::isfinite(*options.gradient_clipping) && *options.gradient_clipping > 0)) {
    throw Error("TRAINING_OPTIONS_INVALID", "The training option gradient_clipping is " +
                                                std::to_string(*options.gradient_clipping) +
                                                "; it must be a finite number above 0, or absent.");
  }
  validate(options.optimizer);
}

} // namespace

MemoryPlan Gpt2Model::plan_training(const TrainingOptions& options) const {
  return plan_training(backend_, config_, options);
}

MemoryPlan Gpt2Model::plan_training(const Backend& backend, const Gpt2Config& config, const TrainingOptions& options) {
  check_options(options, config);
  MemoryPlan plan;
  plan.parameter_bytes = static_cast<std::size_t>(gpt2_parameter_layout(config).total_count) * sizeof(float);
  plan.gradient_bytes = plan.parameter_bytes;
  plan.optimizer_bytes = 2 * plan.parameter_bytes;
  plan.activation_bytes = Activations{}.lay_out(config, options.microbatch_size, options.seq_len, nullptr);
  plan.workspace_bytes = backend.workspace_bytes(
      workspace_request(config, options.microbatch_size * options.seq_len, options.seq_len, true));
  plan.total_bytes =
      plan.parameter_bytes + plan.gradient_bytes + plan.optimizer_bytes + plan.activation_bytes + plan.workspace_bytes;
  return plan;
}

MemoryPlan Gpt2Model::prepare_training(const TrainingOptions& options) {
  const MemoryPlan plan = plan_training(options);
  // The old memory goes first: two plans need not fit side by side. Inference may have borrowed from it.
  training_.reset();
  inference_.reset();
  auto training = std::make_unique<Training>();
  training->options = options;
  training->plan = plan;
  training->gradients = Buffer(backend_, plan.gradient_bytes);
  training->moments = Buffer(backend_, plan.optimizer_bytes);
  training->arena = Buffer(backend_, plan.activation_bytes);
  training->activations.lay_out(config_, options.microbatch_size, options.seq_len, training->arena.bytes());
  backend_.reserve_workspace(plan.workspace_bytes);
  for (const ParameterTensor& tensor : layout_.tensors) {
    const auto& patterns = options.optimizer.no_decay;
    const bool decays = std::none_of(patterns.begin(), patterns.end(),
                                     [&](const std::string& pattern) { return matches_pattern(tensor.name, pattern); });
    training->segments.push_back({tensor.offset, tensor.count, decays});
  }
  training_ = std::move(training);
  return plan;
}

MemoryPlan Gpt2Model::allocated_memory() const {
  const Training& training = prepared();
  MemoryPlan held;
  held.parameter_bytes = parameter_memory_.size_bytes();
  held.gradient_bytes = training.gradients.size_bytes();
  held.optimizer_bytes = training.moments.size_bytes();
  held.activation_bytes = training.arena.size_bytes();
  held.workspace_bytes = backend_.reserved_workspace_bytes();
  held.total_bytes =
      held.parameter_bytes + held.gradient_bytes + held.optimizer_bytes + held.activation_bytes + held.workspace_bytes;
  return held;
}

// Runs one microbatch that is already in the arena's tokens and targets. Gradients are written when `accumulate` is
// false (but the position embedding's, which the caller zeroes) and added to otherwise.
double Gpt2Model::run_microbatch(const Microbatch& micro, PhaseSeconds& phases) {
  Training& training = *training_;
  Activations& a = training.activations;
  const Gpt2Config& c = config_;
  const std::int64_t rows = micro.batch * micro.seq_len;
  const std::int64_t head_size = c.d_model / c.n_heads;
  const auto dropout = [&](float probability, std::uint32_t site) {
    return Dropout{micro.with_dropout ? probability : 0.0F, training.options.seed, micro.step, micro.first_sample,
                   site};
  };
  const auto timed = [](double& phase, const auto& work) {
    const PhaseTimer timer(phase);
    work();
  };
  const auto linear = [&](const float* input, const float* weight, const float* bias, float* output,
                          float* pre_activation, std::int64_t in, std::int64_t out) {
    timed(phases.linear_forward, [&] {
      backend_.linear_forward({input, weight, bias, output, pre_activation,
                               pre_activation != nullptr ? Activation::kGeluNew : Activation::kNone, rows, in, out});
    });
  };
  const auto norm = [&](const float* residual, const float* branch, float* sum, const float* weight, const float* bias,
                        float* output, float* mean, float* inverse_deviation, std::uint32_t site) {
    timed(phases.layer_norm, [&] {
      backend_.layer_norm_forward({residual, branch, sum, weight, bias, output, mean, inverse_deviation, rows,
                                   c.d_model, micro.seq_len, c.layer_norm_eps, dropout(c.resid_pdrop, site)});
    });
  };

  timed(phases.embedding, [&] {
    backend_.embedding_forward({a.tokens, weights_.wte, weights_.wpe, a.embedded, micro.batch, micro.seq_len, c.d_model,
                                0, dropout(c.embd_pdrop, kEmbeddingSite)});
  });
  // `residual + branch` is what the next norm reads: the sum is that norm's first act.
  const float* residual = a.embedded;
  for (std::size_t i = 0; i < a.layers.size(); ++i) {
    LayerActivations& layer = a.layers[i];
    const Gpt2LayerWeights& w = weights_.layers[i];
    if (i == 0) {
      norm(residual, nullptr, nullptr, w.ln_1_weight, w.ln_1_bias, layer.norm_1, layer.mean_1,
           layer.inverse_deviation_1, 0);
    } else {
      float* sum = a.layers[i - 1].residual;
      norm(residual, a.branch, sum, w.ln_1_weight, w.ln_1_bias, layer.norm_1, layer.mean_1, layer.inverse_deviation_1,
           mlp_residual_site(i - 1));
      residual = sum;
    }
    linear(layer.norm_1, w.c_attn_weight, w.c_attn_bias, layer.qkv, nullptr, c.d_model, 3 * c.d_model);
    timed(phases.attention_forward, [&] {
      backend_.attention_forward({layer.qkv, layer.attention, layer.log_sum_exp, micro.batch, micro.seq_len, c.n_heads,
                                  head_size, dropout(c.attn_pdrop, attention_site(i))});
    });
    linear(layer.attention, w.attn_c_proj_weight, w.attn_c_proj_bias, a.branch, nullptr, c.d_model, c.d_model);
    norm(residual, a.branch, layer.residual_middle, w.ln_2_weight, w.ln_2_bias, layer.norm_2, layer.mean_2,
         layer.inverse_deviation_2, attention_residual_site(i));
    residual = layer.residual_middle;
    linear(layer.norm_2, w.c_fc_weight, w.c_fc_bias, layer.inner, layer.inner_sum, c.d_model, c.d_inner);
    linear(layer.inner, w.mlp_c_proj_weight, w.mlp_c_proj_bias, a.branch, nullptr, c.d_inner, c.d_model);
  }
  const std::size_t last = a.layers.size() - 1;
  norm(residual, a.branch, a.layers[last].residual, weights_.ln_f_weight, weights_.ln_f_bias, a.norm_f, a.mean_f,
       a.inverse_deviation_f, mlp_residual_site(last));

  const Gpt2Weights g = gradients();
  float* d_norm = a.branch; // forward is done with it
  double nats = 0.0;
  timed(phases.classifier, [&] {
    Classifier call{a.norm_f, weights_.wte, a.targets, rows, c.d_model, c.vocab_size};
    call.d_hidden = d_norm;
    call.d_weight = g.wte;
    call.gradient_scale = micro.gradient_scale;
    call.accumulate = micro.accumulate;
    nats = backend_.classifier_train(call);
  });

  // d_residual = gradient through the norm (+ d_residual); d_branch = what of it reaches the branch before that norm.
  const auto norm_backward = [&](const float* input, const float* weight, const float* mean,
                                 const float* inverse_deviation, bool is_first, float* d_weight, float* d_bias,
                                 std::uint32_t site, bool has_branch) {
    timed(phases.layer_norm, [&] {
      LayerNormBackward call{d_norm,
                             input,
                             weight,
                             mean,
                             inverse_deviation,
                             is_first ? nullptr : a.d_residual,
                             a.d_residual,
                             nullptr,
                             d_weight,
                             d_bias,
                             rows,
                             c.d_model,
                             micro.seq_len,
                             {},
                             micro.accumulate};
      if (has_branch && a.d_branch != a.d_residual) {
        call.d_branch = a.d_branch;
        call.dropout = dropout(c.resid_pdrop, site);
      }
      backend_.layer_norm_backward(call);
    });
  };
  const auto linear_backward = [&](const float* d_output, const float* input, const float* weight, float* d_input,
                                   const float* pre_activation, float* d_weight, float* d_bias, std::int64_t in,
                                   std::int64_t out) {
    timed(phases.linear_backward, [&] {
      backend_.linear_backward(
          {d_output, input, weight, d_input, pre_activation, d_weight, d_bias, rows, in, out, micro.accumulate});
    });
  };

  norm_backward(a.layers[last].residual, weights_.ln_f_weight, a.mean_f, a.inverse_deviation_f, true, g.ln_f_weight,
                g.ln_f_bias, mlp_residual_site(last), true);
  for (std::size_t i = a.layers.size(); i-- > 0;) {
    const LayerActivations& layer = a.layers[i];
    const Gpt2LayerWeights& w = weights_.layers[i];
    const Gpt2LayerWeights& d = g.layers[i];
    linear_backward(a.d_branch, layer.inner, w.mlp_c_proj_weight, a.d_wide, layer.inner_sum, d.mlp_c_proj_weight,
                    d.mlp_c_proj_bias, c.d_inner, c.d_model);
    linear_backward(a.d_wide, layer.norm_2, w.c_fc_weight, d_norm, nullptr, d.c_fc_weight, d.c_fc_bias, c.d_model,
                    c.d_inner);
    norm_backward(layer.residual_middle, w.ln_2_weight, layer.mean_2, layer.inverse_deviation_2, false, d.ln_2_weight,
                  d.ln_2_bias, attention_residual_site(i), true);
    linear_backward(a.d_branch, layer.attention, w.attn_c_proj_weight, d_norm, nullptr, d.attn_c_proj_weight,
                    d.attn_c_proj_bias, c.d_model, c.d_model);
    timed(phases.attention_backward, [&] {
      backend_.attention_backward({d_norm, layer.qkv, layer.attention, layer.log_sum_exp, a.d_wide, micro.batch,
                                   micro.seq_len, c.n_heads, head_size, dropout(c.attn_pdrop, attention_site(i))});
    });
    linear_backward(a.d_wide, layer.norm_1, w.c_attn_weight, d_norm, nullptr, d.c_attn_weight, d.c_attn_bias, c.d_model,
                    3 * c.d_model);
    norm_backward(i > 0 ? a.layers[i - 1].residual : a.embedded, w.ln_1_weight, layer.mean_1, layer.inverse_deviation_1,
                  false, d.ln_1_weight, d.ln_1_bias, i > 0 ? mlp_residual_site(i - 1) : 0, i > 0);
  }
  timed(phases.embedding, [&] {
    backend_.embedding_backward({a.tokens, a.d_residual, g.wte, g.wpe, micro.batch, micro.seq_len, c.d_model,
                                 dropout(c.embd_pdrop, kEmbeddingSite)});
  });
  return nats;
}

double Gpt2Model::forward_backward(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len,
                                   std::uint32_t step, bool with_dropout, PhaseSeconds& phases) {
  Training& training = prepared();
  if (batch < 1 || seq_len < 1 || seq_len > training.options.seq_len ||
      tokens.size() != static_cast<std::size_t>(batch * (seq_len + 1))) {
    throw Error("BATCH_SHAPE_MISMATCH", "A batch of " + std::to_string(batch) + " × " + std::to_string(seq_len + 1) +
                                            " tokens was announced and " + std::to_string(tokens.size()) +
                                            " came; training was prepared for sequences of at most " +
                                            std::to_string(training.options.seq_len) + " positions.");
  }
  check_tokens(tokens, false);
  backend_.zero(gradients().wpe, config_.max_seq_len * config_.d_model);
  const double token_count = static_cast<double>(batch) * static_cast<double>(seq_len);
  double nats = 0.0;
  for (std::int64_t first = 0; first < batch; first += training.options.microbatch_size) {
    const std::int64_t here = std::min(training.options.microbatch_size, batch - first);
    for (std::int64_t row = 0; row < here; ++row) {
      const std::int32_t* window = tokens.data() + (first + row) * (seq_len + 1);
      const auto size_bytes = static_cast<std::size_t>(seq_len) * sizeof(std::int32_t);
      backend_.copy_to_backend(training.activations.tokens + row * seq_len, window, size_bytes);
      backend_.copy_to_backend(training.activations.targets + row * seq_len, window + 1, size_bytes);
    }
    Microbatch micro;
    micro.batch = here;
    micro.seq_len = seq_len;
    micro.step = step;
    micro.first_sample = static_cast<std::uint32_t>(first);
    micro.with_dropout = with_dropout;
    micro.accumulate = first > 0;
    micro.gradient_scale = static_cast<float>(1.0 / token_count);
    nats += run_microbatch(micro, phases);
  }
  return nats / token_count;
}

StepResult Gpt2Model::update(double loss, bool loss_is_known, std::int64_t step, double learning_rate,
                             PhaseSeconds& phases) {
  Training& training = prepared();
  if (step < 1 || !std::isfinite(learning_rate) || learning_rate < 0) {
    throw Error("TRAINING_OPTIONS_INVALID", "Update " + std::to_string(step) + " at learning rate " +
                                                std::to_string(learning_rate) +
                                                " cannot be applied; steps count from 1 and the rate is at least 0.");
  }
  StepResult result;
  result.loss = loss;
  const PhaseTimer timer(phases.optimizer);
  // The padding between tensors is zero from the start and nobody writes it.
  const double squares = backend_.square_sum(training.gradients.floats(), layout_.total_count);
  result.gradient_norm = std::sqrt(squares);
  if (!std::isfinite(result.gradient_norm) || (loss_is_known && !std::isfinite(loss))) {
    return result;
  }
  const double scale = training.options.gradient_clipping
                           ? clipping_scale(result.gradient_norm, *training.options.gradient_clipping)
                           : 1.0;
  AdamWStep call = adamw_scalars(training.options.optimizer, step, learning_rate, scale);
  call.parameters = parameter_block();
  call.gradients = training.gradients.floats();
  call.first_moment = training.moments.floats();
  call.second_moment = training.moments.floats() + layout_.total_count;
  call.segments = training.segments;
  backend_.adamw_step(call);
  result.applied = true;
  return result;
}

StepResult Gpt2Model::train_step(std::span<const std::int32_t> tokens, std::int64_t step, double learning_rate) {
  const auto start = std::chrono::steady_clock::now();
  const TrainingOptions& options = prepared().options;
  PhaseSeconds phases;
  const double loss = forward_backward(tokens, options.global_batch_size, options.seq_len,
                                       static_cast<std::uint32_t>(step), true, phases);
  StepResult result = update(loss, true, step, learning_rate, phases);
  result.tokens = options.global_batch_size * options.seq_len;
  result.phases = phases;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

double Gpt2Model::compute_gradients(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len) {
  PhaseSeconds phases;
  return forward_backward(tokens, batch, seq_len, 0, false, phases);
}

StepResult Gpt2Model::apply_update(std::int64_t step, double learning_rate) {
  PhaseSeconds phases;
  return update(std::numeric_limits<double>::quiet_NaN(), false, step, learning_rate, phases);
}

} // namespace assay
