// Writes one tiny case for bench/parity/check_parity.py: initial weights, tokens, loss, logits, gradients, and the
// losses and norms of some updates, as the native engine computes them without dropout.
//   bench-parity DIRECTORY [--steps 20] [--gemm auto|onednn|portable]
#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/gpt2.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace {

constexpr std::int64_t kBatch = 5, kMicrobatch = 2, kSeqLen = 41; // uneven on purpose
constexpr double kLearningRate = 2e-3, kWeightDecay = 0.1, kClipping = 1.0;

// Norms and biases start at exact ones and zeros; noise makes every gradient count.
void roughen(assay::Gpt2Model& model) {
  std::mt19937 random(3);
  std::normal_distribution<float> noise(0.0F, 0.1F);
  for (const assay::ParameterTensor& tensor : model.parameters().tensors) {
    std::vector<float> values(static_cast<std::size_t>(tensor.count));
    model.read_parameter(tensor.name, values);
    for (float& value : values) {
      value += noise(random);
    }
    model.write_parameter(tensor.name, values);
  }
}

void write_tensors(const assay::Gpt2Model& model, const std::string& path,
                   const std::function<void(const std::string&, std::span<float>)>& read) {
  std::vector<assay::TensorToWrite> tensors;
  for (const assay::ParameterTensor& tensor : model.parameters().tensors) {
    tensors.push_back({tensor.name,
                       {tensor.shape.begin(), tensor.shape.end()},
                       [&read, name = tensor.name](std::span<float> out) { read(name, out); }});
  }
  assay::write_safetensors(path, tensors);
}

void run(const std::string& directory, int steps, assay::GemmChoice gemm) {
  const auto backend = assay::create_cpu_backend({2, gemm});
  assay::Gpt2Config config;
  config.vocab_size = 101;
  config.max_seq_len = 48;
  config.n_layers = 3;
  config.n_heads = 4;
  config.d_model = 64;
  assay::Gpt2Model model(*backend, config);
  model.initialize(5);
  roughen(model);
  assay::TrainingOptions options;
  options.microbatch_size = kMicrobatch;
  options.global_batch_size = kBatch;
  options.seq_len = kSeqLen;
  options.gradient_clipping = kClipping;
  options.optimizer.learning_rate = kLearningRate;
  options.optimizer.weight_decay = kWeightDecay;
  options.optimizer.no_decay = {"*.bias", "*.ln_*"};
  model.prepare_training(options);

  std::mt19937 random(7);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(kBatch * (kSeqLen + 1)));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(config.vocab_size));
  }
  const auto read_parameter = [&](const std::string& name, std::span<float> out) { model.read_parameter(name, out); };
  write_tensors(model, directory + "/weights.safetensors", read_parameter);
  const double loss = model.compute_gradients(tokens, kBatch, kSeqLen);
  write_tensors(model, directory + "/gradients.safetensors",
                [&](const std::string& name, std::span<float> out) { model.read_gradient(name, out); });
  const std::vector<float> logits = model.logits(std::span(tokens).first(kSeqLen));
  const assay::TensorToWrite logits_tensor{
      "logits",
      {static_cast<std::uint64_t>(kSeqLen), static_cast<std::uint64_t>(config.vocab_size)},
      [&](std::span<float> out) { std::copy(logits.begin(), logits.end(), out.begin()); }};
  assay::write_safetensors(directory + "/logits.safetensors", {&logits_tensor, 1});

  const std::string path = directory + "/case.json";
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) {
    throw assay::Error("FILE_NOT_WRITABLE", "Cannot write " + path + ".");
  }
  std::fprintf(
      file,
      "{\"config\":{\"vocab_size\":101,\"max_seq_len\":48,\"n_layers\":3,\"n_heads\":4,\"d_model\":64},"
      "\"batch\":%d,\"seq_len\":%d,\"optimizer\":{\"lr\":%g,\"betas\":[0.9,0.95],\"eps\":1e-8,"
      "\"weight_decay\":%g,\"no_decay\":[\"*.bias\",\"*.ln_*\"]},\"gradient_clipping\":%g,\"loss\":%.9g,\"tokens\":[",
      static_cast<int>(kBatch), static_cast<int>(kSeqLen), kLearningRate, kWeightDecay, kClipping, loss);
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::fprintf(file, "%s%d", i > 0 ? "," : "", tokens[i]);
  }
  std::fprintf(file, "],\"steps\":[");
  for (int step = 1; step <= steps; ++step) {
    const double learning_rate = kLearningRate * step / steps;
    const assay::StepResult result = model.train_step(tokens, step, learning_rate);
    std::fprintf(file, "%s{\"lr\":%.12g,\"loss\":%.9g,\"grad_norm\":%.9g}", step > 1 ? "," : "", learning_rate,
                 result.loss, result.gradient_norm);
  }
  std::fprintf(file, "]}\n");
  std::fclose(file);
  write_tensors(model, directory + "/final.safetensors", read_parameter);
}

} // namespace

int main(int count, char** arguments) {
  if (count < 2 || count % 2 != 0) {
    std::fprintf(stderr, "usage: bench-parity DIRECTORY [--steps N] [--gemm auto|onednn|portable]\n");
    return 2;
  }
  int steps = 20;
  assay::GemmChoice gemm = assay::GemmChoice::kAutomatic;
  for (int i = 2; i + 1 < count; i += 2) {
    const std::string name = arguments[i], value = arguments[i + 1];
    if (name == "--steps") {
      steps = std::atoi(value.c_str());
    } else if (name == "--gemm") {
      gemm = value == "onednn"     ? assay::GemmChoice::kOneDnn
             : value == "portable" ? assay::GemmChoice::kPortable
                                   : assay::GemmChoice::kAutomatic;
    }
  }
  try {
    run(arguments[1], steps, gemm);
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
