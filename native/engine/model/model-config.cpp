#include "engine/model/model-config.h"

#include "engine/base/error.h"

#include <cmath>

namespace assay {

namespace {

[[noreturn]] void fail(const std::string& what) {
  throw Error("MODEL_CONFIG_INVALID", what);
}

void check_field(bool is_valid, const char* name, double value, const char* wanted) {
  if (!is_valid) {
    fail(std::string("The model's ") + name + " is " + std::to_string(value) + "; it must be " + wanted + ".");
  }
}

void check_size(std::int64_t value, const char* name, std::int64_t largest, std::int64_t smallest = 1) {
  check_field(value >= smallest && value <= largest, name, static_cast<double>(value),
              ("between " + std::to_string(smallest) + " and " + std::to_string(largest)).c_str());
}

void check_probability(float value, const char* name) {
  check_field(value >= 0.0F && value < 1.0F, name, value, "at least 0 and below 1");
}

} // namespace

std::int64_t ModelConfig::head_outputs() const {
  switch (head) {
  case HeadKind::kCausalLm:
  case HeadKind::kMaskedLm:
    return 0;
  case HeadKind::kPretraining:
  case HeadKind::kSpanQa:
    return 2;
  case HeadKind::kMultipleChoice:
    return 1;
  case HeadKind::kSequenceClassification:
  case HeadKind::kTokenClassification:
    return n_labels;
  }
  return 0;
}

ModelConfig checked(ModelConfig config) {
  if (config.d_inner == 0) {
    config.d_inner = 4 * config.d_model;
  }
  // Bounds keep every product of sizes within 63 bits.
  check_size(config.vocab_size, "vocab_size", 1 << 24);
  check_size(config.max_seq_len, "max_seq_len", 1 << 20);
  check_size(config.n_layers, "n_layers", 4096);
  check_size(config.d_model, "d_model", 1 << 17);
  check_size(config.n_heads, "n_heads", config.d_model);
  check_size(config.d_inner, "d_inner", 1 << 19);
  check_size(config.n_labels, "n_labels", 1 << 20);
  check_size(config.type_vocab_size, "type_vocab_size", 1 << 16, config.has_token_types() ? 1 : 0);
  if (config.d_model % config.n_heads != 0) {
    fail("The model's d_model " + std::to_string(config.d_model) + " cannot be divided among n_heads " +
         std::to_string(config.n_heads) + "; choose a multiple.");
  }
  check_field(std::isfinite(config.layer_norm_eps) && config.layer_norm_eps > 0, "layer_norm_eps",
              config.layer_norm_eps, "a finite number above 0");
  check_probability(config.embd_pdrop, "embd_pdrop");
  check_probability(config.attn_pdrop, "attn_pdrop");
  check_probability(config.resid_pdrop, "resid_pdrop");
  check_probability(config.classifier_pdrop, "classifier_pdrop");
  check_probability(config.lora.dropout, "lora.dropout");
  check_size(config.lora.rank, "lora.rank", config.d_model, 0);
  if (config.lora.rank > 0 && config.lora.targets.empty()) {
    fail("The model's lora.targets is empty; name the linear layers to adapt, such as c_attn.");
  }
  if (config.lora.rank > 0 && !std::isfinite(config.lora.alpha)) {
    fail("The model's lora.alpha is not a finite number.");
  }
  if (config.is_causal() && config.has_masked_lm()) {
    fail("GPT-2 has no masked language model head; choose bert or megatron_bert, or the causal-lm head.");
  }
  if (!config.is_causal() && config.head == HeadKind::kCausalLm) {
    fail("An encoder has no causal language model head; choose gpt2, or another head.");
  }
  if (config.activation != Activation::kGelu && config.activation != Activation::kGeluNew) {
    fail("The model's activation must be gelu or gelu_new.");
  }
  return config;
}

} // namespace assay
