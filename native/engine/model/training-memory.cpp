// What training needs besides the weights: which tensors it trains, the plan as arithmetic, and the allocation.
#include "engine/base/error.h"
#include "engine/model/activations.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

void check_option(bool is_valid, const char* name, std::int64_t value, const std::string& wanted) {
  if (!is_valid) {
    throw Error("TRAINING_OPTIONS_INVALID", std::string("The training option ") + name + " is " +
                                                std::to_string(value) + "; it must be " + wanted + ".");
  }
}

void check_options(const TrainingOptions& options, const ModelConfig& config) {
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
  if (!(options.label_smoothing >= 0.0F && options.label_smoothing < 1.0F)) {
    throw Error("TRAINING_OPTIONS_INVALID", "The training option label_smoothing is " +
                                                std::to_string(options.label_smoothing) +
                                                "; it must be at least 0 and below 1.");
  }
  const bool takes_class_weights =
      config.head == HeadKind::kSequenceClassification || config.head == HeadKind::kTokenClassification;
  if (!options.class_weights.empty() &&
      (!takes_class_weights || static_cast<std::int64_t>(options.class_weights.size()) != config.n_labels)) {
    throw Error("TRAINING_OPTIONS_INVALID",
                "The training option class_weights has " + std::to_string(options.class_weights.size()) +
                    " entries; it takes one a label of a sequence or token classification head" +
                    (takes_class_weights ? ", here " + std::to_string(config.n_labels) : std::string()) + ".");
  }
  for (const float weight : options.class_weights) {
    if (!std::isfinite(weight) || weight < 0.0F) {
      throw Error("TRAINING_OPTIONS_INVALID", "The training option class_weights holds " + std::to_string(weight) +
                                                  "; weights are finite and at least 0.");
    }
  }
  validate(options.optimizer);
}

bool matches_any(const ParameterLayout& layout, std::size_t stored, const std::vector<std::string>& patterns) {
  return std::any_of(layout.tensors.begin(), layout.tensors.end(), [&](const ParameterTensor& tensor) {
    return tensor.stored == stored && std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
             return matches_pattern(tensor.name, pattern);
           });
  });
}

// Which stored tensors are trained. Under LoRA: the adapters and the small head, which has nothing to start from.
std::vector<bool> trained_tensors(const ModelConfig& config, const ParameterLayout& layout,
                                  const TrainingOptions& options) {
  std::vector<bool> trained(layout.stored.size());
  for (std::size_t index = 0; index < trained.size(); ++index) {
    const StoredTensor& tensor = layout.stored[index];
    const bool is_adapter = tensor.kind == ParameterKind::kLoraA || tensor.kind == ParameterKind::kLoraB;
    const bool is_small_head = config.head_outputs() > 0 &&
                               (index == layout.head.weight || (layout.head.has_bias && index == layout.head.bias));
    const bool is_open = config.lora.rank == 0 ? tensor.type == DataType::kF32 : is_adapter || is_small_head;
    trained[index] = is_open && !matches_any(layout, index, options.frozen);
  }
  if (std::none_of(trained.begin(), trained.end(), [](bool is_trained) { return is_trained; })) {
    throw Error("TRAINING_OPTIONS_INVALID", "Nothing is left to train: every tensor is frozen; check the patterns of "
                                            "frozen tensors and how the weights are stored.");
  }
  return trained;
}

std::size_t moment_bytes(OptimizerStateType type, std::int64_t count) {
  const auto elements = static_cast<std::size_t>(count);
  return type == OptimizerStateType::kFp32 ? 2 * elements * sizeof(float)
                                           : 2 * elements + 2 * elements / kMomentBlock * sizeof(float);
}

std::int64_t padded(std::int64_t count) {
  return (count + kMomentBlock - 1) / kMomentBlock * kMomentBlock;
}

std::int64_t gradient_count_of(const ParameterLayout& layout, const std::vector<bool>& trained) {
  std::int64_t count = 0;
  for (std::size_t index = 0; index < trained.size(); ++index) {
    count += trained[index] ? padded(layout.stored[index].count) : 0;
  }
  return count;
}

} // namespace

MemoryPlan TransformerModel::plan_training(const TrainingOptions& options) const {
  return plan_training(backend_, config_, options);
}

