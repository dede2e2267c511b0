// One training step: microbatches forward and backward, gradients added up, then clipping and DecoupledAdamW.
#include "engine/base/error.h"
#include "engine/model/heads.h"
#include "engine/optim/moment-blocks.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

namespace {

[[noreturn]] void fail_shape(const std::string& what) {
  throw Error("BATCH_SHAPE_MISMATCH", what);
}

void check_ids(std::span<const std::int32_t> ids, std::int64_t limit, bool allow_ignored, const char* what,
               const char* of) {
  for (const std::int32_t id : ids) {
    if (id >= limit || (id < 0 && !allow_ignored)) {
      throw Error("TOKEN_OUT_OF_RANGE", std::string("The data holds ") + what + " " + std::to_string(id) +
                                            " but the model's " + of + " has " + std::to_string(limit) +
                                            " entries; use the tokenizer that belongs to the model.");
    }
  }
}

std::int64_t count_scored(std::span<const std::int32_t> targets) {
  return std::count_if(targets.begin(), targets.end(), [](std::int32_t target) { return target >= 0; });
}

} // namespace

void TransformerModel::check_batch(const Batch& batch, bool needs_targets) const {
  const ModelConfig& c = config_;
  if (batch.batch < 1 || batch.seq_len < 1 || batch.seq_len > c.max_seq_len) {
    fail_shape("A batch of " + std::to_string(batch.batch) + " × " + std::to_string(batch.seq_len) +
               " was given; the model reads between 1 and " + std::to_string(c.max_seq_len) + " positions.");
  }
  const auto sequences = static_cast<std::size_t>(batch.batch);
  const auto rows = static_cast<std::size_t>(batch.batch * batch.seq_len);
  const auto check_size = [&](std::span<const std::int32_t> values, std::size_t wanted, const char* name,
                              bool may_be_empty) {
    if (values.size() != wanted && !(may_be_empty && values.empty())) {
      fail_shape("A batch of " + std::to_string(batch.batch) + " × " + std::to_string(batch.seq_len) + " needs " +
                 std::to_string(wanted) + " " + name + " and " + std::to_string(values.size()) + " were given.");
    }
  };
  check_size(batch.tokens, rows, "tokens", false);
  check_size(batch.token_types, rows, "token types", true);
  check_size(batch.positions, rows, "positions", true);
  check_size(batch.segments, rows, "segments", true);
  check_size(batch.sentence_targets, sequences, "sentence targets", true);
  check_ids(batch.tokens, c.vocab_size, false, "token", "vocabulary");
  check_ids(batch.token_types, c.has_token_types() ? c.type_vocab_size : 1, false, "token type", "table of types");
  check_ids(batch.positions, c.max_seq_len, false, "position", "table of positions");
  check_ids(batch.sentence_targets, 2, true, "sentence target", "order of segments");
  if (batch.choices < 1 || (c.head == HeadKind::kMultipleChoice && batch.batch % batch.choices != 0)) {
    fail_shape("A batch of " + std::to_string(batch.batch) + " sequences does not hold whole questions of " +
               std::to_string(batch.choices) + " choices.");
  }
  if (!needs_targets) {
    return;
  }
  switch (c.head) {
  case HeadKind::kCausalLm:
  case HeadKind::kMaskedLm:
  case HeadKind::kPretraining:
    check_size(batch.targets, rows, "targets", false);
    check_ids(batch.targets, c.vocab_size, true, "token", "vocabulary");
    break;
  case HeadKind::kTokenClassification:
    check_size(batch.targets, rows, "targets", false);
    check_ids(batch.targets, c.n_labels, true, "label", "head");
    break;
  case HeadKind::kSequenceClassification:
    check_size(batch.targets, sequences, "targets", false);
    check_ids(batch.targets, c.n_labels, true, "label", "head");
    break;
  case HeadKind::kMultipleChoice:
    check_size(batch.targets, sequences / static_cast<std::size_t>(batch.choices), "targets", false);
    check_ids(batch.targets, batch.choices, true, "choice", "question");
    break;
  case HeadKind::kSpanQa:
    check_size(batch.targets, 2 * sequences, "targets", false);
    check_ids(batch.targets, batch.seq_len, true, "position", "sequence");
    break;
  }
}

