#include "binding/model-binding.h"

#include "binding/arguments.h"
#include "binding/devices.h"
#include "binding/failure.h"
#include "binding/generation-job.h"
#include "binding/generation-request.h"
#include "binding/model-arguments.h"
#include "binding/token-data-binding.h"

#include "engine/base/error.h"
#include "engine/checkpoint/model-checkpoint.h"
#include "engine/infer/evaluation.h"
#include "engine/infer/masked-evaluation.h"

#include <cmath>
#include <limits>
#include <utility>

namespace assay::binding {

namespace {

constexpr double kLargestInt32 = std::numeric_limits<std::int32_t>::max();

struct Nothing {};

std::uint64_t seed_field(const Napi::Object& object, const char* field, const char* where) {
  return static_cast<std::uint64_t>(integer_field(object, field, where, 0, kLargestSafeInteger));
}

double rate_field(const Napi::Object& object, const char* where) {
  const double rate = number_field(object, "lr", where);
  if (!std::isfinite(rate) || rate < 0) {
    bad_argument(where, "lr must be a number of at least 0");
  }
  return rate;
}

// The global batch of update `step`, read from the cache into the state's buffer.
std::span<const std::int32_t> gather_batch(ModelState& state, const TokenCache& cache, std::int64_t step,
                                           std::uint64_t shuffle_seed) {
  const TrainingOptions& options = state.require_training().training;
  if (static_cast<std::int64_t>(cache.vocab_size()) > state.config.vocab_size) {
    throw Error("TOKENIZER_MODEL_MISMATCH", "The token cache " + cache.directory() + " has a vocabulary of " +
                                                std::to_string(cache.vocab_size()) + ", the model one of " +
                                                std::to_string(state.config.vocab_size) +
                                                "; use the tokenizer that belongs to the model.");
  }
  const auto seq_len = static_cast<std::uint32_t>(options.seq_len);
  const auto batch = static_cast<std::uint32_t>(options.global_batch_size);
  SampleSequence sequence(cache.require_windows(seq_len), shuffle_seed);
  state.batch.resize(std::size_t{batch} * (std::size_t{seq_len} + 1));
  gather_samples(cache, sequence, static_cast<std::uint64_t>(step - 1) * batch, batch, seq_len, state.batch);
  return state.batch;
}

// The update from windows of running text, as the training's setup has them.
StepResult train_on(ModelState& state, std::span<const std::int32_t> windows, std::int32_t end_of_text_id,
                    std::int64_t step, double rate) {
  const TrainingSetup& setup = state.require_training();
  const TrainingOptions& options = setup.training;
  TransformerModel& model = state.require_model();
  if (setup.masking.has_value()) {
    return model.train_batch(state.language_batch.masked(windows, options.global_batch_size, options.seq_len,
                                                         *setup.masking, state.config.vocab_size,
                                                         static_cast<std::uint32_t>(step), 0),
                             step, rate);
  }
  if (setup.document_mask) {
    return model.train_batch(
        state.language_batch.causal_documents(windows, options.global_batch_size, options.seq_len, end_of_text_id),
        step, rate);
  }
  return model.train_step(windows, step, rate);
}

// A batch that JavaScript made: masking looks tokens up, so that they are checked before it.
void check_windows(const ModelState& state, std::span<const std::int32_t> windows, bool has_end_of_text) {
  const TrainingSetup& setup = state.require_training();
  const TrainingOptions& options = setup.training;
  const std::int64_t wanted = options.global_batch_size * (options.seq_len + 1);
  if (static_cast<std::int64_t>(windows.size()) != wanted) {
    throw Error("BATCH_SHAPE_MISMATCH", "A step takes " + std::to_string(options.global_batch_size) + " windows of " +
                                            std::to_string(options.seq_len + 1) + " tokens, which are " +
                                            std::to_string(wanted) + ", not " + std::to_string(windows.size()) + ".");
  }
  if (setup.document_mask && !has_end_of_text) {
    throw Error("BAD_ARGUMENT", "trainStep: attention that ends with a document needs endOfTextId beside windows.");
  }
  for (const std::int32_t id : windows) {
    if (id < 0 || id >= state.config.vocab_size) {
      throw Error("TOKEN_OUT_OF_RANGE",
                  "The windows hold token " + std::to_string(id) + ", outside the model's vocabulary of " +
                      std::to_string(state.config.vocab_size) + "; use the tokenizer that belongs to the model.");
    }
  }
}

Napi::Value step_result(Napi::Env env, const StepResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("loss", result.loss);
  object.Set("gradNorm", result.gradient_norm);
  object.Set("tokens", static_cast<double>(result.tokens));
  object.Set("applied", result.applied);
  object.Set("seconds", result.seconds);
  return object;
}

Napi::Value evaluation_result(Napi::Env env, const Evaluation& evaluation) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("nats", evaluation.nats);
  result.Set("tokenCount", static_cast<double>(evaluation.token_count));
  result.Set("sentenceNats", evaluation.sentence_nats);
  result.Set("sentenceCount", static_cast<double>(evaluation.sentence_count));
  return result;
}

Napi::Array string_array(Napi::Env env, const std::vector<std::string>& strings) {
  Napi::Array array = Napi::Array::New(env, strings.size());
  for (std::size_t index = 0; index < strings.size(); ++index) {
    array.Set(static_cast<std::uint32_t>(index), strings[index]);
  }
  return array;
}

// Plans a model that is not there: no memory but the arithmetic's.
Napi::Value plan_training_of(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kWhere = "planTraining";
    const ModelOptions options = read_model_options(object_argument(info, 1, kWhere, "options"), kWhere);
    const ModelConfig config = read_model_config(object_argument(info, 0, kWhere, "config"), options, kWhere);
    const TrainingSetup setup = read_training_setup(object_argument(info, 2, kWhere, "training"), kWhere);
    const PlanningBackend backend(options.device, options.threads);
    const ParameterLayout layout = parameter_layout(config);
    Napi::Object plan = to_object(info.Env(), TransformerModel::plan_training(*backend, config, setup.training));
    plan.Set("parameterCount", static_cast<double>(layout.parameter_count));
    plan.Set("adapterParameterCount", static_cast<double>(layout.adapter_parameter_count));
    return plan;
  });
}

} // namespace

