#include "binding/model-arguments.h"

#include "binding/arguments.h"

#include <limits>
#include <utility>

namespace assay::binding {

namespace {

constexpr double kLargestInt32 = std::numeric_limits<std::int32_t>::max();

std::vector<std::string> string_list(const Napi::Object& object, const char* field, const char* where) {
  const Napi::Value value = object.Get(field);
  const std::string wanted = std::string(field) + " must be an array of strings";
  if (!value.IsArray()) {
    bad_argument(where, wanted);
  }
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::Value entry = array.Get(index);
    if (!entry.IsString()) {
      bad_argument(where, wanted);
    }
    strings.push_back(entry.As<Napi::String>().Utf8Value());
  }
  return strings;
}

template <class Value>
Value choice_field(const Napi::Object& object, const char* field, const char* where,
                   const std::vector<std::pair<const char*, Value>>& choices) {
  const std::string given = string_field(object, field, where);
  std::string names;
  for (const auto& [name, value] : choices) {
    if (given == name) {
      return value;
    }
    names += (names.empty() ? "\"" : ", \"") + std::string(name) + "\"";
  }
  bad_argument(where, std::string(field) + " must be one of " + names + ", not \"" + given + "\"");
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
  optimizer.no_decay = string_list(object, "noDecay", where);
  return optimizer;
}

} // namespace

ModelOptions read_model_options(const Napi::Object& object, const char* where) {
  ModelOptions options;
  options.threads = static_cast<int>(integer_field(object, "threads", where, 0, 1024));
  if (has_field(object, "device")) {
    options.device = string_field(object, "device", where);
  }
  if (has_field(object, "weights")) {
    options.weight_type = choice_field<DataType>(
        object, "weights", where, {{"fp32", DataType::kF32}, {"bf16", DataType::kBf16}, {"int8", DataType::kInt8}});
  }
  if (has_field(object, "lora") && !object.Get("lora").IsNull()) {
    const Napi::Object lora = object_field(object, "lora", where);
    options.lora.rank = integer_field(lora, "rank", where, 1, kLargestInt32);
    options.lora.alpha = static_cast<float>(number_field(lora, "alpha", where));
    options.lora.dropout = static_cast<float>(number_field(lora, "dropout", where));
    options.lora.targets = string_list(lora, "targets", where);
  }
  return options;
}

ModelConfig read_model_config(const Napi::Object& object, const ModelOptions& options, const char* where) {
  ModelConfig config;
  config.family = choice_field<Family>(
      object, "family", where,
      {{"gpt2", Family::kGpt2}, {"bert", Family::kBert}, {"megatron_bert", Family::kMegatronBert}});
  config.head = has_field(object, "head")
                    ? choice_field<HeadKind>(object, "head", where,
                                             {{"causal-lm", HeadKind::kCausalLm},
                                              {"masked-lm", HeadKind::kMaskedLm},
                                              {"pretraining", HeadKind::kPretraining},
                                              {"multiple-choice", HeadKind::kMultipleChoice},
                                              {"sequence-classification", HeadKind::kSequenceClassification},
                                              {"token-classification", HeadKind::kTokenClassification},
                                              {"span-qa", HeadKind::kSpanQa}})
                    : HeadKind::kCausalLm;
  config.activation = has_field(object, "activation")
                          ? choice_field<Activation>(object, "activation", where,
                                                     {{"gelu_new", Activation::kGeluNew}, {"gelu", Activation::kGelu}})
                          : Activation::kGeluNew;
  config.vocab_size = integer_field(object, "vocabSize", where, 1, kLargestInt32);
  config.max_seq_len = integer_field(object, "maxSeqLen", where, 1, kLargestInt32);
  config.n_layers = integer_field(object, "nLayers", where, 1, kLargestInt32);
  config.n_heads = integer_field(object, "nHeads", where, 1, kLargestInt32);
  config.d_model = integer_field(object, "dModel", where, 1, kLargestInt32);
  config.d_inner = integer_field(object, "dInner", where, 1, kLargestInt32);
  config.type_vocab_size =
      has_field(object, "typeVocabSize") ? integer_field(object, "typeVocabSize", where, 0, kLargestInt32) : 0;
  config.n_labels = has_field(object, "labels") ? integer_field(object, "labels", where, 1, kLargestInt32) : 1;
  config.layer_norm_eps = static_cast<float>(number_field(object, "layerNormEps", where));
  config.embd_pdrop = static_cast<float>(number_field(object, "embdPdrop", where));
  config.attn_pdrop = static_cast<float>(number_field(object, "attnPdrop", where));
  config.resid_pdrop = static_cast<float>(number_field(object, "residPdrop", where));
  config.classifier_pdrop =
      has_field(object, "classifierPdrop") ? static_cast<float>(number_field(object, "classifierPdrop", where)) : 0.0F;
  config.weight_type = options.weight_type;
  config.lora = options.lora;
  return checked(config);
}