// What the summed loss is divided by: scored tokens or rows, each by its class's weight.
double TransformerModel::scored_weight(const Batch& batch, std::span<const float> class_weights) const {
  if (config_.head == HeadKind::kSpanQa) {
    // The summed loss is the mean of both ends' losses.
    return static_cast<double>(count_scored_ends(batch)) / 2.0;
  }
  if (class_weights.empty()) {
    return static_cast<double>(count_scored(batch.targets));
  }
  double sum = 0.0;
  for (const std::int32_t target : batch.targets) {
    sum += target >= 0 ? static_cast<double>(class_weights[static_cast<std::size_t>(target)]) : 0.0;
  }
  return sum;
}

void TransformerModel::run_microbatch(const Microbatch& micro, PhaseSeconds& phases) {
  Training& training = *training_;
  const TrainingOptions& options = training.options;
  const DeviceBatch device = upload(backend_, config_, micro.batch, training.integers);
  const bool bf16 = options.precision == Precision::kAmpBf16;
  PassContext context{backend_, config_, weights_for(bf16), device, training.outer, phases};
  context.bf16 = bf16;
  context.drops = micro.with_dropout;
  context.seed = options.seed;
  context.step = micro.step;
  context.first_sample = micro.first_sample;
  const ConstValues hidden = ForwardPass(context).run(training.inputs, training.blocks);
  {
    const PhaseTimer timer(phases.classifier);
    const Heads heads(context, training.head, options.label_smoothing, !options.class_weights.empty());
    const HeadTargets targets = heads.upload(micro.batch, options.class_weights);
    heads.run_backward(hidden, micro.batch, targets,
                       {static_cast<float>(1.0 / micro.scored), static_cast<float>(1.0 / micro.scored_sentences)},
                       training.table, micro.accumulate);
  }
  BackwardPass(context, training.table, {training.d_residual, training.d_branch, training.d_wide}, micro.accumulate)
      .run(training.inputs, training.blocks, options.recompute);
}

void TransformerModel::forward_backward(const Batch& batch, std::uint32_t step, bool with_dropout,
                                        PhaseSeconds& phases) {
  Training& training = prepared();
  const TrainingOptions& options = training.options;
  if (batch.seq_len > options.seq_len) {
    fail_shape("A batch of " + std::to_string(batch.seq_len) +
               " positions was given; training was prepared for at most " + std::to_string(options.seq_len) + ".");
  }
  check_batch(batch, true);
  std::int64_t group = options.microbatch_size;
  if (config_.head == HeadKind::kMultipleChoice) {
    group = group / batch.choices * batch.choices;
    if (group == 0) {
      fail_shape("A question has " + std::to_string(batch.choices) + " choices, more than a microbatch of " +
                 std::to_string(options.microbatch_size) + " sequences; raise the microbatch size.");
    }
  }
  Microbatch micro;
  micro.step = step;
  micro.with_dropout = with_dropout;
  micro.scored = scored_weight(batch, options.class_weights);
  micro.scored_sentences = std::max(1.0, static_cast<double>(count_scored(batch.sentence_targets)));
  if (!(micro.scored > 0.0)) {
    // Nothing is predicted: a loss of zero without a gradient, as a masked batch can happen to be.
    micro.scored = 1.0;
  }
  // A whole causal model writes every gradient in its first microbatch, but for those of positions and token types;
  // where something may be left out all start from zero.
  const bool writes_first = config_.head == HeadKind::kCausalLm && training.trains_everything;
  if (writes_first) {
    backend_.zero(training.table.position_embedding,
                  static_cast<std::size_t>(config_.max_seq_len * config_.d_model) * sizeof(float));
  } else {
    backend_.zero(training.gradients.floats(), static_cast<std::size_t>(training.gradient_count) * sizeof(float));
  }
  backend_.zero(training.head.losses, sizeof(StepSums));
  training.scored = micro.scored;
  training.scored_sentences = micro.scored_sentences;
  for (std::int64_t first = 0; first < batch.batch; first += group) {
    micro.batch = part_of(batch, config_.head, first, std::min(group, batch.batch - first));
    micro.first_sample = static_cast<std::uint32_t>(first);
    micro.accumulate = first > 0 || !writes_first;
    run_microbatch(micro, phases);
  }
}

StepSums TransformerModel::read_sums(const HeadActivations& head) const {
  StepSums sums{};
  backend_.copy_to_host(&sums, head.losses, sizeof sums);
  return sums;
}

double TransformerModel::mean_loss(const StepSums& sums) const {
  return sums.main_loss(config_.head) / training_->scored + sums.sentence / training_->scored_sentences;
}