void Model::define(Napi::Env env, Napi::Object exports) {
  // The constructor finds it as its data; createModel's closure keeps it alive.
  const auto live = LiveThreads::create(env);
  const Napi::Function constructor =
      DefineClass(env, "Model",
                  {
                      InstanceMethod<&Model::parameters>("parameters"),
                      InstanceMethod<&Model::initialize>("initialize"),
                      InstanceMethod<&Model::load_weights>("loadWeights"),
                      InstanceMethod<&Model::save_weights>("saveWeights"),
                      InstanceMethod<&Model::load_optimizer>("loadOptimizer"),
                      InstanceMethod<&Model::save_optimizer>("saveOptimizer"),
                      InstanceMethod<&Model::load_adapter>("loadAdapter"),
                      InstanceMethod<&Model::save_adapter>("saveAdapter"),
                      InstanceMethod<&Model::merge_adapter>("mergeAdapter"),
                      InstanceMethod<&Model::train_batch>("trainBatch"),
                      InstanceMethod<&Model::compute_batch_gradients>("computeBatchGradients"),
                      InstanceMethod<&Model::predict>("predict"),
                      InstanceMethod<&Model::predict_sentence_order>("predictSentenceOrder"),
                      InstanceMethod<&Model::trained_parameter_count>("trainedParameterCount"),
                      InstanceMethod<&Model::read_tensor>("readTensor"),
                      InstanceMethod<&Model::write_tensor>("writeTensor"),
                      InstanceMethod<&Model::read_gradient>("readGradient"),
                      InstanceMethod<&Model::plan_training>("planTraining"),
                      InstanceMethod<&Model::prepare_training>("prepareTraining"),
                      InstanceMethod<&Model::train_step>("trainStep"),
                      InstanceMethod<&Model::compute_gradients>("computeGradients"),
                      InstanceMethod<&Model::apply_update>("applyUpdate"),
                      InstanceMethod<&Model::logits>("logits"),
                      InstanceMethod<&Model::evaluate>("evaluate"),
                      InstanceMethod<&Model::generate>("generate"),
                      InstanceMethod<&Model::generate_batch>("generateBatch"),
                      InstanceMethod<&Model::score>("score"),
                      InstanceMethod<&Model::dispose>("dispose"),
                  },
                  live.get());
  exports.Set("planTraining", Napi::Function::New(env, plan_training_of, "planTraining"));
  auto reference = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  reference->SuppressDestruct();
  exports.Set("createModel",
              Napi::Function::New(
                  env,
                  [reference, live](const Napi::CallbackInfo& info) {
                    return guarded(info.Env(), [&]() -> Napi::Value { return reference->New({info[0], info[1]}); });
                  },
                  "createModel"));
}

