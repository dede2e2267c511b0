#include "engine/model/gpt2-parameters.h"

#include "engine/base/error.h"

#include <cmath>

namespace assay {

namespace {

void check_field(bool is_valid, const char* name, double value, const char* wanted) {
  if (!is_valid) {
    throw Error("MODEL_CONFIG_INVALID",
                std::string("The model's ") + name + " is " + std::to_string(value) + "; it must be " + wanted + ".");
  }
}

void check_size(std::int64_t value, const char* name, std::int64_t largest) {
  check_field(value >= 1 && value <= largest, name, static_cast<double>(value),
              ("between 1 and " + std::to_string(largest)).c_str());
}

void check_probability(float value, const char* name) {
  check_field(value >= 0.0F && value < 1.0F, name, value, "at least 0 and below 1");
}

} // namespace

Gpt2Config checked(Gpt2Config config) {
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
  if (config.d_model % config.n_heads != 0) {
    throw Error("MODEL_CONFIG_INVALID", "The model's d_model " + std::to_string(config.d_model) +
                                            " cannot be divided among n_heads " + std::to_string(config.n_heads) +
                                            "; choose a multiple.");
  }
  check_field(std::isfinite(config.layer_norm_eps) && config.layer_norm_eps > 0, "layer_norm_eps",
              config.layer_norm_eps, "a finite number above 0");
  check_probability(config.embd_pdrop, "embd_pdrop");
  check_probability(config.attn_pdrop, "attn_pdrop");
  check_probability(config.resid_pdrop, "resid_pdrop");
  return config;
}

const ParameterTensor& ParameterLayout::find(const std::string& name) const {
  const std::string full = name.starts_with("transformer.") ? name : "transformer." + name;
  for (const ParameterTensor& tensor : tensors) {
    if (tensor.name == full) {
      return tensor;
    }
  }
  throw Error("TENSOR_UNKNOWN",
              "The model has no tensor named " + name + "; its tensors carry Hugging Face's GPT-2 names.");
}

ParameterLayout gpt2_parameter_layout(const Gpt2Config& c) {
  ParameterLayout layout;
  const auto add = [&](std::string name, std::vector<std::int64_t> shape, ParameterKind kind) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) {
      count *= size;
    }
    layout.tensors.push_back({"transformer." + std::move(name), std::move(shape), kind, layout.total_count, count});
    layout.total_count += (count + 15) / 16 * 16;
    layout.parameter_count += count;
  };
  add("wte.weight", {c.vocab_size, c.d_model}, ParameterKind::kEmbedding);
  add("wpe.weight", {c.max_seq_len, c.d_model}, ParameterKind::kPosition);
  for (std::int64_t layer = 0; layer < c.n_layers; ++layer) {
    const std::string h = "h." + std::to_string(layer) + ".";
    add(h + "ln_1.weight", {c.d_model}, ParameterKind::kNormWeight);
    add(h + "ln_1.bias", {c.d_model}, ParameterKind::kNormBias);
    add(h + "attn.c_attn.weight", {c.d_model, 3 * c.d_model}, ParameterKind::kLinearWeight);
    add(h + "attn.c_attn.bias", {3 * c.d_model}, ParameterKind::kLinearBias);
    add(h + "attn.c_proj.weight", {c.d_model, c.d_model}, ParameterKind::kResidualWeight);
    add(h + "attn.c_proj.bias", {c.d_model}, ParameterKind::kLinearBias);
    add(h + "ln_2.weight", {c.d_model}, ParameterKind::kNormWeight);
    add(h + "ln_2.bias", {c.d_model}, ParameterKind::kNormBias);
    add(h + "mlp.c_fc.weight", {c.d_model, c.d_inner}, ParameterKind::kLinearWeight);
    add(h + "mlp.c_fc.bias", {c.d_inner}, ParameterKind::kLinearBias);
    add(h + "mlp.c_proj.weight", {c.d_inner, c.d_model}, ParameterKind::kResidualWeight);
    add(h + "mlp.c_proj.bias", {c.d_model}, ParameterKind::kLinearBias);
  }
  add("ln_f.weight", {c.d_model}, ParameterKind::kNormWeight);
  add("ln_f.bias", {c.d_model}, ParameterKind::kNormBias);
  return layout;
}

} // namespace assay