MaskingOptions read_masking(const Napi::Object& object, const char* where) {
  MaskingOptions masking;
  masking.probability = number_field(object, "probability", where);
  masking.whole_word = object.Get("wholeWord").ToBoolean();
  masking.sentence_order = object.Get("sentenceOrder").ToBoolean();
  masking.mask_id = static_cast<std::int32_t>(integer_field(object, "maskId", where, 0, kLargestInt32));
  masking.cls_id = static_cast<std::int32_t>(integer_field(object, "clsId", where, 0, kLargestInt32));
  masking.sep_id = static_cast<std::int32_t>(integer_field(object, "sepId", where, 0, kLargestInt32));
  masking.pad_id = static_cast<std::int32_t>(integer_field(object, "padId", where, 0, kLargestInt32));
  masking.specials = token_ids(object.Get("specials"), where, "specials");
  const Napi::Value starts = object.Get("wordStarts");
  if (!starts.IsTypedArray() || starts.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array) {
    bad_argument(where, "wordStarts must be a Uint8Array");
  }
  const Napi::Uint8Array bytes = starts.As<Napi::Uint8Array>();
  masking.word_starts.assign(bytes.Data(), bytes.Data() + bytes.ElementLength());
  return masking;
}

TrainingSetup read_training_setup(const Napi::Object& object, const char* where) {
  TrainingSetup setup;
  TrainingOptions& options = setup.training;
  options.microbatch_size = integer_field(object, "microbatchSize", where, 1, kLargestInt32);
  options.seq_len = integer_field(object, "seqLen", where, 1, kLargestInt32);
  options.global_batch_size = integer_field(object, "globalBatchSize", where, 1, kLargestInt32);
  options.seed = static_cast<std::uint64_t>(integer_field(object, "seed", where, 0, kLargestSafeInteger));
  options.optimizer = read_optimizer(object_field(object, "optimizer", where), where);
  if (has_field(object, "gradientClipping") && !object.Get("gradientClipping").IsNull()) {
    options.gradient_clipping = number_field(object, "gradientClipping", where);
  }
  if (has_field(object, "precision")) {
    options.precision = choice_field<Precision>(object, "precision", where,
                                                {{"fp32", Precision::kFp32}, {"amp_bf16", Precision::kAmpBf16}});
  }
  if (has_field(object, "recompute")) {
    options.recompute = choice_field<Recompute>(
        object, "recompute", where,
        {{"none", Recompute::kNone}, {"selective", Recompute::kSelective}, {"full", Recompute::kFull}});
  }
  options.stochastic_rounding = has_field(object, "stochasticRounding") && object.Get("stochasticRounding").ToBoolean();
  if (has_field(object, "optimizerState")) {
    options.optimizer_state = choice_field<OptimizerStateType>(
        object, "optimizerState", where, {{"fp32", OptimizerStateType::kFp32}, {"8bit", OptimizerStateType::k8Bit}});
  }
  if (has_field(object, "frozen")) {
    options.frozen = string_list(object, "frozen", where);
  }
  if (has_field(object, "labelSmoothing")) {
    options.label_smoothing = static_cast<float>(number_field(object, "labelSmoothing", where));
  }
  if (has_field(object, "classWeights") && !object.Get("classWeights").IsNull()) {
    const Napi::Value value = object.Get("classWeights");
    if (!value.IsArray()) {
      bad_argument(where, "classWeights must be an array of numbers");
    }
    const Napi::Array array = value.As<Napi::Array>();
    for (std::uint32_t index = 0; index < array.Length(); ++index) {
      const Napi::Value weight = array.Get(index);
      if (!weight.IsNumber()) {
        bad_argument(where, "classWeights must be an array of numbers");
      }
      options.class_weights.push_back(weight.As<Napi::Number>().FloatValue());
    }
  }
  setup.document_mask = has_field(object, "documentMask") && object.Get("documentMask").ToBoolean();
  if (has_field(object, "masking") && !object.Get("masking").IsNull()) {
    setup.masking = read_masking(object_field(object, "masking", where), where);
    setup.masking->seed = options.seed;
  }
  return setup;
}

Batch OwnedBatch::view() const {
  Batch batch_view;
  batch_view.batch = batch;
  batch_view.seq_len = seq_len;
  batch_view.tokens = tokens;
  batch_view.token_types = token_types;
  batch_view.positions = positions;
  batch_view.segments = segments;
  batch_view.targets = targets;
  batch_view.sentence_targets = sentence_targets;
  batch_view.choices = choices;
  return batch_view;
}

OwnedBatch read_batch(const Napi::Object& object, const char* where) {
  OwnedBatch batch;
  batch.batch = integer_field(object, "batch", where, 1, kLargestInt32);
  batch.seq_len = integer_field(object, "seqLen", where, 1, kLargestInt32);
  batch.choices = has_field(object, "choices") ? integer_field(object, "choices", where, 1, kLargestInt32) : 1;
  batch.tokens = int_values(object.Get("tokens"), where, "tokens");
  const auto optional_values = [&](const char* name) {
    return has_field(object, name) ? int_values(object.Get(name), where, name) : std::vector<std::int32_t>();
  };
  batch.token_types = optional_values("tokenTypes");
  batch.positions = optional_values("positions");
  batch.segments = optional_values("segments");
  batch.targets = optional_values("targets");
  batch.sentence_targets = optional_values("sentenceTargets");
  return batch;
}

Napi::Object to_object(Napi::Env env, const MemoryPlan& plan) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("parameterBytes", static_cast<double>(plan.parameter_bytes));
  object.Set("weightCopyBytes", static_cast<double>(plan.weight_copy_bytes));
  object.Set("gradientBytes", static_cast<double>(plan.gradient_bytes));
  object.Set("optimizerBytes", static_cast<double>(plan.optimizer_bytes));
  object.Set("activationBytes", static_cast<double>(plan.activation_bytes));
  object.Set("workspaceBytes", static_cast<double>(plan.workspace_bytes));
  object.Set("totalBytes", static_cast<double>(plan.total_bytes));
  return object;
}

} // namespace assay::binding