StepResult TransformerModel::update(bool loss_is_known, std::int64_t step, double learning_rate, PhaseSeconds& phases) {
  Training& training = prepared();
  if (step < 1 || !std::isfinite(learning_rate) || learning_rate < 0) {
    throw Error("TRAINING_OPTIONS_INVALID", "Update " + std::to_string(step) + " at learning rate " +
                                                std::to_string(learning_rate) +
                                                " cannot be applied; steps count from 1 and the rate is at least 0.");
  }
  StepResult result;
  const PhaseTimer timer(phases.optimizer);
  // The padding between tensors is zero from the start and nobody writes it.
  backend_.zero(&training.head.losses->squares, sizeof(double));
  backend_.square_sum(training.gradients.floats(), training.gradient_count, &training.head.losses->squares);
  const StepSums sums = read_sums(training.head);
  result.loss = loss_is_known ? mean_loss(sums) : std::numeric_limits<double>::quiet_NaN();
  result.gradient_norm = std::sqrt(sums.squares);
  if (!std::isfinite(result.gradient_norm) || (loss_is_known && !std::isfinite(result.loss))) {
    return result;
  }
  const double scale = training.options.gradient_clipping
                           ? clipping_scale(result.gradient_norm, *training.options.gradient_clipping)
                           : 1.0;
  AdamWStep call = adamw_scalars(training.options.optimizer, step, learning_rate, scale);
  const bool is_8bit = training.options.optimizer_state == OptimizerStateType::k8Bit;
  const std::int64_t moment_count = is_8bit ? training.gradient_count / kMomentBlock : training.gradient_count;
  const bool writes_copies = wants_copies(training.options.precision == Precision::kAmpBf16);
  call.stochastic_rounding = training.options.stochastic_rounding;
  call.seed = training.options.seed;
  call.step = static_cast<std::uint32_t>(step);
  for (const Training::Run& run : training.runs) {
    const std::int64_t at = run.gradient_offset;
    const std::int64_t moment_at = is_8bit ? at / kMomentBlock : at;
    call.parameters = reinterpret_cast<float*>(parameter_memory_.bytes() + run.parameter_offset_bytes);
    call.gradients = training.gradients.floats() + at;
    call.first_moment = training.moments.floats() + moment_at;
    call.second_moment = training.moments.floats() + moment_count + moment_at;
    if (is_8bit) {
      auto* codes = reinterpret_cast<std::uint8_t*>(training.moments.floats() + 2 * moment_count);
      call.first_codes = codes + at;
      call.second_codes = codes + training.gradient_count + at;
    }
    if (writes_copies) {
      call.bf16_parameters = weight_copies().at(run.first_tensor);
      call.first_parameter = static_cast<std::int64_t>(run.parameter_offset_bytes / sizeof(float));
    }
    call.segments = run.segments;
    backend_.adamw_step(call);
  }
  if (writes_copies) {
    copies_->rounded_step = call.stochastic_rounding ? step : 0;
  } else {
    forget_trained_copies();
  }
  result.applied = true;
  return result;
}