MemoryPlan TransformerModel::plan_training(const Backend& backend, const ModelConfig& given,
                                           const TrainingOptions& options) {
  const ModelConfig config = checked(given);
  check_options(options, config);
  const ParameterLayout layout = parameter_layout(config);
  const std::int64_t gradient_count = gradient_count_of(layout, trained_tensors(config, layout, options));
  MemoryPlan plan;
  plan.parameter_bytes = layout.size_bytes;
  plan.gradient_bytes = static_cast<std::size_t>(gradient_count) * sizeof(float);
  plan.optimizer_bytes = moment_bytes(options.optimizer_state, gradient_count);
  const ArenaKind kind = arena_kind(backend, options.precision);
  plan.weight_copy_bytes =
      kind.type == DataType::kBf16 ? static_cast<std::size_t>(copy_count(layout)) * sizeof(std::uint16_t) : 0;
  plan.activation_bytes = Training{}.lay_out(config, options, kind, nullptr);
  plan.workspace_bytes = backend.workspace_bytes(
      workspace_request(config, options.microbatch_size * options.seq_len, options.seq_len, true));
  plan.total_bytes = plan.parameter_bytes + plan.weight_copy_bytes + plan.gradient_bytes + plan.optimizer_bytes +
                     plan.activation_bytes + plan.workspace_bytes;
  return plan;
}

MemoryPlan TransformerModel::prepare_training(const TrainingOptions& options) {
  const MemoryPlan plan = plan_training(options);
  // The old memory goes first: two plans need not fit side by side. Inference may have borrowed from it.
  training_.reset();
  inference_.reset();
  if (plan.weight_copy_bytes == 0) {
    copies_.reset();
  } else {
    weight_copies();
  }
  auto training = std::make_unique<Training>();
  training->options = options;
  training->plan = plan;
  const std::vector<bool> trained = trained_tensors(config_, layout_, options);
  training->gradient_offsets.assign(trained.size(), -1);
  for (std::size_t index = 0; index < trained.size(); ++index) {
    if (!trained[index]) {
      training->trains_everything = false;
      continue;
    }
    const StoredTensor& tensor = layout_.stored[index];
    // A run ends where a frozen tensor lies between: parameters then jump and gradients do not.
    const bool follows = index > 0 && trained[index - 1] && !training->runs.empty();
    if (!follows) {
      training->runs.push_back({tensor.offset_bytes, training->gradient_count, index, {}});
    }
    training->gradient_offsets[index] = training->gradient_count;
    training->runs.back().segments.push_back({training->gradient_count - training->runs.back().gradient_offset,
                                              tensor.count, !matches_any(layout_, index, options.optimizer.no_decay)});
    training->gradient_count += padded(tensor.count);
  }
  training->gradients = Buffer(backend_, plan.gradient_bytes);
  training->moments = Buffer(backend_, plan.optimizer_bytes);
  training->arena = Buffer(backend_, plan.activation_bytes);
  training->lay_out(config_, options, arena_kind(backend_, options.precision), training->arena.bytes());
  backend_.reserve_workspace(plan.workspace_bytes);
  const auto gradient_at = [&](std::size_t index) {
    const std::int64_t offset = training->gradient_offsets[index];
    return offset < 0 ? nullptr : training->gradients.floats() + offset;
  };
  training->table = bind_pointers<float*>(config_, layout_, gradient_at, gradient_at);
  training_ = std::move(training);
  return plan;
}

MemoryPlan TransformerModel::allocated_memory() const {
  const Training& training = prepared();
  MemoryPlan held;
  held.parameter_bytes = parameter_memory_.size_bytes();
  held.gradient_bytes = training.gradients.size_bytes();
  held.optimizer_bytes = training.moments.size_bytes();
  held.activation_bytes = training.arena.size_bytes();
  held.workspace_bytes = backend_.reserved_workspace_bytes();
  held.weight_copy_bytes = copies_ != nullptr ? copies_->memory.size_bytes() : 0;
  held.total_bytes = held.parameter_bytes + held.weight_copy_bytes + held.gradient_bytes + held.optimizer_bytes +
                     held.activation_bytes + held.workspace_bytes;
  return held;
}

} // namespace assay
