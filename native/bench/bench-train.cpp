// Times whole training steps of the bench shapes on the CPU backend and prints one JSON line a shape:
//   bench-train [--shape bench-s|bench-m|gpt2-124m] [--steps 10] [--warmup 2] [--threads 0] [--gemm
//   auto|onednn|portable] [--precision fp32|bf16] [--phases]
// Tokens are random: a step's cost does not depend on them.
#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/model/transformer.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <sys/resource.h>
#include <vector>

namespace {

struct Shape {
  const char* name;
  std::int64_t layers, width, heads, vocab_size, seq_len, batch;
};

constexpr Shape kShapes[] = {
    {"bench-s", 4, 256, 4, 8192, 256, 8},
    {"bench-m", 6, 384, 6, 8192, 256, 8},
    {"gpt2-124m", 12, 768, 12, 50257, 512, 2},
};

struct Options {
  std::string shape;
  int steps = 10, warmup = 2, threads = 0;
  assay::GemmChoice gemm = assay::GemmChoice::kAutomatic;
  assay::Precision precision = assay::Precision::kFp32;
  bool phases = false;
};

void print_phases(const assay::PhaseSeconds& p, double seconds) {
  const auto show = [&](const char* name, double value) {
    std::fprintf(stderr, "  %-20s %5.1f %%\n", name, 100 * value / seconds);
  };
  show("embedding", p.embedding);
  show("layer_norm", p.layer_norm);
  show("linear_forward", p.linear_forward);
  show("linear_backward", p.linear_backward);
  show("attention_forward", p.attention_forward);
  show("attention_backward", p.attention_backward);
  show("classifier", p.classifier);
  show("optimizer", p.optimizer);
}

// The most memory this process has held at once.
long long peak_bytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<long long>(usage.ru_maxrss) * 1024;
}

void run(const Shape& shape, const Options& options) {
  const auto backend = assay::create_cpu_backend({options.threads, options.gemm});
  assay::ModelConfig config;
  config.vocab_size = shape.vocab_size;
  config.max_seq_len = shape.seq_len;
  config.n_layers = shape.layers;
  config.n_heads = shape.heads;
  config.d_model = shape.width;
  assay::TransformerModel model(*backend, config);
  model.initialize(17);
  assay::TrainingOptions training;
  training.microbatch_size = shape.batch;
  training.global_batch_size = shape.batch;
  training.seq_len = shape.seq_len;
  training.gradient_clipping = 1.0;
  training.precision = options.precision;
  const assay::MemoryPlan plan = model.prepare_training(training);

  std::mt19937 random(17);
  std::uniform_int_distribution<std::int32_t> token(0, static_cast<std::int32_t>(shape.vocab_size - 1));
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shape.batch * (shape.seq_len + 1)));
  std::vector<double> seconds;
  double loss = 0;
  assay::StepResult best;
  best.seconds = 1e30;
  for (int step = 1; step <= options.warmup + options.steps; ++step) {
    for (std::int32_t& each : tokens) {
      each = token(random);
    }
    const assay::StepResult result = model.train_step(tokens, step, 1e-3);
    loss = result.loss;
    if (step > options.warmup) {
      seconds.push_back(result.seconds);
      if (result.seconds < best.seconds) {
        best = result;
      }
    }
  }
  const assay::BackendInfo& info = backend->info();
  std::printf(
      "{\"shape\":\"%s\",\"tokens_per_step\":%lld,\"threads\":%d,\"gemm\":\"%s\",\"instruction_set\":\"%s\","
      "\"parameters\":%lld,\"planned_bytes\":%zu,\"peak_bytes\":%lld,\"bf16\":\"%s\",\"loss\":%.6f,\"step_seconds\":[",
      shape.name, static_cast<long long>(shape.batch * shape.seq_len), info.threads, info.gemm.c_str(),
      info.instruction_set.c_str(), static_cast<long long>(model.parameters().parameter_count), plan.total_bytes,
      peak_bytes(), info.bf16.c_str(), loss);
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    std::printf("%s%.6f", i > 0 ? "," : "", seconds[i]);
  }
  std::printf("]}\n");
  std::fflush(stdout);
  if (options.phases) {
    std::fprintf(stderr, "%s, best step %.1f ms\n", shape.name, best.seconds * 1e3);
    print_phases(best.phases, best.seconds);
  }
}

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--phases") {
      options.phases = true;
      continue;
    }
    if (i + 1 >= count) {
      return false;
    }
    const std::string value = arguments[++i];
    if (name == "--shape") {
      options.shape = value;
    } else if (name == "--steps") {
      options.steps = std::atoi(value.c_str());
    } else if (name == "--warmup") {
      options.warmup = std::atoi(value.c_str());
    } else if (name == "--precision") {
      options.precision = value == "bf16" ? assay::Precision::kAmpBf16 : assay::Precision::kFp32;
    } else if (name == "--threads") {
      options.threads = std::atoi(value.c_str());
    } else if (name == "--gemm") {
      options.gemm = value == "onednn"     ? assay::GemmChoice::kOneDnn
                     : value == "portable" ? assay::GemmChoice::kPortable
                                           : assay::GemmChoice::kAutomatic;
    } else {
      return false;
    }
  }
  return true;
}

} // namespace

int main(int count, char** arguments) {
  Options options;
  if (!parse(count, arguments, options)) {
    std::fprintf(stderr, "usage: bench-train [--shape NAME] [--steps N] [--warmup N] [--threads N] [--gemm "
                         "auto|onednn|portable] [--precision fp32|bf16] [--phases]\n");
    return 2;
  }
  try {
    for (const Shape& shape : kShapes) {
      if (options.shape.empty() || options.shape == shape.name) {
        run(shape, options);
      }
    }
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