StepResult TransformerModel::train_batch(const Batch& batch, std::int64_t step, double learning_rate) {
  const auto start = std::chrono::steady_clock::now();
  PhaseSeconds phases;
  if (training_ != nullptr && training_->options.stochastic_rounding) {
    round_copies_as_after(step - 1);
  }
  forward_backward(batch, static_cast<std::uint32_t>(step), true, phases);
  StepResult result = update(true, step, learning_rate, phases);
  result.tokens = batch.segments.empty() ? batch.batch * batch.seq_len : count_scored(batch.segments);
  result.phases = phases;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

// (batch, seq_len + 1) tokens as inputs and the same one place later.
Batch TransformerModel::windows(std::span<const std::int32_t> tokens, std::int64_t batch, std::int64_t seq_len) {
  if (batch < 1 || seq_len < 1 || tokens.size() != static_cast<std::size_t>(batch * (seq_len + 1))) {
    fail_shape("A batch of " + std::to_string(batch) + " × " + std::to_string(seq_len + 1) +
               " tokens was announced and " + std::to_string(tokens.size()) + " came.");
  }
  window_inputs_.resize(static_cast<std::size_t>(batch * seq_len));
  window_targets_.resize(window_inputs_.size());
  for (std::int64_t row = 0; row < batch; ++row) {
    const std::int32_t* window = tokens.data() + row * (seq_len + 1);
    std::copy_n(window, seq_len, window_inputs_.data() + row * seq_len);
    std::copy_n(window + 1, seq_len, window_targets_.data() + row * seq_len);
  }
  Batch whole;
  whole.batch = batch;
  whole.seq_len = seq_len;
  whole.tokens = window_inputs_;
  whole.targets = window_targets_;
  return whole;
}

StepResult TransformerModel::train_step(std::span<const std::int32_t> tokens, std::int64_t step, double learning_rate) {
  const TrainingOptions& options = prepared().options;
  return train_batch(windows(tokens, options.global_batch_size, options.seq_len), step, learning_rate);
}

double TransformerModel::compute_gradients(const Batch& batch) {
  PhaseSeconds phases;
  forward_backward(batch, 0, false, phases);
  return mean_loss(read_sums(training_->head));
}

double TransformerModel::compute_gradients(std::span<const std::int32_t> tokens, std::int64_t batch,
                                           std::int64_t seq_len) {
  return compute_gradients(windows(tokens, batch, seq_len));
}

StepResult TransformerModel::apply_update(std::int64_t step, double learning_rate) {
  PhaseSeconds phases;
  return update(false, step, learning_rate, phases);
}

bool TransformerModel::read_stored_moments(std::size_t index, std::vector<float>& first,
                                           std::vector<float>& second) const {
  const Training& training = prepared();
  const std::int64_t offset = training.gradient_offsets[index];
  if (offset < 0) {
    return false;
  }
  const auto count = static_cast<std::size_t>(layout_.stored[index].count);
  first.resize(count);
  second.resize(count);
  if (training.options.optimizer_state == OptimizerStateType::k8Bit) {
    const EightBitMoments at = eight_bit_moments(index);
    const auto blocks = static_cast<std::size_t>(moment_block_count(static_cast<std::int64_t>(count)));
    std::vector<std::uint8_t> codes(count);
    std::vector<float> scales(blocks);
    const auto read = [&](Moment moment, const std::uint8_t* from, const float* from_scales, std::span<float> to) {
      backend_.copy_to_host(codes.data(), from, codes.size());
      backend_.copy_to_host(scales.data(), from_scales, scales.size() * sizeof(float));
      decode_moments(moment, codes.data(), scales.data(), to);
    };
    read(Moment::kFirst, at.first_codes, at.first_scales, first);
    read(Moment::kSecond, at.second_codes, at.second_scales, second);
    return true;
  }
  const float* moments = training.moments.floats() + offset;
  backend_.copy_to_host(first.data(), moments, count * sizeof(float));
  backend_.copy_to_host(second.data(), moments + training.gradient_count, count * sizeof(float));
  return true;
}

void TransformerModel::write_stored_moments(std::size_t index, std::span<const float> first,
                                            std::span<const float> second) {
  Training& training = prepared();
  if (training.options.optimizer_state == OptimizerStateType::k8Bit) {
    const EightBitMoments at = eight_bit_moments(index);
    std::vector<std::uint8_t> codes(first.size());
    std::vector<float> scales(static_cast<std::size_t>(moment_block_count(static_cast<std::int64_t>(first.size()))));
    const auto write = [&](Moment moment, std::span<const float> values, std::uint8_t* to, float* to_scales) {
      encode_moments(moment, values, codes.data(), scales.data());
      backend_.copy_to_backend(to, codes.data(), codes.size());
      backend_.copy_to_backend(to_scales, scales.data(), scales.size() * sizeof(float));
    };
    write(Moment::kFirst, first, at.first_codes, at.first_scales);
    write(Moment::kSecond, second, at.second_codes, at.second_scales);
    return;
  }
  float* moments = training.moments.floats() + training.gradient_offsets[index];
  backend_.copy_to_backend(moments, first.data(), first.size_bytes());
  backend_.copy_to_backend(moments + training.gradient_count, second.data(), second.size_bytes());
}

TransformerModel::EightBitMoments TransformerModel::eight_bit_moments(std::size_t index) const {
  const Training& training = prepared();
  const std::int64_t offset = training.gradient_offsets[index];
  const std::int64_t blocks = training.gradient_count / kMomentBlock;
  float* scales = training.moments.floats();
  auto* codes = reinterpret_cast<std::uint8_t*>(scales + 2 * blocks);
  return {codes + offset, codes + training.gradient_count + offset, scales + offset / kMomentBlock,
          scales + blocks + offset / kMomentBlock};
}

} // namespace assay