Model::Model(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Model>(info) {
  guarded(info.Env(), [&] {
    constexpr const char* kWhere = "createModel";
    const ModelOptions options = read_model_options(object_argument(info, 1, kWhere, "options"), kWhere);
    const ModelConfig config = read_model_config(object_argument(info, 0, kWhere, "config"), options, kWhere);
    auto live = static_cast<LiveThreads*>(info.Data())->shared_from_this();
    thread_ = std::make_unique<ModelThread>(info.Env(), std::move(live),
                                            create_backend(options.device, options.threads), config);
  });
}

ModelThread& Model::alive() const {
  if (thread_->stopping()) {
    throw Error("ENGINE_DISPOSED", "This model is disposed; make a new one with createModel.");
  }
  return *thread_;
}

template <typename Work, typename Convert>
Napi::Value Model::promise(const Napi::CallbackInfo& info, Work work, Convert convert) {
  return alive().promise(info.Env(), Value(), std::move(work), std::move(convert));
}

template <typename Work> Napi::Value Model::promise(const Napi::CallbackInfo& info, Work work) {
  return promise(
      info,
      [work = std::move(work)](ModelState& state) {
        work(state);
        return Nothing{};
      },
      [](Napi::Env env, Nothing) { return env.Undefined(); });
}

Napi::Value Model::parameters(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const ParameterLayout layout = parameter_layout(alive().config());
    Napi::Array list = Napi::Array::New(env, layout.tensors.size());
    for (std::size_t index = 0; index < layout.tensors.size(); ++index) {
      const ParameterTensor& tensor = layout.tensors[index];
      Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
      for (std::size_t axis = 0; axis < tensor.shape.size(); ++axis) {
        shape.Set(static_cast<std::uint32_t>(axis), static_cast<double>(tensor.shape[axis]));
      }
      Napi::Object entry = Napi::Object::New(env);
      entry.Set("name", tensor.name);
      entry.Set("shape", shape);
      list.Set(static_cast<std::uint32_t>(index), entry);
    }
    return list;
  });
}

Napi::Value Model::initialize(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const auto seed =
        static_cast<std::uint64_t>(integer_argument(info, 0, "initialize", "seed", 0, kLargestSafeInteger));
    return promise(info, [seed](ModelState& state) { state.require_model().initialize(seed); });
  });
}

Napi::Value Model::load_weights(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    bool allow_missing_head = false;
    if (info.Length() > 1 && info[1].IsObject()) {
      allow_missing_head = info[1].As<Napi::Object>().Get("allowMissingHead").ToBoolean();
    }
    return promise(
        info,
        [file = string_argument(info, 0, "loadWeights", "file"), allow_missing_head](ModelState& state) {
          return assay::load_weights(state.require_model(), file, allow_missing_head);
        },
        [](Napi::Env env, const LoadReport& report) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("missing", string_array(env, report.missing));
          object.Set("unexpected", string_array(env, report.unexpected));
          return object;
        });
  });
}

Napi::Value Model::save_weights(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [file = string_argument(info, 0, "saveWeights", "file")](ModelState& state) {
      assay::save_weights(state.require_model(), file);
    });
  });
}

Napi::Value Model::load_optimizer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [file = string_argument(info, 0, "loadOptimizer", "file")](ModelState& state) {
      state.require_training();
      assay::load_optimizer(state.require_model(), file);
    });
  });
}

Napi::Value Model::save_optimizer(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [file = string_argument(info, 0, "saveOptimizer", "file")](ModelState& state) {
      state.require_training();
      assay::save_optimizer(state.require_model(), file);
    });
  });
}

Napi::Value Model::read_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(
        info,
        [name = string_argument(info, 0, "readTensor", "name")](ModelState& state) {
          const TransformerModel& model = state.require_model();
          std::vector<float> values(static_cast<std::size_t>(model.parameters().find(name).count));
          model.read_parameter(name, values);
          return values;
        },
        [](Napi::Env env, const std::vector<float>& values) { return new_float_array(env, values); });
  });
}

Napi::Value Model::write_tensor(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [name = string_argument(info, 0, "writeTensor", "name"),
                          values = float_values(info[1], "writeTensor", "values")](ModelState& state) {
      state.require_model().write_parameter(name, values);
    });
  });
}

Napi::Value Model::read_gradient(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(
        info,
        [name = string_argument(info, 0, "readGradient", "name")](ModelState& state) {
          state.require_training();
          const TransformerModel& model = state.require_model();
          std::vector<float> values(static_cast<std::size_t>(model.parameters().find(name).count));
          model.read_gradient(name, values);
          return values;
        },
        [](Napi::Env env, const std::vector<float>& values) { return new_float_array(env, values); });
  });
}

