// The model on a backend whose memory the host cannot touch: training, evaluation, predictions, decoding, files and
// merging give the bits of the plain CPU backend. And with activations in bf16: arenas, copies of weights and their
// rounding, as a device with tensor cores wants them.
#include "temporary-folder.h"
#include "test-support-device.h"
#include "test-support-families.h"

#include "engine/checkpoint/model-checkpoint.h"
#include "engine/infer/generation.h"
#include "engine/infer/scoring.h"

#include <atomic>
#include <cmath>
#include <numeric>
#include <optional>

using namespace assay;
using namespace assay::test;

namespace {

const std::atomic<bool> kNotCancelled{false};

std::vector<float> all_parameters(const TransformerModel& model) {
  std::vector<float> all;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    const std::vector<float> values = values_of(model, tensor.name);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

struct Trace {
  std::vector<double> numbers; // losses, norms and sums in the order they came
  std::vector<float> predictions, parameters;

  bool operator==(const Trace&) const = default;
};

Trace trace_of(Backend& backend, const Kind& kind, const TrainingOptions& options, const LoraConfig& lora = {}) {
  ModelConfig config = config_of(kind, 0.1F);
  config.lora = lora;
  TransformerModel model(backend, config);
  model.initialize(7);
  roughen(model);
  model.prepare_training(options);
  const Example example(kind);
  Trace trace;
  for (std::int64_t step = 1; step <= 3; ++step) {
    const StepResult result = model.train_batch(example.batch(), step, 1e-3);
    CHECK(result.applied);
    trace.numbers.insert(trace.numbers.end(), {result.loss, result.gradient_norm});
    const Evaluation evaluation = model.evaluate(example.batch());
    trace.numbers.insert(trace.numbers.end(), {evaluation.nats, evaluation.sentence_nats});
  }
  trace.numbers.push_back(model.compute_gradients(example.batch()));
  trace.numbers.push_back(model.apply_update(4, 1e-3).gradient_norm);
  trace.predictions = model.predict(example.batch());
  if (kind.head == HeadKind::kPretraining) {
    const std::vector<float> order = model.predict_sentence_order(example.batch());
    trace.predictions.insert(trace.predictions.end(), order.begin(), order.end());
  }
  trace.parameters = all_parameters(model);
  return trace;
}

LoraConfig lora_of(const Kind& kind) {
  LoraConfig lora;
  lora.rank = 3;
  lora.alpha = 6.0F;
  lora.dropout = 0.2F;
  lora.targets = kind.family == Family::kGpt2 ? std::vector<std::string>{"c_attn", "c_fc", "mlp.c_proj"}
                                              : std::vector<std::string>{"query", "value", "dense"};
  return lora;
}

std::vector<TrainingOptions> ways_to_train() {
  std::vector<TrainingOptions> ways(4, options_of());
  ways[0].gradient_clipping = 0.5;
  ways[1].recompute = Recompute::kSelective;
  ways[1].optimizer_state = OptimizerStateType::k8Bit;
  ways[2].recompute = Recompute::kFull;
  ways[2].microbatch_size = kBatch;
  ways[3].precision = Precision::kAmpBf16;
  return ways;
}

void add_equal_bits_cases() {
  for (const Kind& kind : kKinds) {
    add_case(std::string(kind.title) + ": training, evaluation and predictions on a device give the CPU's bits", [&] {
      for (const TrainingOptions& options : ways_to_train()) {
        DeviceLikeBackend device;
        const auto cpu = create_cpu_backend({.threads = 2});
        CHECK(trace_of(device, kind, options) == trace_of(*cpu, kind, options));
      }
      if (kind.head == HeadKind::kCausalLm || kind.head == HeadKind::kMaskedLm) {
        DeviceLikeBackend device;
        const auto cpu = create_cpu_backend({.threads = 2});
        CHECK(trace_of(device, kind, options_of(), lora_of(kind)) == trace_of(*cpu, kind, options_of(), lora_of(kind)));
      }
    });
  }
}

// Trains adapters, writes everything, reads it into another model, trains on, merges.
std::vector<float> through_files(Backend& backend) {
  const Kind& kind = kKinds[0];
  const TemporaryFolder folder;
  ModelConfig config = config_of(kind);
  config.lora = lora_of(kind);
  const Example example(kind);
  TransformerModel first(backend, config);
  first.initialize(7);
  first.prepare_training(options_of());
  first.train_batch(example.batch(), 1, 1e-2);
  save_weights(first, folder.file("weights.safetensors"));
  save_adapters(first, folder.file("adapters.safetensors"));
  save_optimizer(first, folder.file("optimizer.safetensors"));
  TransformerModel second(backend, config);
  load_weights(second, folder.file("weights.safetensors"));
  load_adapters(second, folder.file("adapters.safetensors"));
  second.prepare_training(options_of());
  load_optimizer(second, folder.file("optimizer.safetensors"));
  first.train_batch(example.batch(), 2, 1e-2);
  second.train_batch(example.batch(), 2, 1e-2);
  CHECK(all_parameters(first) == all_parameters(second));
  second.merge_adapters();
  return all_parameters(second);
}

ModelConfig writer_config(DataType weights) {
  ModelConfig config = config_of(kKinds[0]);
  config.max_seq_len = 24;
  config.weight_type = weights;
  return config;
}

struct Written {
  std::vector<std::vector<std::int32_t>> texts;
  double nats = 0;
};

Written write_texts(Backend& backend, DataType weights, Precision precision) {
  TransformerModel model(backend, writer_config(weights));
  model.initialize(11);
  roughen(model);
  model.set_inference_precision(precision);
  std::vector<GenerationRequest> requests(3);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt.assign(i + 2, static_cast<std::int32_t>(3 * i + 1));
    requests[i].max_new_tokens = 30; // more than the context: the window slides
    requests[i].sampling.temperature = 0;
  }
  Written written;
  for (const GenerationResult& result : generate_batch(
           model, requests, [](std::size_t, const GeneratedToken&) {}, kNotCancelled)) {
    CHECK_EQ(result.ids.size(), 30U);
    written.texts.push_back(result.ids);
  }
  std::vector<std::int32_t> text(40);
  std::iota(text.begin(), text.end(), 0);
  for (std::int32_t& token : text) {
    token = token * 7 % static_cast<std::int32_t>(kVocab);
  }
  written.nats = score(model, {.tokens = text}, kNotCancelled).nats;
  return written;
}

void add_other_cases() {
  add_case("files, adapters and merging on a device give the CPU's bits", [] {
    DeviceLikeBackend device;
    const auto cpu = create_cpu_backend({.threads = 2});
    CHECK(through_files(device) == through_files(*cpu));
  });
  for (const DataType weights : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
    add_case("texts are written and scored on a device as on the CPU, and passes are played back, weights of " +
                 std::to_string(8 * size_of(weights)) + " bits",
             [weights] {
               DeviceLikeBackend device;
               const auto cpu = create_cpu_backend({.threads = 2});
               const Written here = write_texts(device, weights, Precision::kFp32);
               const Written there = write_texts(*cpu, weights, Precision::kFp32);
               CHECK(here.texts == there.texts);
               CHECK_EQ(here.nats, there.nats);
               // One recording for each number of texts that go on side by side, and whatever the window's sliding
               // asks.
               CHECK(device.replay_count() > 15);
             });
  }
}

// Of the lengths; where next to nothing is expected, of `floor`.
double relative_difference(const std::vector<float>& expected, const std::vector<float>& found, double floor = 1e-15) {
  CHECK_EQ(expected.size(), found.size());
  double squares = 0, all = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto difference = static_cast<double>(expected[i]) - static_cast<double>(found[i]);
    squares += difference * difference;
    all += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(squares) / std::max(std::sqrt(all), floor);
}

TrainingOptions in_bf16() {
  TrainingOptions options = options_of();
  options.precision = Precision::kAmpBf16;
  return options;
}

struct Bf16Model {
  DeviceLikeBackend device{true};
  TransformerModel model;
  Example example;

