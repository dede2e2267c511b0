// What a model is: its family, its head and its sizes. The families differ in stated variants of one transformer block
// (where the layer norms stand, which GELU, causal or not), not in code of their own.
#pragma once

#include "engine/ops/backend.h"

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

enum class Family : std::uint8_t {
  kGpt2,         // decoder, norms before (Radford et al. 2019)
  kBert,         // encoder, norms after (Devlin et al. 2018)
  kMegatronBert, // encoder, norms before and one at the end (Shoeybi et al. 2019)
};

enum class HeadKind : std::uint8_t {
  kCausalLm,
  kMaskedLm,
  kPretraining, // masked LM and the order of two segments
  kMultipleChoice,
  kSequenceClassification,
  kTokenClassification,
  kSpanQa,
};

// Low-rank adapters (Hu et al. 2021): output += alpha / rank · dropout(input) · A · B for every linear layer whose
// Hugging Face name ends with one of `targets`. The base is then frozen.
struct LoraConfig {
  std::int64_t rank = 0; // 0: none
  float alpha = 0.0F;
  float dropout = 0.0F;
  std::vector<std::string> targets; // "c_attn", "query", "mlp.c_fc" …
};

struct ModelConfig {
  Family family = Family::kGpt2;
  HeadKind head = HeadKind::kCausalLm;
  std::int64_t vocab_size = 0;
  std::int64_t max_seq_len = 0; // positions
  std::int64_t n_layers = 0;
  std::int64_t n_heads = 0;
  std::int64_t d_model = 0;
  std::int64_t d_inner = 0;         // 0: 4 · d_model
  std::int64_t type_vocab_size = 0; // encoders: at least 1
  std::int64_t n_labels = 1;        // of the classification heads
  float layer_norm_eps = 1e-5F;
  float embd_pdrop = 0.0F;
  float attn_pdrop = 0.0F;
  float resid_pdrop = 0.0F;
  float classifier_pdrop = 0.0F;
  Activation activation = Activation::kGeluNew;
  // How linear weights and the token embedding are stored. Narrower than fp32 they are frozen.
  DataType weight_type = DataType::kF32;
  LoraConfig lora;

  bool is_causal() const { return family == Family::kGpt2; }
  bool norms_come_after() const { return family == Family::kBert; }
  bool has_final_norm() const { return family != Family::kBert; }
  bool has_token_types() const { return family != Family::kGpt2; }
  bool has_masked_lm() const { return head == HeadKind::kMaskedLm || head == HeadKind::kPretraining; }
  bool has_language_model() const { return head == HeadKind::kCausalLm || has_masked_lm(); }
  // One prediction a sequence, read from one of its rows.
  bool has_sequence_head() const {
    return head == HeadKind::kPretraining || head == HeadKind::kMultipleChoice ||
           head == HeadKind::kSequenceClassification;
  }
  bool has_pooler() const { return family != Family::kGpt2 && has_sequence_head(); }
  // Outputs of the small head; 0 where there is only a language model.
  std::int64_t head_outputs() const;
  std::int64_t head_size() const { return d_model / n_heads; }
};

// The same configuration with d_inner filled in. Throws MODEL_CONFIG_INVALID naming the field.
ModelConfig checked(ModelConfig config);

} // namespace assay
