// GPT-2 on any backend: initialisation, one training step over a global batch in microbatches, gradients alone, scored
// evaluation and logits. Memory for training is planned as arithmetic, allocated once, and never touched again by a
// step. It knows nothing of files, tokenizers or schedules: tokens in, numbers out.
#pragma once

#include "engine/model/gpt2-parameters.h"
#include "engine/ops/backend.h"
#include "engine/ops/buffer.h"
#include "engine/optim/decoupled-adamw.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace assay {

struct TrainingOptions {
  std::int64_t microbatch_size = 1;
  std::int64_t seq_len = 0;
  std::int64_t global_batch_size = 1;
  std::uint64_t seed = 0; // of dropout
  DecoupledAdamWOptions optimizer;
  std::optional<double> gradient_clipping;
};

struct MemoryPlan {
  std::size_t parameter_bytes = 0;
  std::size_t gradient_bytes = 0;
  std::size_t optimizer_bytes = 0;
  std::size_t activation_bytes = 0;
  std::size_t workspace_bytes = 0;
  std::size_t total_bytes = 0;
};

struct PhaseSeconds {
  double embedding = 0, layer_norm = 0, linear_forward = 0, linear_backward = 0, attention_forward = 0,
         attention_backward = 0, classifier = 0, optimizer = 0;
};

struct StepResult {
  double loss = 0;          // mean over all tokens of the global batch, before the update
  double gradient_norm = 0; // before clipping
  std::int64_t tokens = 0;
  bool applied = false; // false: loss or norm was not finite, weights and moments are untouched
  double seconds = 0;
  PhaseSeconds phases;
};

struct Evaluation {
  double nats = 0;
  std::int64_t token_count = 0;
};

// Where a layer's parameters lie; for code that runs the layers itself (decoding).
struct Gpt2LayerWeights {
  float *ln_1_weight, *ln_1_bias, *c_attn_weight, *c_attn_bias, *attn_c_proj_weight, *attn_c_proj_bias;
  float *ln_2_weight, *ln_2_bias, *c_fc_weight, *c_fc_bias, *mlp_c_proj_weight, *mlp_c_proj_bias;
};

struct Gpt2Weights {
  float *wte, *wpe;
  std::vector<Gpt2LayerWeights> layers;
  float *ln_f_weight, *ln_f_bias;
};

class Gpt2Model {
public:
  // Allocates the parameters (zero until initialize() or writing). `backend` outlives the model.
  Gpt2Model(Backend& backend, const Gpt2Config& config);
  ~Gpt2Model();
  Gpt2Model(const Gpt2Model&) = delete;
  Gpt2Model& operator=(const Gpt2Model&) = delete;

  Backend& backend() const noexcept { return backend_; }
  const Gpt2Config& config() const noexcept { return config_; }
  const ParameterLayout& parameters() const noexcept { return layout_; }
  const Gpt2Weights& weights() const noexcept { return weights_; }

  // Normal 0.02, residual projections 0.02 / √(2 · layers), biases 0, norms 1 and 0. A function of the seed alone.
  void initialize(std::uint64_t seed);

  // Host copies of one tensor. Throw TENSOR_UNKNOWN, or TENSOR_SIZE_MISMATCH naming both sizes. Gradients and moments
  // exist after prepare_training(), else TRAINING_NOT_PREPARED.
  void read_parameter(const std::string& name, std::span<float> values) const;
  void write_parameter(const std::string& name, std::span<const float> values);
  void read_gradient(const std::string& name, std::span<float> values) const;
  void read_moments(const std::string& name, std::span<float> exp_avg, std::span<float> exp_avg_sq) const;
  void write_moments(const std::string& name, std::span<const float> exp_avg, std::span<const float> exp_avg_sq);

  // Arithmetic only. Throws TRAINING_OPTIONS_INVALID naming the option.
  MemoryPlan plan_training(const TrainingOptions& options) const;
  // The same for a model that is not there: a forecast must not need the memory it forecasts.
  static MemoryPlan plan_training(const Backend& backend, const Gpt2Config& config, const TrainingOptions& options);
  // Allocates what the plan says (moments zero). Calling it again replaces the old memory. Throws OUT_OF_MEMORY.
  MemoryPlan prepare_training(const TrainingOptions& options);
  bool is_prepared() const noexcept { return training_ != nullptr; }

  // One update from `tokens`, (global_batch_size, seq_len + 1) on the host. `step` is the 1-based number of this
  // update.
  StepResult train_step(std::span<const std::int32_t> tokens, std::int64_t step, double learning_rate);

  // Loss and gradients of (batch, seq_len + 1) tokens without dropout and without an update. Needs prepare_training();
  // batch is any, seq_len at most the planned one.
  double compute_gradients(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len);
  // Clips and applies the gradients held now; returns {gradient norm, applied} (loss is NaN: it is not known here).
  StepResult apply_update(std::int64_t step, double learning_rate);

  // Summed negative log likelihood of `targets` (batch, seq_len) given `inputs` (batch, seq_len); a negative target is
  // not scored. Rows may be any number; they are run in groups that fit the memory there is.
  Evaluation evaluate(std::span<const std::int32_t> inputs, std::span<const std::int32_t> targets, std::int64_t batch,
                      std::int64_t seq_len);
  // (tokens.size(), vocab_size), on the host.
  std::vector<float> logits(std::span<const std::int32_t> tokens);

  // What prepare_training() really allocated; equal to its plan unless an earlier, larger workspace is still held.
  MemoryPlan allocated_memory() const;

private:
  struct Activations;
  struct Training;
  struct Inference;

  struct Microbatch {
    std::int64_t batch = 0;
    std::int64_t seq_len = 0;
    std::uint32_t step = 0;
    std::uint32_t first_sample = 0;
    bool with_dropout = false;
    bool accumulate = false;
    float gradient_scale = 0.0F;
  };

  float* parameter_block() const noexcept { return parameter_memory_.floats(); }
  // The same table of pointers into the gradients.
  Gpt2Weights gradients() const;
  Training& prepared() const;
  void check_tokens(std::span<const std::int32_t> tokens, bool allow_ignored) const;
  double forward_backward(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len,
                          std::uint32_t step, bool with_dropout, PhaseSeconds& phases);
  double run_microbatch(const Microbatch& micro, PhaseSeconds& phases);
  StepResult update(double loss, bool loss_is_known, std::int64_t step, double learning_rate, PhaseSeconds& phases);
  Inference& inference_for(std::int64_t rows);
  void forward_only(const Inference& inference, std::int64_t batch, std::int64_t seq_len);

  Backend& backend_;
  Gpt2Config config_;
  ParameterLayout layout_;
  Buffer parameter_memory_;
  Gpt2Weights weights_;
  std::unique_ptr<Training> training_;
  std::unique_ptr<Inference> inference_;
};

} // namespace assay
