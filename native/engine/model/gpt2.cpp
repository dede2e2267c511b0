// The model's parameters: allocation, the table of pointers, and copies in and out.
#include "engine/model/gpt2.h"

#include "engine/base/error.h"
#include "engine/model/gpt2-memory.h"

namespace assay {

namespace {

Gpt2Weights bind_weights(const ParameterLayout& layout, float* block, std::int64_t layers) {
  // The layout's order is the order of the fields.
  auto tensor = layout.tensors.begin();
  const auto next = [&] { return block + (tensor++)->offset; };
  Gpt2Weights weights{};
  weights.wte = next();
  weights.wpe = next();
  weights.layers.resize(static_cast<std::size_t>(layers));
  for (Gpt2LayerWeights& layer : weights.layers) {
    for (float** field : {&layer.ln_1_weight, &layer.ln_1_bias, &layer.c_attn_weight, &layer.c_attn_bias,
                          &layer.attn_c_proj_weight, &layer.attn_c_proj_bias, &layer.ln_2_weight, &layer.ln_2_bias,
                          &layer.c_fc_weight, &layer.c_fc_bias, &layer.mlp_c_proj_weight, &layer.mlp_c_proj_bias}) {
      *field = next();
    }
  }
  weights.ln_f_weight = next();
  weights.ln_f_bias = next();
  return weights;
}

void check_size(const ParameterTensor& tensor, std::size_t given) {
  if (static_cast<std::size_t>(tensor.count) != given) {
    throw Error("TENSOR_SIZE_MISMATCH", "The tensor " + tensor.name + " has " + std::to_string(tensor.count) +
                                            " elements but " + std::to_string(given) +
                                            " were given; check the model's shape.");
  }
}

} // namespace

Gpt2Model::Gpt2Model(Backend& backend, const Gpt2Config& config)
    : backend_(backend), config_(checked(config)), layout_(gpt2_parameter_layout(config_)),
      parameter_memory_(backend, static_cast<std::size_t>(layout_.total_count) * sizeof(float)),
      weights_(bind_weights(layout_, parameter_memory_.floats(), config_.n_layers)) {}

Gpt2Model::~Gpt2Model() = default;

Gpt2Weights Gpt2Model::gradients() const {
  return bind_weights(layout_, prepared().gradients.floats(), config_.n_layers);
}

void Gpt2Model::read_parameter(const std::string& name, std::span<float> values) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, values.size());
  backend_.copy_to_host(values.data(), parameter_block() + tensor.offset, values.size_bytes());
}

void Gpt2Model::write_parameter(const std::string& name, std::span<const float> values) {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, values.size());
  backend_.copy_to_backend(parameter_block() + tensor.offset, values.data(), values.size_bytes());
}

void Gpt2Model::read_gradient(const std::string& name, std::span<float> values) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, values.size());
  backend_.copy_to_host(values.data(), prepared().gradients.floats() + tensor.offset, values.size_bytes());
}

void Gpt2Model::read_moments(const std::string& name, std::span<float> exp_avg, std::span<float> exp_avg_sq) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, exp_avg.size());
  check_size(tensor, exp_avg_sq.size());
  const float* moments = prepared().moments.floats() + tensor.offset;
  backend_.copy_to_host(exp_avg.data(), moments, exp_avg.size_bytes());
  backend_.copy_to_host(exp_avg_sq.data(), moments + layout_.total_count, exp_avg_sq.size_bytes());
}

void Gpt2Model::write_moments(const std::string& name, std::span<const float> exp_avg,
                              std::span<const float> exp_avg_sq) {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, exp_avg.size());
  check_size(tensor, exp_avg_sq.size());
  float* moments = prepared().moments.floats() + tensor.offset;
  backend_.copy_to_backend(moments, exp_avg.data(), exp_avg.size_bytes());
  backend_.copy_to_backend(moments + layout_.total_count, exp_avg_sq.data(), exp_avg_sq.size_bytes());
}

Gpt2Model::Training& Gpt2Model::prepared() const {
  if (training_ == nullptr) {
    throw Error("TRAINING_NOT_PREPARED",
                "This model holds no gradients or optimizer state; call prepare_training() first.");
  }
  return *training_;
}

void Gpt2Model::check_tokens(std::span<const std::int32_t> tokens, bool allow_ignored) const {
  for (const std::int32_t token : tokens) {
    if (token >= config_.vocab_size || (token < 0 && !allow_ignored)) {
      throw Error("TOKEN_OUT_OF_RANGE", "The data holds token " + std::to_string(token) +
                                            " but the model's vocabulary has " + std::to_string(config_.vocab_size) +
                                            " entries; use the tokenizer that belongs to the model.");
    }
  }
}

} // namespace assay
