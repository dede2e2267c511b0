// Forward only: scoring and predictions. Keeps nothing between layers, and borrows training's activation memory where
// that is large enough, since the two never run at once.
#include "engine/base/error.h"
#include "engine/model/heads.h"
#include "engine/model/weight-values.h"

#include <algorithm>

namespace assay {

namespace {

// Rows of a group when memory is the model's own to choose: enough to keep the matrix products busy.
constexpr std::int64_t kGroupRows = 2048;

std::int64_t count_scored(std::span<const std::int32_t> targets) {
  return std::count_if(targets.begin(), targets.end(), [](std::int32_t target) { return target >= 0; });
}

// Activations of either type, to the end of `all` on the host.
void append_values(Backend& backend, ConstValues values, std::int64_t count, std::vector<float>& all) {
  const std::size_t before = all.size();
  const auto added = static_cast<std::size_t>(count);
  all.resize(before + added);
  if (values.type == DataType::kF32) {
    backend.copy_to_host(all.data() + before, values.data, added * sizeof(float));
    return;
  }
  std::vector<std::uint16_t> narrow(added);
  backend.copy_to_host(narrow.data(), values.data, added * sizeof(std::uint16_t));
  std::transform(narrow.begin(), narrow.end(), all.begin() + static_cast<std::ptrdiff_t>(before), from_bf16);
}

} // namespace

TransformerModel::Inference& TransformerModel::inference_for(std::int64_t batch, std::int64_t seq_len,
                                                             Precision precision) {
  if (inference_ == nullptr) {
    inference_ = std::make_unique<Inference>();
  }
  Inference& inference = *inference_;
  const ArenaKind kind = arena_kind(backend_, precision);
  const std::size_t wanted = inference.lay_out(config_, batch, seq_len, kind, nullptr);
  if (training_ != nullptr && wanted <= training_->arena.size_bytes()) {
    inference.lay_out(config_, batch, seq_len, kind, training_->arena.bytes());
  } else {
    if (inference.own.size_bytes() < wanted) {
      inference.own = Buffer();
      inference.own = Buffer(backend_, wanted);
    }
    inference.lay_out(config_, batch, seq_len, kind, inference.own.bytes());
  }
  backend_.reserve_workspace(
      backend_.workspace_bytes(workspace_request(config_, batch * seq_len, config_.max_seq_len, false)));
  return inference;
}

template <class Use> void TransformerModel::run_forward(const Batch& batch, const Use& use) {
  // Beside prepared training, no more rows than its plan provided for.
  const std::int64_t group_rows =
      training_ != nullptr ? training_->options.microbatch_size * training_->options.seq_len : kGroupRows;
  std::int64_t group = std::clamp<std::int64_t>(group_rows / batch.seq_len, 1, batch.batch);
  if (config_.head == HeadKind::kMultipleChoice) {
    group = std::max(group / batch.choices, std::int64_t{1}) * batch.choices;
  }
  const Precision precision = training_ != nullptr ? training_->options.precision : inference_precision_;
  const bool bf16 = precision == Precision::kAmpBf16;
  const Inference& inference = inference_for(group, batch.seq_len, precision);
  const ModelWeights& weights = weights_for(bf16);
  PhaseSeconds phases;
  for (std::int64_t first = 0; first < batch.batch; first += group) {
    const Batch part = part_of(batch, config_.head, first, std::min(group, batch.batch - first));
    PassContext context{backend_,        config_, weights, upload(backend_, config_, part, inference.integers),
                        inference.outer, phases};
    context.bf16 = bf16;
    const std::vector<Values> inputs(static_cast<std::size_t>(config_.n_layers) + 1, inference.block.input);
    const std::vector<BlockActivations> blocks(static_cast<std::size_t>(config_.n_layers), inference.block);
    const ConstValues hidden = ForwardPass(context).run(inputs, blocks);
    use(part, context, Heads(context, inference.head), hidden, first);
  }
}

Evaluation TransformerModel::evaluate(const Batch& batch) {
  check_batch(batch, true);
  Evaluation evaluation;
  run_forward(batch,
              [&](const Batch& part, const PassContext&, const Heads& heads, ConstValues hidden, std::int64_t first) {
                if (first == 0) {
                  backend_.zero(heads.losses(), sizeof(StepSums));
                }
                heads.run(hidden, part, heads.upload(part, {}));
                evaluation.token_count +=
                    config_.head == HeadKind::kSpanQa ? (count_scored_ends(part) + 1) / 2 : count_scored(part.targets);
                evaluation.sentence_count += count_scored(part.sentence_targets);
              });
  const StepSums sums = read_sums(inference_->head);
  evaluation.nats = sums.main_loss(config_.head);
  evaluation.sentence_nats = sums.sentence;
  return evaluation;
}

Evaluation TransformerModel::evaluate(std::span<const std::int32_t> inputs, std::span<const std::int32_t> targets,
                                      std::int64_t batch, std::int64_t seq_len) {
  Batch whole;
  whole.batch = batch;
  whole.seq_len = seq_len;
  whole.tokens = inputs;
  whole.targets = targets;
  return evaluate(whole);
}

std::vector<float> TransformerModel::predict(const Batch& batch) {
  check_batch(batch, false);
  std::vector<float> all;
  run_forward(batch, [&](const Batch& part, const PassContext& context, const Heads& heads, ConstValues hidden,
                         std::int64_t) {
    Batch without_targets = part;
    without_targets.targets = {};
    if (!config_.has_language_model()) {
      heads.upload_rows(without_targets);
      const std::int64_t count = heads.predict_small(hidden, without_targets);
      append_values(backend_, heads.small_logits(), count, all);
      return;
    }
    const ConstValues rows = config_.has_masked_lm() ? heads.transform_all(hidden) : hidden;
    const std::int64_t count = context.batch.rows();
    // In groups of rows, so that a device needs no memory for all of them.
    const std::int64_t group = std::min<std::int64_t>(count, 64);
    const Buffer rows_on_backend(backend_, static_cast<std::size_t>(group * config_.vocab_size) * sizeof(float));
    std::size_t at = all.size();
    all.resize(at + static_cast<std::size_t>(count * config_.vocab_size));
    for (std::int64_t first = 0; first < count; first += group) {
      const std::int64_t here = std::min(group, count - first);
      backend_.logits(rows + first * config_.d_model, context.weights.token_embedding, context.weights.vocabulary_bias,
                      rows_on_backend.floats(), here, config_.d_model, config_.vocab_size, context.bf16);
      const auto values = static_cast<std::size_t>(here * config_.vocab_size);
      backend_.copy_to_host(all.data() + at, rows_on_backend.floats(), values * sizeof(float));
      at += values;
    }
  });
  return all;
}

std::vector<float> TransformerModel::predict_sentence_order(const Batch& batch) {
  if (config_.head != HeadKind::kPretraining) {
    throw Error("NOT_SUPPORTED", "Only a model with the pretraining head predicts the order of segments.");
  }
  check_batch(batch, false);
  std::vector<float> all;
  run_forward(batch, [&](const Batch& part, const PassContext&, const Heads& heads, ConstValues hidden, std::int64_t) {
    heads.upload_rows(part);
    const std::int64_t count = heads.predict_small(hidden, part);
    append_values(backend_, heads.small_logits(), count, all);
  });
  return all;
}

std::vector<float> TransformerModel::logits(std::span<const std::int32_t> tokens) {
  Batch batch;
  batch.batch = 1;
  batch.seq_len = static_cast<std::int64_t>(tokens.size());
  batch.tokens = tokens;
  return predict(batch);
}

} // namespace assay
