// A transformer of any of the families and heads on any backend: initialisation, one training step over a global batch
// in microbatches, gradients alone, scored evaluation and predictions. Memory for training is planned as arithmetic,
// allocated once, and never touched again by a step. It knows nothing of files, tokenizers or schedules: tokens in,
// numbers out.
#pragma once

#include "engine/model/batch.h"
#include "engine/model/parameters.h"
#include "engine/model/weights.h"
#include "engine/ops/backend.h"
#include "engine/ops/buffer.h"
#include "engine/optim/decoupled-adamw.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace assay {

enum class Precision : std::uint8_t {
  kFp32,
  kAmpBf16, // weights, gradients and moments in fp32; the operands of matrix products rounded to bf16
};

enum class OptimizerStateType : std::uint8_t { kFp32, k8Bit };

// What backward computes again instead of keeping it: nothing; what norms and the activation gave, which their kept
// sums give cheaply; or all of a block but its input (Chen et al. 2016).
enum class Recompute : std::uint8_t { kNone, kSelective, kFull };

struct TrainingOptions {
  std::int64_t microbatch_size = 1;
  std::int64_t seq_len = 0;
  std::int64_t global_batch_size = 1;
  std::uint64_t seed = 0; // of dropout
  DecoupledAdamWOptions optimizer;
  std::optional<double> gradient_clipping;
  Precision precision = Precision::kFp32;
  Recompute recompute = Recompute::kNone;
  // Where the backend wants bf16 copies of the weights: an update rounds them up or down by chance, so that the mean is
  // exact, instead of to the nearest.
  bool stochastic_rounding = false;
  OptimizerStateType optimizer_state = OptimizerStateType::kFp32;
  std::vector<std::string> frozen; // patterns over tensor names; under LoRA the base is frozen besides
  float label_smoothing = 0.0F;
  std::vector<float> class_weights; // of the small head; empty: all 1
};

struct MemoryPlan {
  std::size_t parameter_bytes = 0;
  std::size_t weight_copy_bytes = 0; // weights rounded to bf16, for backends that want them so
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
  double loss = 0;          // mean over what the global batch scores, before the update
  double gradient_norm = 0; // before clipping
  std::int64_t tokens = 0;  // without padding
  bool applied = false;     // false: loss or norm was not finite, weights and moments are untouched
  double seconds = 0;
  PhaseSeconds phases;
};

struct Evaluation {
  double nats = 0; // summed over the scored tokens (language models) or rows (small heads)
  std::int64_t token_count = 0;
  double sentence_nats = 0; // pretraining: of the order of the segments
  std::int64_t sentence_count = 0;
};

struct StepSums;
struct HeadActivations;

class TransformerModel {
public:
  // Allocates the parameters (zero until initialize() or writing). `backend` outlives the model.
  TransformerModel(Backend& backend, const ModelConfig& config);
  ~TransformerModel();
  TransformerModel(const TransformerModel&) = delete;
  TransformerModel& operator=(const TransformerModel&) = delete;

  Backend& backend() const noexcept { return backend_; }
  const ModelConfig& config() const noexcept { return config_; }
  const ParameterLayout& parameters() const noexcept { return layout_; }
  // What a pass reads: the weights as stored, or bf16 copies of the fp32 ones where the backend wants those. Valid
  // until weights are written or training is prepared.
  const ModelWeights& weights_for(bool bf16);

  // Normal 0.02 (GPT-2: residual projections 0.02 / √(2 · layers)), biases 0, norms 1 and 0; adapters A normal
  // 1/√in and B 0, so that they change nothing yet. A function of the seed alone. `heads_only` leaves the rest.
  enum class Initialize : std::uint8_t { kAll, kHead, kAdapters };
  void initialize(std::uint64_t seed, Initialize what = Initialize::kAll);

  // Host copies of one tensor under its public name and shape. Throw TENSOR_UNKNOWN, or TENSOR_SIZE_MISMATCH naming
  // both sizes. Gradients and moments exist after prepare_training(), else TRAINING_NOT_PREPARED; those of a frozen
  // tensor read as zeros.
  void read_parameter(const std::string& name, std::span<float> values) const;
  void write_parameter(const std::string& name, std::span<const float> values);
  void read_gradient(const std::string& name, std::span<float> values) const;
  bool is_trained(const std::string& name) const;
  void read_moments(const std::string& name, std::span<float> exp_avg, std::span<float> exp_avg_sq) const;
  // Takes effect once all tensors that are stored as one (queries, keys and values) were written.
  void write_moments(const std::string& name, std::span<const float> exp_avg, std::span<const float> exp_avg_sq);
  // weight += alpha / rank · A · B for every adapter, whose B is then 0: the model computes the same as before.
  void merge_adapters();

  // Arithmetic only. Throws TRAINING_OPTIONS_INVALID naming the option.
  MemoryPlan plan_training(const TrainingOptions& options) const;
  // The same for a model that is not there: a forecast must not need the memory it forecasts.
  static MemoryPlan plan_training(const Backend& backend, const ModelConfig& config, const TrainingOptions& options);
  // Allocates what the plan says (moments zero). Calling it again replaces the old memory. Throws OUT_OF_MEMORY.
  MemoryPlan prepare_training(const TrainingOptions& options);
  bool is_prepared() const noexcept { return training_ != nullptr; }
  std::int64_t trained_parameter_count() const;

