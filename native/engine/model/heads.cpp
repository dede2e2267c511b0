#include "engine/model/heads.h"

#include <vector>

namespace assay {

namespace {

// Where a sequence head reads: an encoder's first position; a decoder's last that is no padding, which alone has seen
// the whole text.
std::int32_t row_of_sequence(const ModelConfig& config, const Batch& batch, std::int64_t sequence) {
  std::int64_t at = 0;
  if (config.is_causal()) {
    at = batch.seq_len - 1;
    while (at > 0 && !batch.segments.empty() &&
           batch.segments[static_cast<std::size_t>(sequence * batch.seq_len + at)] < 0) {
      --at;
    }
  }
  return static_cast<std::int32_t>(sequence * batch.seq_len + at);
}

} // namespace

void Heads::upload_rows(const Batch& batch) const {
  if (!p_.config.has_sequence_head()) {
    return;
  }
  std::vector<std::int32_t> rows;
  for (std::int64_t sequence = 0; sequence < batch.batch; ++sequence) {
    rows.push_back(row_of_sequence(p_.config, batch, sequence));
  }
  p_.backend.copy_to_backend(a_.sequence_rows, rows.data(), rows.size() * sizeof(std::int32_t));
}

HeadTargets Heads::upload(const Batch& batch, std::span<const float> class_weights) const {
  const ModelConfig& c = p_.config;
  HeadTargets found;
  const auto copy = [&](std::int32_t* to, const std::vector<std::int32_t>& values) {
    p_.backend.copy_to_backend(to, values.data(), values.size() * sizeof(std::int32_t));
  };
  if (!class_weights.empty()) {
    p_.backend.copy_to_backend(a_.class_weights, class_weights.data(), class_weights.size_bytes());
  }
  upload_rows(batch);
  if (c.head == HeadKind::kSpanQa) {
    std::vector<std::int32_t> lengths;
    for (std::int64_t sequence = 0; sequence < batch.batch; ++sequence) {
      lengths.push_back(static_cast<std::int32_t>(length_of_sequence(batch, sequence)));
    }
    copy(a_.valid, lengths);
  }
  if (c.head == HeadKind::kCausalLm) {
    p_.backend.copy_to_backend(a_.targets, batch.targets.data(), batch.targets.size_bytes());
    found.scored_rows = p_.batch.rows();
  } else if (c.has_masked_lm()) {
    std::vector<std::int32_t> rows;
    std::vector<std::int32_t> targets;
    for (std::size_t row = 0; row < batch.targets.size(); ++row) {
      if (batch.targets[row] >= 0) {
        rows.push_back(static_cast<std::int32_t>(row));
        targets.push_back(batch.targets[row]);
      }
    }
    copy(a_.rows, rows);
    copy(a_.targets, targets);
    found.scored_rows = static_cast<std::int64_t>(rows.size());
  }
  if (c.head == HeadKind::kPretraining) {
    found.has_sentence_targets = !batch.sentence_targets.empty();
    p_.backend.copy_to_backend(a_.small_targets, batch.sentence_targets.data(), batch.sentence_targets.size_bytes());
  } else if (!c.has_language_model() && c.head == HeadKind::kSpanQa && !batch.targets.empty()) {
    // First positions, then last positions; one beyond the text is not scored.
    std::vector<std::int32_t> targets(batch.targets.size());
    const auto count = static_cast<std::size_t>(batch.batch);
    for (std::size_t sequence = 0; sequence < count; ++sequence) {
      const std::int64_t length = length_of_sequence(batch, static_cast<std::int64_t>(sequence));
      for (std::size_t which = 0; which < 2; ++which) {
        const std::int32_t target = batch.targets[2 * sequence + which];
        targets[which * count + sequence] = target < length ? target : -1;
      }
    }
    copy(a_.small_targets, targets);
  } else if (!c.has_language_model()) {
    p_.backend.copy_to_backend(a_.small_targets, batch.targets.data(), batch.targets.size_bytes());
  }
  return found;
}

void Heads::drop(Values values, std::int64_t rows, std::int64_t rows_per_sample) const {
  p_.backend.dropout(values, rows, p_.config.d_model, rows_per_sample,
                     p_.dropout(p_.config.classifier_pdrop, head_site(p_.config)));
}

void Heads::transform(ConstValues input, std::int64_t rows) const {
  LinearForward dense{};
  dense.input = input;
  dense.weight = p_.weights.transform.weight;
  dense.bias = p_.weights.transform.bias;
  dense.output = a_.transformed;
  dense.pre_activation = a_.transform_sum;
  dense.activation = p_.config.activation;
  dense.rows = rows;
  dense.in = dense.out = p_.config.d_model;
  dense.bf16 = p_.bf16;
  p_.backend.linear_forward(dense);
  LayerNormForward norm{};
  norm.residual = a_.transformed;
  norm.weight = p_.weights.transform_norm.weight;
  norm.bias = p_.weights.transform_norm.bias;
  norm.output = a_.normed;
  norm.mean = a_.mean;
  norm.inverse_deviation = a_.inverse_deviation;
  norm.rows = rows;
  norm.channels = p_.config.d_model;
  norm.rows_per_sample = rows;
  norm.epsilon = p_.config.layer_norm_eps;
  p_.backend.layer_norm_forward(norm);
}

ConstValues Heads::transform_all(ConstValues hidden) const {
  transform(hidden, p_.batch.rows());
  return a_.normed;
}

// What the small head of a sequence reads, (B, C).
ConstValues Heads::pool(ConstValues hidden, std::int64_t sequences) const {
  const std::int64_t channels = p_.config.d_model;
  if (!p_.config.has_pooler()) {
    p_.backend.gather_rows(hidden, a_.sequence_rows, a_.pooled, sequences, channels);
  } else {
    p_.backend.gather_rows(hidden, a_.sequence_rows, a_.pooled_input, sequences, channels);
    LinearForward dense{};
    dense.input = a_.pooled_input;
    dense.weight = p_.weights.pooler.weight;
    dense.bias = p_.weights.pooler.bias;
    dense.output = a_.pooled;
    dense.pre_activation = a_.pooled_sum;
    dense.activation = Activation::kTanh;
    dense.rows = sequences;
    dense.in = dense.out = channels;
    dense.bf16 = p_.bf16;
    p_.backend.linear_forward(dense);
  }
  // Pretraining has no dropout before its sentence head.
  if (p_.config.head != HeadKind::kPretraining) {
    drop(a_.pooled, sequences, 1);
  }
  return a_.pooled;
}

void Heads::small_linear(ConstValues input, std::int64_t rows) const {
  LinearForward call{};
  call.input = input;
  call.weight = p_.weights.head.weight;
  call.bias = p_.weights.head.bias;
  call.output = a_.logits;
  call.rows = rows;
  call.in = p_.weights.head.in;
  call.out = p_.weights.head.out;
  call.bf16 = p_.bf16;
  p_.backend.linear_forward(call);
}

std::int64_t Heads::predict_small(ConstValues hidden, const Batch& batch) const {
  const std::int64_t outputs = p_.config.head_outputs();
  if (p_.config.has_sequence_head()) {
    small_linear(pool(hidden, batch.batch), batch.batch);
    return batch.batch * outputs;
  }
  small_linear(hidden, p_.batch.rows());
  return p_.batch.rows() * outputs;
}

void Heads::small_loss(const Batch& batch, float scale, bool backward) const {
  const ModelConfig& c = p_.config;
  CrossEntropy call{};
  call.logits = a_.logits;
  call.targets = a_.small_targets;
  call.label_smoothing = c.head == HeadKind::kPretraining ? 0.0F : label_smoothing_;
  call.class_weights = has_class_weights_ ? a_.class_weights : nullptr;
  call.d_logits = backward ? a_.d_logits : Values();
  call.gradient_scale = scale;
  call.loss = &(c.head == HeadKind::kPretraining ? a_.losses->sentence : a_.losses->main);
  if (c.head == HeadKind::kSpanQa) {
    // Positions are the classes; the loss is the mean of the start's and the end's.
    call.rows = batch.batch;
    call.classes = batch.seq_len;
    call.row_stride = 2 * batch.seq_len;
    call.class_stride = 2;
    call.valid = a_.valid;
    call.gradient_scale = scale / 2;
    p_.backend.cross_entropy(call);
    call.logits = call.logits + 1;
    call.targets += batch.batch;
    if (backward) {
      call.d_logits = call.d_logits + 1;
    }
    p_.backend.cross_entropy(call);
    return;
  }
  const std::int64_t outputs = c.head_outputs();
  const std::int64_t rows = c.has_sequence_head() ? batch.batch : p_.batch.rows();
  const std::int64_t choices = c.head == HeadKind::kMultipleChoice ? batch.choices : 1;
  call.rows = rows / choices;
  call.classes = outputs * choices;
  call.row_stride = outputs * choices;
  call.class_stride = 1;
  p_.backend.cross_entropy(call);
}

void Heads::small_backward(ConstValues input, std::int64_t rows, Values d_input, const ModelGradients& g,
                           bool accumulate) const {
  LinearBackward call{};
  call.d_output = a_.d_logits;
  call.input = input;
  call.weight = p_.weights.head.weight;
  call.d_input = d_input;
  call.d_weight = g.head.weight;
  call.d_bias = g.head.bias;
  call.rows = rows;
  call.in = p_.weights.head.in;
  call.out = p_.weights.head.out;
  call.accumulate = accumulate;
  call.bf16 = p_.bf16;
  p_.backend.linear_backward(call);
}

Classifier Heads::classifier(ConstValues hidden, std::int64_t rows, const std::int32_t* targets) const {
  Classifier call{};
  call.hidden = hidden;
  call.weight = p_.weights.token_embedding;
  call.targets = targets;
  call.rows = rows;
  call.channels = p_.config.d_model;
  call.vocab_size = p_.config.vocab_size;
  call.bias = p_.weights.vocabulary_bias;
  call.label_smoothing = label_smoothing_;
  call.bf16 = p_.bf16;
  call.loss = &a_.losses->main;
  return call;
}

void Heads::run(ConstValues hidden, const Batch& batch, const HeadTargets& targets) const {
  const ModelConfig& c = p_.config;
  if (c.head == HeadKind::kCausalLm) {
    p_.backend.classifier_evaluate(classifier(hidden, p_.batch.rows(), a_.targets));
  } else if (c.has_masked_lm() && targets.scored_rows > 0) {
    p_.backend.gather_rows(hidden, a_.rows, a_.gathered, targets.scored_rows, c.d_model);
    transform(a_.gathered, targets.scored_rows);
    p_.backend.classifier_evaluate(classifier(a_.normed, targets.scored_rows, a_.targets));
  }
  if (!c.has_language_model()) {
    predict_small(hidden, batch);
    small_loss(batch, 0.0F, false);
  } else if (c.head == HeadKind::kPretraining && targets.has_sentence_targets) {
    predict_small(hidden, batch);
    small_loss(batch, 0.0F, false);
  }
}

void Heads::run_backward(ConstValues hidden, const Batch& batch, const HeadTargets& targets, const HeadScale& scale,
                         const ModelGradients& g, bool accumulate) const {
  const ModelConfig& c = p_.config;
  const Values d_hidden = p_.outer.branch;
  const std::int64_t channels = c.d_model;
  const std::int64_t rows = p_.batch.rows();
  if (c.head == HeadKind::kCausalLm) {
    Classifier call = classifier(hidden, rows, a_.targets);
    call.d_hidden = d_hidden;
    call.d_weight = g.token_embedding;
    call.gradient_scale = scale.main;
    call.accumulate = accumulate;
    p_.backend.classifier_train(call);
    return;
  }
  if (c.head == HeadKind::kTokenClassification || c.head == HeadKind::kSpanQa) {
    ConstValues input = hidden;
    if (p_.drops && c.classifier_pdrop > 0.0F) {
      p_.backend.copy_columns(a_.gathered, channels, hidden, channels, rows, channels, false);
      drop(a_.gathered, rows, batch.seq_len);
      input = a_.gathered;
    }
    small_linear(input, rows);
    small_loss(batch, scale.main, true);
    small_backward(input, rows, d_hidden, g, accumulate);
    drop(d_hidden, rows, batch.seq_len);
    return;
  }
  p_.backend.zero(d_hidden.data, static_cast<std::size_t>(rows * channels) * size_of(d_hidden.type));
  if (c.has_masked_lm() && targets.scored_rows > 0) {
    p_.backend.gather_rows(hidden, a_.rows, a_.gathered, targets.scored_rows, channels);
    transform(a_.gathered, targets.scored_rows);
    Classifier call = classifier(a_.normed, targets.scored_rows, a_.targets);
    // transform_sum's gradient takes the place of `normed` once that is used up; until then that of `normed` needs one.
    const Values d_normed = p_.outer.branch; // zeroed again below
    call.d_hidden = d_normed;
    call.d_weight = g.token_embedding;
    call.d_bias = g.vocabulary_bias;
    call.gradient_scale = scale.main;
    call.accumulate = accumulate;
    p_.backend.classifier_train(call);
    LayerNormBackward norm{};
    norm.d_output = d_normed;
    norm.input = a_.transformed;
    norm.weight = p_.weights.transform_norm.weight;
    norm.mean = a_.mean;
    norm.inverse_deviation = a_.inverse_deviation;
    norm.d_residual_output = a_.normed;
    norm.d_weight = g.transform_norm.weight;
    norm.d_bias = g.transform_norm.bias;
    norm.rows = targets.scored_rows;
    norm.channels = channels;
    norm.rows_per_sample = targets.scored_rows;
    norm.accumulate = accumulate;
    p_.backend.layer_norm_backward(norm);
    p_.backend.activation_backward(a_.normed, a_.transform_sum, targets.scored_rows * channels, c.activation);
    LinearBackward dense{};
    dense.d_output = a_.normed;
    dense.input = a_.gathered;
    dense.weight = p_.weights.transform.weight;
    dense.d_input = a_.transformed;
    dense.d_weight = g.transform.weight;
    dense.d_bias = g.transform.bias;
    dense.rows = targets.scored_rows;
    dense.in = dense.out = channels;
    dense.accumulate = accumulate;
    dense.bf16 = p_.bf16;
    p_.backend.linear_backward(dense);
    p_.backend.zero(d_hidden.data, static_cast<std::size_t>(targets.scored_rows * channels) * size_of(d_hidden.type));
    p_.backend.scatter_add_rows(a_.transformed, a_.rows, d_hidden, targets.scored_rows, channels);
  }
  if (c.has_sequence_head() && (c.head != HeadKind::kPretraining || targets.has_sentence_targets)) {
    const std::int64_t sequences = batch.batch;
    const bool is_pretraining = c.head == HeadKind::kPretraining;
    small_linear(pool(hidden, sequences), sequences);
    small_loss(batch, is_pretraining ? scale.sentence : scale.main, true);
    small_backward(a_.pooled, sequences, a_.d_pooled, g, accumulate);
    if (!is_pretraining) {
      drop(a_.d_pooled, sequences, 1);
    }
    ConstValues d_rows = a_.d_pooled;
    if (c.has_pooler()) {
      p_.backend.activation_backward(a_.d_pooled, a_.pooled_sum, sequences * channels, Activation::kTanh);
      LinearBackward dense{};
      dense.d_output = a_.d_pooled;
      dense.input = a_.pooled_input;
      dense.weight = p_.weights.pooler.weight;
      dense.d_input = a_.pooled; // used up
      dense.d_weight = g.pooler.weight;
      dense.d_bias = g.pooler.bias;
      dense.rows = sequences;
      dense.in = dense.out = channels;
      dense.accumulate = accumulate;
      dense.bf16 = p_.bf16;
      p_.backend.linear_backward(dense);
      d_rows = a_.pooled;
    }
    p_.backend.scatter_add_rows(d_rows, a_.sequence_rows, d_hidden, sequences, channels);
  }
}

} // namespace assay