  explicit Bf16Model(const Kind& kind, const TrainingOptions& options = in_bf16(), const LoraConfig& lora = {})
      : model(device, with(kind, lora)), example(kind) {
    model.initialize(7);
    roughen(model);
    model.prepare_training(options);
  }
  static ModelConfig with(const Kind& kind, const LoraConfig& lora) {
    ModelConfig config = config_of(kind);
    config.lora = lora;
    return config;
  }
};

void add_bf16_cases() {
  for (const Kind& kind : kKinds) {
    add_case(std::string(kind.title) + ": activations in bf16 train and predict nearly what fp32 does", [&] {
      const auto cpu = create_cpu_backend({.threads = 2});
      TransformerModel exact(*cpu, config_of(kind));
      exact.initialize(7);
      roughen(exact);
      exact.prepare_training(options_of());
      Bf16Model narrow(kind);
      exact.compute_gradients(narrow.example.batch());
      double squares = 0;
      for (const ParameterTensor& tensor : exact.parameters().tensors) {
        const std::vector<float> gradient = gradient_of(exact, tensor.name);
        squares += std::inner_product(gradient.begin(), gradient.end(), gradient.begin(), 0.0);
      }
      const double gradient_norm = std::sqrt(squares);
      const double loss = exact.compute_gradients(narrow.example.batch());
      CHECK(std::fabs(narrow.model.compute_gradients(narrow.example.batch()) - loss) < 0.03 * std::fabs(loss) + 0.01);
      // A key's bias, say, has no gradient but rounding: a twentieth of the average tensor's is as good as none.
      const double floor = 0.05 * gradient_norm / std::sqrt(static_cast<double>(exact.parameters().tensors.size()));
      for (const ParameterTensor& tensor : exact.parameters().tensors) {
        const std::vector<float> expected = gradient_of(exact, tensor.name);
        const double difference = relative_difference(expected, gradient_of(narrow.model, tensor.name), floor);
        if (!(difference < 0.15)) {
          fail_check(__FILE__, __LINE__, tensor.name + " differs by " + std::to_string(difference));
        }
      }
      CHECK(relative_difference(exact.predict(narrow.example.batch()), narrow.model.predict(narrow.example.batch())) <
            0.06);
      for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
        TrainingOptions options = in_bf16();
        options.recompute = recompute;
        Bf16Model again(kind, options);
        again.model.compute_gradients(again.example.batch());
        for (const ParameterTensor& tensor : exact.parameters().tensors) {
          // A sum that was kept is rounded, the one that was normed at first may not have been.
          const double difference =
              relative_difference(gradient_of(narrow.model, tensor.name), gradient_of(again.model, tensor.name), floor);
          if (!(difference < 0.1)) {
            fail_check(__FILE__, __LINE__, tensor.name + " computed again differs by " + std::to_string(difference));
          }
        }
      }
    });
  }
  add_case("copies of the weights follow what is written, trained and loaded, and count in the plan", [] {
    const Kind& kind = kKinds[0];
    Bf16Model one(kind);
    const MemoryPlan plan = one.model.plan_training(in_bf16());
    CHECK(plan.weight_copy_bytes > 0 && 2 * plan.weight_copy_bytes <= plan.parameter_bytes);
    CHECK_EQ(one.model.allocated_memory().weight_copy_bytes, plan.weight_copy_bytes);
    CHECK_EQ(one.model.allocated_memory().total_bytes, plan.total_bytes);
    CHECK_EQ(one.model.plan_training(options_of()).weight_copy_bytes, std::size_t{0});
    for (std::int64_t step = 1; step <= 3; ++step) {
      one.model.train_batch(one.example.batch(), step, 1e-2);
    }
    // Another model with those weights makes its copies itself.
    Bf16Model other(kind);
    other.model.evaluate(other.example.batch());
    for (const ParameterTensor& tensor : one.model.parameters().tensors) {
      other.model.write_parameter(tensor.name, values_of(one.model, tensor.name));
    }
    CHECK_EQ(other.model.evaluate(other.example.batch()).nats, one.model.evaluate(one.example.batch()).nats);
    CHECK(other.model.predict(other.example.batch()) == one.model.predict(one.example.batch()));
    // Training in fp32 updates no copies; a pass in bf16 afterwards must not see old ones.
    TransformerModel plain(one.device, config_of(kind));
    plain.initialize(7);
    plain.set_inference_precision(Precision::kAmpBf16);
    const std::vector<float> before = plain.predict(one.example.batch());
    plain.prepare_training(options_of());
    plain.train_batch(one.example.batch(), 1, 1e-1);
    plain.prepare_training(in_bf16());
    CHECK(plain.predict(one.example.batch()) != before);
  });
  add_case("stochastic rounding trains on from a checkpoint as if it had never stopped", [] {
    const Kind& kind = kKinds[0];
    TrainingOptions options = in_bf16();
    options.stochastic_rounding = true;
    const TemporaryFolder folder;
    Bf16Model whole(kind, options);
    const auto run = [&](Bf16Model& model, std::int64_t first, std::int64_t last) {
      std::vector<double> losses;
      for (std::int64_t step = first; step <= last; ++step) {
        losses.push_back(model.model.train_batch(model.example.batch(), step, 1e-2).loss);
      }
      return losses;
    };
    const std::vector<double> begun = run(whole, 1, 3);
    save_weights(whole.model, folder.file("w.safetensors"));
    save_optimizer(whole.model, folder.file("o.safetensors"));
    Bf16Model resumed(kind, options);
    load_weights(resumed.model, folder.file("w.safetensors"));
    load_optimizer(resumed.model, folder.file("o.safetensors"));
    CHECK(run(resumed, 4, 6) == run(whole, 4, 6));
    CHECK(all_parameters(resumed.model) == all_parameters(whole.model));
    // And it is not rounding to the nearest.
    Bf16Model nearest(kind);
    CHECK(run(nearest, 1, 3) != begun);
  });
  add_case("adapters train in bf16 on weights of 32, 16 and 8 bits", [] {
    const Kind& kind = kKinds[0];
    for (const DataType weights : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
      DeviceLikeBackend device(true);
      ModelConfig config = config_of(kind);
      config.lora = lora_of(kind);
      config.weight_type = weights;
      TransformerModel model(device, config);
      model.initialize(7);
      TrainingOptions options = in_bf16();
      options.optimizer.weight_decay = 0.0;
      const MemoryPlan plan = model.prepare_training(options);
      // Only what is fp32 has a copy: adapters and norms where the base is narrow.
      CHECK((plan.weight_copy_bytes > plan.parameter_bytes / 3) == (weights == DataType::kF32));
      const Example example(kind);
      double first = 0, last = 0;
      for (std::int64_t step = 1; step <= 40; ++step) {
        const double loss = model.train_batch(example.batch(), step, 1e-2).loss;
        first = step == 1 ? loss : first;
        last = loss;
      }
      CHECK(last < first - 0.2);
    }
  });
  for (const DataType weights : {DataType::kF32, DataType::kInt8}) {
    add_case("texts are written and scored in bf16, weights of " + std::to_string(8 * size_of(weights)) + " bits",
             [weights] {
               DeviceLikeBackend device(true);
               const auto cpu = create_cpu_backend({.threads = 2});
               const Written narrow = write_texts(device, weights, Precision::kAmpBf16);
               const Written exact = write_texts(*cpu, weights, Precision::kFp32);
               CHECK(std::fabs(narrow.nats - exact.nats) < 0.03 * exact.nats);
               CHECK(device.replay_count() > 15);
             });
  }
}

} // namespace

int main() {
  add_equal_bits_cases();
  add_other_cases();
  add_bf16_cases();
  return run_cases();
}
