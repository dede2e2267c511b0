// What stands on the final hidden states: the output layer over the vocabulary, the masked language model's transform,
// the pooler and the small linear heads, with their losses and gradients. Private to this folder.
#pragma once

#include "engine/model/backward-pass.h"

namespace assay {

struct HeadScale {
  float main = 0; // what the summed losses are multiplied by, in the gradient
  float sentence = 0;
};

// Rows of a microbatch that matter to its head, brought to the backend.
struct HeadTargets {
  std::int64_t scored_rows = 0; // masked LM: gathered rows
  bool has_sentence_targets = false;
};

class Heads {
public:
  Heads(const PassContext& context, const HeadActivations& activations, float label_smoothing = 0.0F,
        bool has_class_weights = false)
      : p_(context), a_(activations), label_smoothing_(label_smoothing), has_class_weights_(has_class_weights) {}

  // Copies targets and row numbers; `class_weights` may be empty.
  HeadTargets upload(const Batch& batch, std::span<const float> class_weights) const;
  // The rows alone, for predictions.
  void upload_rows(const Batch& batch) const;
  ConstValues small_logits() const { return a_.logits; }
  StepSums* losses() const { return a_.losses; }
  // Adds losses to activations.losses; `run_backward` also finds the gradients of the head's parameters and of the
  // hidden states (outer.branch).
  void run(ConstValues hidden, const Batch& batch, const HeadTargets& targets) const;
  void run_backward(ConstValues hidden, const Batch& batch, const HeadTargets& targets, const HeadScale& scale,
                    const ModelGradients& gradients, bool accumulate) const;

  // The small head's outputs into activations.logits; returns their number.
  std::int64_t predict_small(ConstValues hidden, const Batch& batch) const;
  // Masked LM: all rows of `hidden` through the transform; returns where its output lies (M, C).
  ConstValues transform_all(ConstValues hidden) const;

private:
  void transform(ConstValues input, std::int64_t rows) const;
  ConstValues pool(ConstValues hidden, std::int64_t sequences) const;
  void small_linear(ConstValues input, std::int64_t rows) const;
  void small_loss(const Batch& batch, float scale, bool backward) const;
  void small_backward(ConstValues input, std::int64_t rows, Values d_input, const ModelGradients& g,
                      bool accumulate) const;
  Classifier classifier(ConstValues hidden, std::int64_t rows, const std::int32_t* targets) const;
  // Dropout in place, before the small head.
  void drop(Values values, std::int64_t rows, std::int64_t rows_per_sample) const;

  const PassContext& p_;
  const HeadActivations& a_;
  float label_smoothing_;
  bool has_class_weights_;
};

} // namespace assay