Napi::Value Model::plan_training(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const TrainingSetup setup =
        read_training_setup(object_argument(info, 0, "planTraining", "options"), "planTraining");
    const ModelThread& thread = alive();
    return to_object(info.Env(), TransformerModel::plan_training(thread.backend(), thread.config(), setup.training));
  });
}

Napi::Value Model::prepare_training(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const TrainingSetup setup =
        read_training_setup(object_argument(info, 0, "prepareTraining", "options"), "prepareTraining");
    if (setup.masking.has_value()) {
      validate(*setup.masking, alive().config().vocab_size);
    }
    return promise(
        info,
        [setup](ModelState& state) {
          state.training.reset();
          const MemoryPlan plan = state.require_model().prepare_training(setup.training);
          state.training = setup;
          return plan;
        },
        [](Napi::Env env, const MemoryPlan& plan) -> Napi::Value { return to_object(env, plan); });
  });
}

Napi::Value Model::train_step(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "trainStep";
    const Napi::Object request = object_argument(info, 0, kWhere, "request");
    const std::int64_t step = integer_field(request, "step", kWhere, 1, kLargestInt32);
    const double rate = rate_field(request, kWhere);
    if (has_field(request, "windows")) {
      const std::int64_t end_of_text_id =
          has_field(request, "endOfTextId") ? integer_field(request, "endOfTextId", kWhere, 0, kLargestInt32) : -1;
      return promise(
          info,
          [windows = int_values(request.Get("windows"), kWhere, "windows"), end_of_text_id, step,
           rate](ModelState& state) {
            check_windows(state, windows, end_of_text_id >= 0);
            return train_on(state, windows, static_cast<std::int32_t>(end_of_text_id), step, rate);
          },
          step_result);
    }
    const auto cache = TokenData::unwrap(request.Get("data"), kWhere);
    const std::uint64_t shuffle_seed = seed_field(request, "shuffleSeed", kWhere);
    return promise(
        info,
        [cache, step, rate, shuffle_seed](ModelState& state) {
          const std::span<const std::int32_t> windows = gather_batch(state, *cache, step, shuffle_seed);
          return train_on(state, windows, static_cast<std::int32_t>(cache->end_of_text_id()), step, rate);
        },
        step_result);
  });
}

Napi::Value Model::train_batch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "trainBatch";
    const Napi::Object request = object_argument(info, 0, kWhere, "request");
    const std::int64_t step = integer_field(request, "step", kWhere, 1, kLargestInt32);
    const double rate = rate_field(request, kWhere);
    return promise(
        info,
        [batch = read_batch(object_field(request, "batch", kWhere), kWhere), step, rate](ModelState& state) {
          state.require_training();
          return state.require_model().train_batch(batch.view(), step, rate);
        },
        step_result);
  });
}

Napi::Value Model::compute_batch_gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "computeBatchGradients";
    return promise(
        info,
        [batch = read_batch(object_argument(info, 0, kWhere, "batch"), kWhere)](ModelState& state) {
          state.require_training();
          return state.require_model().compute_gradients(batch.view());
        },
        [](Napi::Env env, double loss) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("loss", loss);
          return object;
        });
  });
}

Napi::Value Model::predict(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "predict";
    return promise(
        info,
        [batch = read_batch(object_argument(info, 0, kWhere, "batch"), kWhere)](ModelState& state) {
          return state.require_model().predict(batch.view());
        },
        [](Napi::Env env, const std::vector<float>& values) { return new_float_array(env, values); });
  });
}

Napi::Value Model::predict_sentence_order(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "predictSentenceOrder";
    return promise(
        info,
        [batch = read_batch(object_argument(info, 0, kWhere, "batch"), kWhere)](ModelState& state) {
          return state.require_model().predict_sentence_order(batch.view());
        },
        [](Napi::Env env, const std::vector<float>& values) { return new_float_array(env, values); });
  });
}

Napi::Value Model::trained_parameter_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(
        info,
        [](ModelState& state) {
          state.require_training();
          return static_cast<double>(state.require_model().trained_parameter_count());
        },
        [](Napi::Env env, double count) -> Napi::Value { return Napi::Number::New(env, count); });
  });
}

Napi::Value Model::load_adapter(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [file = string_argument(info, 0, "loadAdapter", "file")](ModelState& state) {
      assay::load_adapters(state.require_model(), file);
    });
  });
}

Napi::Value Model::save_adapter(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(info, [file = string_argument(info, 0, "saveAdapter", "file")](ModelState& state) {
      assay::save_adapters(state.require_model(), file);
    });
  });
}

Napi::Value Model::merge_adapter(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return promise(info, [](ModelState& state) { state.require_model().merge_adapters(); }); });
}