  // One update from `tokens`, (global_batch_size, seq_len + 1) on the host; each token is the target of the one before.
  // `step` is the 1-based number of this update.
  StepResult train_step(std::span<const std::int32_t> tokens, std::int64_t step, double learning_rate);
  // One update from any batch of at most seq_len positions and of any size (a smaller last one, say).
  StepResult train_batch(const Batch& batch, std::int64_t step, double learning_rate);

  // Loss and gradients without dropout and without an update. Needs prepare_training(); batch is any, seq_len at most
  // the planned one.
  double compute_gradients(const Batch& batch);
  double compute_gradients(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len);
  // Clips and applies the gradients held now; returns {gradient norm, applied} (loss is NaN: it is not known here).
  StepResult apply_update(std::int64_t step, double learning_rate);

  // How products are computed outside training; training has its own option.
  void set_inference_precision(Precision precision) noexcept { inference_precision_ = precision; }
  Precision inference_precision() const noexcept { return inference_precision_; }

  // Summed losses of a batch's targets. Rows may be any number; they are run in groups that fit the memory there is.
  Evaluation evaluate(const Batch& batch);
  // Summed negative log likelihood of `targets` (batch, seq_len) given `inputs`; a negative target is not scored.
  Evaluation evaluate(std::span<const std::int32_t> inputs, std::span<const std::int32_t> targets, std::int64_t batch,
                      std::int64_t seq_len);
  // What the head says, on the host: language models (B, T, V); sequence classification and the order of segments
  // (B, labels); multiple choice (B / choices, choices); token classification (B, T, labels); span QA (B, T, 2).
  // Pretraining gives the masked language model's.
  std::vector<float> predict(const Batch& batch);
  // Pretraining: (B, 2).
  std::vector<float> predict_sentence_order(const Batch& batch);
  // (tokens.size(), vocab_size), on the host.
  std::vector<float> logits(std::span<const std::int32_t> tokens);

  // What prepare_training() really allocated; equal to its plan unless an earlier, larger workspace is still held.
  MemoryPlan allocated_memory() const;

private:
  struct Training;
  struct Inference;

  // What one microbatch needs to know besides the batch.
  struct Microbatch {
    Batch batch; // this microbatch's part
    std::uint32_t step = 0;
    std::uint32_t first_sample = 0;
    bool with_dropout = false;
    bool accumulate = false;
    double scored = 1.0;           // of the global batch: what the loss is divided by
    double scored_sentences = 1.0; // pretraining
  };

  // Copies of the weights in bf16; transformer-copies.cpp.
  struct WeightCopies;
  static std::int64_t copy_count(const ParameterLayout& layout);
  bool wants_copies(bool bf16) const;
  WeightCopies& weight_copies();
  void forget_trained_copies();
  WeightView stored_matrix(std::size_t index) const;
  template <class Matrix> ModelWeights weight_table(const Matrix& matrix) const {
    return bind_pointers<WeightView>(config_, layout_, matrix,
                                     [this](std::size_t index) { return stored_floats(index); });
  }
  // The trained tensors' copies as update `step` leaves them, 0: as they are before the first.
  void round_copies_as_after(std::int64_t step);

  std::byte* stored_bytes(std::size_t index) const;
  // Whole stored tensors as (rows, columns) floats on the host.
  void read_stored(std::size_t index, std::vector<float>& values) const;
  void write_stored(std::size_t index, std::span<const float> values);
  // False where it is frozen.
  bool read_stored_moments(std::size_t index, std::vector<float>& first, std::vector<float>& second) const;
  struct EightBitMoments {
    std::uint8_t *first_codes, *second_codes;
    float *first_scales, *second_scales;
  };
  EightBitMoments eight_bit_moments(std::size_t index) const;
  void write_stored_moments(std::size_t index, std::span<const float> first, std::span<const float> second);
  float* stored_floats(std::size_t index) const;
  Training& prepared() const;
  void check_batch(const Batch& batch, bool needs_targets) const;
  double scored_weight(const Batch& batch, std::span<const float> class_weights) const;
  void run_microbatch(const Microbatch& micro, PhaseSeconds& phases);
  Batch windows(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len);
  // Leaves gradients, and the sums of the losses on the backend.
  void forward_backward(const Batch& batch, std::uint32_t step, bool with_dropout, PhaseSeconds& phases);
  StepResult update(bool loss_is_known, std::int64_t step, double learning_rate, PhaseSeconds& phases);
  StepSums read_sums(const HeadActivations& head) const;
  // Of the latest gradients.
  double mean_loss(const StepSums& sums) const;
  Inference& inference_for(std::int64_t batch, std::int64_t seq_len, Precision precision);
  // Runs groups of sequences forward; `use` gets each group's part of the batch and its final hidden states.
  template <class Use> void run_forward(const Batch& batch, const Use& use);

  Backend& backend_;
  ModelConfig config_;
  ParameterLayout layout_;
  Buffer parameter_memory_;
  ModelWeights weights_;
  Precision inference_precision_ = Precision::kFp32;
  std::unique_ptr<WeightCopies> copies_;
  std::unique_ptr<Training> training_;
  std::unique_ptr<Inference> inference_;
  struct PendingMoments {
    std::vector<float> first, second;
    std::int64_t written = 0;
  };
  std::map<std::size_t, PendingMoments> pending_moments_;
  // Kept between steps so that one does not allocate.
  std::vector<std::int32_t> window_inputs_, window_targets_;
};

} // namespace assay
