#include "binding/model-arguments.h"

#include "binding/arguments.h"

#include <limits>

namespace assay::binding {

namespace {

constexpr double kLargestInt32 = std::numeric_limits<std::int32_t>::max();

std::vector<std::string> read_patterns(const Napi::Object& optimizer, const char* where) {
  const Napi::Value value = optimizer.Get("noDecay");
  if (!value.IsArray()) {
    bad_argument(where, "noDecay must be an array of strings");
  }
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> patterns;
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::Value pattern = array.Get(index);
    if (!pattern.IsString()) {
      bad_argument(where, "noDecay must be an array of strings");
    }
    patterns.push_back(pattern.As<Napi::String>().Utf8Value());
  }
  return patterns;
}

DecoupledAdamWOptions read_optimizer(const Napi::Object& object, const char* where) {
  DecoupledAdamWOptions optimizer;
  optimizer.learning_rate = number_field(object, "lr", where);
  const Napi::Value betas = object.Get("betas");
  if (!betas.IsArray() || betas.As<Napi::Array>().Length() != 2 || !betas.As<Napi::Array>().Get(0U).IsNumber() ||
      !betas.As<Napi::Array>().Get(1U).IsNumber()) {
    bad_argument(where, "betas must be an array of two numbers");
  }
  optimizer.beta1 = betas.As<Napi::Array>().Get(0U).As<Napi::Number>().DoubleValue();
  optimizer.beta2 = betas.As<Napi::Array>().Get(1U).As<Napi::Number>().DoubleValue();
  optimizer.epsilon = number_field(object, "eps", where);
  optimizer.weight_decay = number_field(object, "weightDecay", where);
  optimizer.no_decay = read_patterns(object, where);
  return optimizer;
}

} // namespace

ModelConfig read_model_config(const Napi::Object& object) {
  constexpr const char* kWhere = "createModel";
  if (const std::string family = string_field(object, "family", kWhere); family != "gpt2") {
    bad_argument(kWhere, "family must be \"gpt2\", not \"" + family + "\"");
  }
  ModelConfig config;
  config.vocab_size = integer_field(object, "vocabSize", kWhere, 1, kLargestInt32);
  config.max_seq_len = integer_field(object, "maxSeqLen", kWhere, 1, kLargestInt32);
  config.n_layers = integer_field(object, "nLayers", kWhere, 1, kLargestInt32);
  config.n_heads = integer_field(object, "nHeads", kWhere, 1, kLargestInt32);
  config.d_model = integer_field(object, "dModel", kWhere, 1, kLargestInt32);
  config.d_inner = integer_field(object, "dInner", kWhere, 1, kLargestInt32);
  config.layer_norm_eps = static_cast<float>(number_field(object, "layerNormEps", kWhere));
  config.embd_pdrop = static_cast<float>(number_field(object, "embdPdrop", kWhere));
  config.attn_pdrop = static_cast<float>(number_field(object, "attnPdrop", kWhere));
  config.resid_pdrop = static_cast<float>(number_field(object, "residPdrop", kWhere));
  return checked(config);
}

TrainingOptions read_training_options(const Napi::Object& object, const char* where) {
  TrainingOptions options;
  options.microbatch_size = integer_field(object, "microbatchSize", where, 1, kLargestInt32);
  options.seq_len = integer_field(object, "seqLen", where, 1, kLargestInt32);
  options.global_batch_size = integer_field(object, "globalBatchSize", where, 1, kLargestInt32);
  options.seed = static_cast<std::uint64_t>(integer_field(object, "seed", where, 0, kLargestSafeInteger));
  options.optimizer = read_optimizer(object_field(object, "optimizer", where), where);
  if (has_field(object, "gradientClipping") && !object.Get("gradientClipping").IsNull()) {
    options.gradient_clipping = number_field(object, "gradientClipping", where);
  }
  return options;
}

GenerationRequest read_generation_request(const Napi::Object& object) {
  constexpr const char* kWhere = "generate";
  GenerationRequest request;
  request.prompt = token_ids(object.Get("prompt"), kWhere, "prompt");
  if (has_field(object, "endOfTextId")) {
    request.end_of_text_id = static_cast<std::int32_t>(integer_field(object, "endOfTextId", kWhere, 0, kLargestInt32));
  }
  request.max_new_tokens = integer_field(object, "maxNewTokens", kWhere, 0, kLargestInt32);
  request.sampling.temperature = number_field(object, "temperature", kWhere);
  request.sampling.top_k = integer_field(object, "topK", kWhere, 0, kLargestInt32);
  request.sampling.top_p = number_field(object, "topP", kWhere);
  request.sampling.seed = static_cast<std::uint64_t>(integer_field(object, "seed", kWhere, 0, kLargestSafeInteger));
  request.stop_ids = token_ids(object.Get("stopIds"), kWhere, "stopIds");
  validate(request.sampling);
  return request;
}

Napi::Object to_object(Napi::Env env, const MemoryPlan& plan) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("parameterBytes", static_cast<double>(plan.parameter_bytes));
  object.Set("gradientBytes", static_cast<double>(plan.gradient_bytes));
  object.Set("optimizerBytes", static_cast<double>(plan.optimizer_bytes));
  object.Set("activationBytes", static_cast<double>(plan.activation_bytes));
  object.Set("workspaceBytes", static_cast<double>(plan.workspace_bytes));
  object.Set("totalBytes", static_cast<double>(plan.total_bytes));
  return object;
}

} // namespace assay::binding