Napi::Value Model::compute_gradients(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "computeGradients";
    const Napi::Object request = object_argument(info, 0, kWhere, "request");
    const std::int64_t batch = integer_field(request, "batch", kWhere, 1, kLargestInt32);
    const std::int64_t seq_len = integer_field(request, "seqLen", kWhere, 1, kLargestInt32);
    auto tokens = int_values(request.Get("tokens"), kWhere, "tokens");
    return promise(
        info,
        [batch, seq_len, tokens = std::move(tokens)](ModelState& state) {
          state.require_training();
          return state.require_model().compute_gradients(tokens, batch, seq_len);
        },
        [](Napi::Env env, double loss) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("loss", loss);
          return object;
        });
  });
}

Napi::Value Model::apply_update(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "applyUpdate";
    const Napi::Object request = object_argument(info, 0, kWhere, "request");
    const std::int64_t step = integer_field(request, "step", kWhere, 1, kLargestInt32);
    const double rate = rate_field(request, kWhere);
    return promise(
        info,
        [step, rate](ModelState& state) {
          state.require_training();
          return state.require_model().apply_update(step, rate).gradient_norm;
        },
        [](Napi::Env env, double norm) -> Napi::Value {
          Napi::Object object = Napi::Object::New(env);
          object.Set("gradNorm", norm);
          return object;
        });
  });
}

Napi::Value Model::logits(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return promise(
        info,
        [tokens = int_values(info[0], "logits", "tokens")](ModelState& state) {
          return state.require_model().logits(tokens);
        },
        [](Napi::Env env, const std::vector<float>& values) { return new_float_array(env, values); });
  });
}

Napi::Value Model::evaluate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    constexpr const char* kWhere = "evaluate";
    const Napi::Object object = object_argument(info, 0, kWhere, "request");
    const auto cache = TokenData::unwrap(object.Get("data"), kWhere);
    if (has_field(object, "masking") && !object.Get("masking").IsNull()) {
      MaskingOptions masking = read_masking(object_field(object, "masking", kWhere), kWhere);
      masking.seed = has_field(object, "maskingSeed") ? seed_field(object, "maskingSeed", kWhere) : 0;
      const std::int64_t seq_len = integer_field(object, "seqLen", kWhere, 1, kLargestInt32);
      return promise(
          info,
          [cache, masking = std::move(masking), seq_len, &thread = *thread_](ModelState& state) {
            return evaluate_masked(state.require_model(), *cache, seq_len, masking, thread.stopping());
          },
          evaluation_result);
    }
    EvaluationRequest request;
    request.seq_len = integer_field(object, "seqLen", kWhere, 1, kLargestInt32);
    request.stride = has_field(object, "stride") ? integer_field(object, "stride", kWhere, 1, kLargestInt32) : 0;
    request.end_of_text_id = static_cast<std::int32_t>(integer_field(object, "endOfTextId", kWhere, 0, kLargestInt32));
    request.to_document = cache->document_count();
    if (has_field(object, "fromDocument")) {
      request.from_document = seed_field(object, "fromDocument", kWhere);
    }
    if (has_field(object, "toDocument")) {
      request.to_document = seed_field(object, "toDocument", kWhere);
    }
    return promise(
        info,
        [cache, request, &thread = *thread_](ModelState& state) {
          return evaluate_documents(state.require_model(), *cache, request, thread.stopping());
        },
        evaluation_result);
  });
}

Napi::Value Model::generate(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    GenerationRequest request = read_generation_request(object_argument(info, 0, "generate", "request"), "generate");
    return start_generation(info.Env(), Value(), alive(), std::move(request),
                            function_argument(info, 1, "generate", "onToken"));
  });
}

Napi::Value Model::generate_batch(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    constexpr const char* kWhere = "generateBatch";
    std::vector<GenerationRequest> requests = read_generation_requests(info[0], kWhere);
    const Napi::Function on_token =
        info[1].IsUndefined() ? Napi::Function() : function_argument(info, 1, kWhere, "onToken");
    return start_batch_generation(info.Env(), Value(), alive(), std::move(requests), on_token);
  });
}

Napi::Value Model::score(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    ScoringRequest request = read_scoring_request(object_argument(info, 0, "score", "request"), "score");
    return promise(
        info,
        [request = std::move(request), &thread = *thread_](ModelState& state) {
          return assay::score(state.require_model(), request, thread.stopping());
        },
        [](Napi::Env env, const Scores& scores) -> Napi::Value { return to_object(env, scores); });
  });
}

void Model::dispose(const Napi::CallbackInfo&) {
  thread_->dispose();
}

} // namespace assay::binding
