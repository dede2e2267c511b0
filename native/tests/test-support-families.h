// Small models of every family and head, and a batch for each with padding, two texts in one sequence and targets that
// are not scored.
#pragma once

#include "engine/model/transformer.h"

#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace assay::test {

inline constexpr std::int64_t kBatch = 4;
inline constexpr std::int64_t kSeqLen = 9;
inline constexpr std::int64_t kVocab = 31;
inline constexpr std::int64_t kLabels = 3;

struct Kind {
  const char* title;
  Family family;
  HeadKind head;
};

inline constexpr Kind kKinds[] = {
    {"gpt2 causal-lm", Family::kGpt2, HeadKind::kCausalLm},
    {"gpt2 multiple-choice", Family::kGpt2, HeadKind::kMultipleChoice},
    {"gpt2 sequence-classification", Family::kGpt2, HeadKind::kSequenceClassification},
    {"gpt2 token-classification", Family::kGpt2, HeadKind::kTokenClassification},
    {"gpt2 span-qa", Family::kGpt2, HeadKind::kSpanQa},
    {"bert masked-lm", Family::kBert, HeadKind::kMaskedLm},
    {"bert pretraining", Family::kBert, HeadKind::kPretraining},
    {"bert multiple-choice", Family::kBert, HeadKind::kMultipleChoice},
    {"bert sequence-classification", Family::kBert, HeadKind::kSequenceClassification},
    {"bert token-classification", Family::kBert, HeadKind::kTokenClassification},
    {"bert span-qa", Family::kBert, HeadKind::kSpanQa},
    {"megatron_bert masked-lm", Family::kMegatronBert, HeadKind::kMaskedLm},
    {"megatron_bert pretraining", Family::kMegatronBert, HeadKind::kPretraining},
    {"megatron_bert token-classification", Family::kMegatronBert, HeadKind::kTokenClassification},
};

inline ModelConfig config_of(const Kind& kind, float dropout = 0.0F) {
  ModelConfig config;
  config.family = kind.family;
  config.head = kind.head;
  config.vocab_size = kVocab;
  config.max_seq_len = 12;
  config.n_layers = 2;
  config.n_heads = 3;
  config.d_model = 24;
  config.d_inner = 40;
  config.type_vocab_size = kind.family == Family::kGpt2 ? 0 : 2;
  config.n_labels = kLabels;
  config.activation = kind.family == Family::kGpt2 ? Activation::kGeluNew : Activation::kGelu;
  config.embd_pdrop = config.attn_pdrop = config.resid_pdrop = config.classifier_pdrop = dropout;
  return config;
}

inline TrainingOptions options_of(std::int64_t microbatch = 2) {
  TrainingOptions options;
  options.microbatch_size = microbatch;
  options.global_batch_size = kBatch;
  options.seq_len = kSeqLen;
  options.seed = 5;
  return options;
}

struct Example {
  std::vector<std::int32_t> tokens, types, segments, targets, sentence_targets;
  HeadKind head;

  explicit Example(const Kind& kind) : head(kind.head) {
    std::mt19937 random(3);
    const auto below = [&](std::int64_t limit) {
      return static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(limit));
    };
    for (std::int64_t row = 0; row < kBatch * kSeqLen; ++row) {
      const std::int64_t sequence = row / kSeqLen;
      const std::int64_t at = row % kSeqLen;
      tokens.push_back(below(kVocab));
      types.push_back(kind.family == Family::kGpt2 ? 0 : static_cast<std::int32_t>(at > 4));
      // The last sequence is padded, the one before holds two texts.
      segments.push_back(sequence == 3 && at > 5 ? -1 : sequence == 2 && at > 3 ? 1 : 0);
    }
    switch (head) {
    case HeadKind::kCausalLm:
    case HeadKind::kMaskedLm:
    case HeadKind::kPretraining:
      for (std::size_t row = 0; row < tokens.size(); ++row) {
        targets.push_back(row % 3 == 1 && segments[row] >= 0 ? below(kVocab) : -1);
      }
      break;
    case HeadKind::kTokenClassification:
      for (std::size_t row = 0; row < tokens.size(); ++row) {
        targets.push_back(segments[row] >= 0 ? below(kLabels) : -1);
      }
      break;
    case HeadKind::kSequenceClassification:
      targets = {0, 2, 1, 2};
      break;
    case HeadKind::kMultipleChoice:
      targets = {1, 0};
      break;
    case HeadKind::kSpanQa:
      targets = {0, 3, 2, 8, 1, 1, 4, 5};
      break;
    }
    sentence_targets = {0, 1, 1, 0};
  }

  Batch batch() const {
    Batch view;
    view.batch = kBatch;
    view.seq_len = kSeqLen;
    view.tokens = tokens;
    view.token_types = types;
    view.segments = segments;
    view.targets = targets;
    if (head == HeadKind::kPretraining) {
      view.sentence_targets = sentence_targets;
    }
    view.choices = head == HeadKind::kMultipleChoice ? 2 : 1;
    return view;
  }
};

inline std::vector<float> values_of(const TransformerModel& model, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(model.parameters().find(name).count));
  model.read_parameter(name, values);
  return values;
}

inline std::vector<float> gradient_of(const TransformerModel& model, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(model.parameters().find(name).count));
  model.read_gradient(name, values);
  return values;
}

// Away from the flat start, so that every gradient is large enough to be compared.
inline void roughen(TransformerModel& model) {
  std::mt19937 random(40);
  std::normal_distribution<float> normal(0.0F, 0.25F);
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    std::vector<float> values = values_of(model, tensor.name);
    for (float& value : values) {
      value += normal(random);
    }
    model.write_parameter(tensor.name, values);
  }
}

} // namespace assay::test
