// Whole models on the CUDA backend (on the emulated device) beside the same on the CPU: some steps of training, an
// evaluation, text, and two runs bit for bit.
#include "test-support-backends.h"
#include "test-support-cuda-backend.h"
#include "test-support-families.h"

#include "backends/cuda/cuda-backend.h"
#include "engine/infer/generation.h"

#include <algorithm>
#include <atomic>

using namespace assay;
using namespace assay::test;

namespace {

constexpr int kSteps = 4;

struct Trained {
  std::vector<double> losses;
  std::vector<double> norms;
  Evaluation evaluation;
  std::vector<Floats> parameters;
};

Trained train(Backend& backend, const Kind& kind, Precision precision, float dropout) {
  TransformerModel model(backend, config_of(kind, dropout));
  model.initialize(7);
  TrainingOptions options = options_of();
  options.precision = precision;
  const Example example(kind);
  model.prepare_training(options);
  Trained result;
  for (int step = 1; step <= kSteps; ++step) {
    const StepResult done = model.train_batch(example.batch(), step, 3e-3);
    CHECK(done.applied);
    result.losses.push_back(done.loss);
    result.norms.push_back(done.gradient_norm);
  }
  model.set_inference_precision(precision);
  result.evaluation = model.evaluate(example.batch());
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    result.parameters.push_back(values_of(model, tensor.name));
  }
  return result;
}

std::unique_ptr<Backend> cpu() {
  return create_cpu_backend({2, GemmChoice::kPortable, KernelChoice::kAutomatic});
}

void check_near(const std::string& what, double expected, double found, double tolerance) {
  if (!(std::fabs(expected - found) <= tolerance * std::max(1.0, std::fabs(expected)))) {
    fail_check(__FILE__, __LINE__, what + ": CPU " + std::to_string(expected) + ", CUDA " + std::to_string(found));
  }
}

void compare(const Kind& kind, Precision precision, double tolerance) {
  const Trained expected = train(*cpu(), kind, precision, 0.1F);
  const Trained found = train(*create_test_cuda_backend(), kind, precision, 0.1F);
  for (int step = 0; step < kSteps; ++step) {
    check_near("loss of step " + std::to_string(step + 1), expected.losses[static_cast<std::size_t>(step)],
               found.losses[static_cast<std::size_t>(step)], tolerance);
    check_near("norm of step " + std::to_string(step + 1), expected.norms[static_cast<std::size_t>(step)],
               found.norms[static_cast<std::size_t>(step)], 10 * tolerance);
  }
  CHECK_EQ(expected.evaluation.token_count, found.evaluation.token_count);
  check_near("evaluation", expected.evaluation.nats, found.evaluation.nats, tolerance);
  CHECK(found.losses.back() < found.losses.front());
}

void compare_runs(const Kind& kind, Precision precision) {
  const Trained first = train(*create_test_cuda_backend(), kind, precision, 0.1F);
  const Trained second = train(*create_test_cuda_backend(), kind, precision, 0.1F);
  CHECK(first.losses == second.losses);
  CHECK(first.norms == second.norms);
  CHECK(first.parameters == second.parameters);
  CHECK_EQ(first.evaluation.nats, second.evaluation.nats);
}

// Losses of adapters in training on a base that is stored narrow, which the backend makes wider for its products.
std::vector<double> adapter_losses(Backend& backend, DataType weights, Precision precision) {
  const Kind& kind = kKinds[0];
  ModelConfig config = config_of(kind, 0.0F);
  config.lora.rank = 3;
  config.lora.alpha = 6.0F;
  config.lora.targets = {"c_attn", "c_fc", "mlp.c_proj"};
  config.weight_type = weights;
  TransformerModel model(backend, config);
  model.initialize(7);
  TrainingOptions options = options_of();
  options.precision = precision;
  model.prepare_training(options);
  const Example example(kind);
  std::vector<double> losses;
  for (int step = 1; step <= kSteps; ++step) {
    losses.push_back(model.train_batch(example.batch(), step, 1e-2).loss);
  }
  return losses;
}

void compare_adapters(DataType weights, Precision precision, double tolerance) {
  const std::vector<double> expected = adapter_losses(*cpu(), weights, precision);
  const std::vector<double> found = adapter_losses(*create_emulated_cuda_backend(), weights, precision);
  for (std::size_t step = 0; step < expected.size(); ++step) {
    check_near("loss of step " + std::to_string(step + 1), expected[step], found[step], tolerance);
  }
}

std::vector<GenerationResult> greedy_texts(Backend& backend, DataType weights) {
  ModelConfig config;
  config.vocab_size = 61;
  config.max_seq_len = 24;
  config.n_layers = 2;
  config.n_heads = 2;
  config.d_model = 32;
  config.weight_type = weights;
  TransformerModel model(backend, config);
  model.initialize(17);
  roughen(model);
  std::vector<GenerationRequest> requests(3);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    for (std::size_t t = 0; t < 3 + 9 * i; ++t) {
      requests[i].prompt.push_back(static_cast<std::int32_t>((7 * i + 11 * t) % 61));
    }
    requests[i].max_new_tokens = 26; // over the end of the context
    requests[i].sampling.temperature = 0.0;
  }
  const std::atomic<bool> cancelled = false;
  return generate_batch(
      model, requests, [](std::size_t, const GeneratedToken&) {}, cancelled);
}

void compare_texts(DataType weights) {
  const auto cpu_backend = cpu();
  const auto cuda_backend = create_test_cuda_backend();
  const auto expected = greedy_texts(*cpu_backend, weights);
  const auto found = greedy_texts(*cuda_backend, weights);
  CHECK_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    CHECK(expected[i].ids == found[i].ids);
    CHECK_EQ(found[i].ids.size(), std::size_t{26});
  }
  // Decoding was recorded, and what was recorded was played.
  CHECK(static_cast<cuda::CudaBackend&>(*cuda_backend).graphs().played_count() > 0);
}

} // namespace

int main() {
  // Operations have tests of their own in which the host cannot touch device memory; here it would cost most of the
  // time.
#if defined(ASSAY_CUDA_EMULATION)
  emulation::device().protects_memory = false;
  emulation::device().compute_capability = 90; // where GELU is taken within products
#endif
  for (const Kind& kind : kKinds) {
    const std::string title = kind.title;
    add_case(title + " trains and evaluates on CUDA in fp32 as on the CPU",
             [kind] { compare(kind, Precision::kFp32, 1e-4); });
    add_case(title + " trains and evaluates on CUDA in bf16 as on the CPU",
             [kind] { compare(kind, Precision::kAmpBf16, 1e-2); });
  }
  for (const Precision precision : {Precision::kFp32, Precision::kAmpBf16}) {
    add_case(std::string("two runs on CUDA give the same bits in ") + (precision == Precision::kFp32 ? "fp32" : "bf16"),
             [precision] { compare_runs(kKinds[0], precision); });
  }
  for (const DataType weights : {DataType::kBf16, DataType::kInt8}) {
    const std::string bits = weights == DataType::kInt8 ? "8" : "16";
    add_case("adapters on weights of " + bits + " bits train on CUDA as on the CPU", [weights] {
      compare_adapters(weights, Precision::kFp32, 1e-4);
      compare_adapters(weights, Precision::kAmpBf16, 1e-2);
    });
  }
  add_case("greedy text on CUDA is the CPU's", [] { compare_texts(DataType::kF32); });
  add_case("greedy text of weights in 8 bits on CUDA is the CPU's", [] { compare_texts(DataType::kInt8); });
  return run_cases();
}
