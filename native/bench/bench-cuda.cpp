// The engine on a GPU, without Node; one JSON line a run:
//   bench-cuda train  --shape NAME [--microbatch N] [--batch N] [--steps 8] [--warmup 3] [--recompute
//   none|selective|full] bench-cuda decode --shape NAME [--batch 1] [--prompt 128] [--new 256] [--weights bf16|int8]
//   bench-cuda loss   --tokens FILE --out FILE.json --weights FILE.safetensors [--final FILE.safetensors]
//                     [--layers 6] [--width 512] [--context 512] [--vocabulary 8192]
// `train` and `decode` time random tokens, which cost what others cost. `loss` trains a small model on given windows,
// and writes its initial weights and its losses, for bench/gpu/torch_loss.py to do the same in PyTorch.
#include "backends/cuda/loader/cuda-loader.h"
#include "engine/base/error.h"
#include "engine/checkpoint/model-checkpoint.h"
#include "engine/infer/decoding-session.h"
#include "engine/model/transformer.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Shape {
  const char* name;
  assay::Family family;
  std::int64_t layers, heads, width, vocab_size, context, microbatch, batch;
};

// As bench/gpu/shapes.py has them.
constexpr Shape kShapes[] = {
    {"gpt2-124m", assay::Family::kGpt2, 12, 12, 768, 50257, 1024, 64, 512},
    {"gpt2-355m", assay::Family::kGpt2, 24, 16, 1024, 50257, 1024, 32, 256},
    {"gpt2-1.5b", assay::Family::kGpt2, 48, 25, 1600, 50257, 1024, 16, 64},
    {"biomedlm-2.7b", assay::Family::kGpt2, 32, 20, 2560, 28896, 1024, 16, 64},
    {"biomegatron-345m", assay::Family::kMegatronBert, 24, 16, 1024, 50000, 512, 64, 256},
    {"biomegatron-1.2b", assay::Family::kMegatronBert, 24, 16, 2048, 50000, 512, 32, 128},
    // To try the program itself.
    {"tiny", assay::Family::kGpt2, 1, 2, 32, 300, 32, 1, 2},
    {"tiny-bert", assay::Family::kMegatronBert, 1, 2, 32, 300, 32, 1, 2},
};

class Arguments {
public:
  Arguments(int count, char** values) {
    for (int i = 2; i + 1 < count; i += 2) {
      values_[values[i]] = values[i + 1];
    }
    is_complete_ = count >= 2 && count % 2 == 0;
  }
  bool is_complete() const { return is_complete_; }
  std::string text(const std::string& name, const std::string& otherwise = "") const {
    const auto found = values_.find("--" + name);
    return found == values_.end() ? otherwise : found->second;
  }
  std::int64_t number(const std::string& name, std::int64_t otherwise) const {
    const std::string value = text(name);
    return value.empty() ? otherwise : std::atoll(value.c_str());
  }

private:
  std::map<std::string, std::string> values_;
  bool is_complete_ = false;
};

[[noreturn]] void fail(const std::string& what) {
  throw assay::Error("BAD_ARGUMENT", what);
}

const Shape& shape_of(const Arguments& arguments) {
  for (const Shape& shape : kShapes) {
    if (arguments.text("shape") == shape.name) {
      return shape;
    }
  }
  fail("There is no shape \"" + arguments.text("shape") + "\"; see bench/gpu/shapes.py.");
}

assay::ModelConfig config_of(const Shape& shape) {
  assay::ModelConfig config;
  config.family = shape.family;
  config.head = config.is_causal() ? assay::HeadKind::kCausalLm : assay::HeadKind::kMaskedLm;
  config.vocab_size = shape.vocab_size;
  config.max_seq_len = shape.context;
  config.n_layers = shape.layers;
  config.n_heads = shape.heads;
  config.d_model = shape.width;
  if (!config.is_causal()) {
    config.type_vocab_size = 2;
    config.activation = assay::Activation::kGelu;
  }
  return config;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::int32_t> random_tokens(std::mt19937& random, std::int64_t count, std::int64_t vocab_size) {
  std::uniform_int_distribution<std::int32_t> token(0, static_cast<std::int32_t>(vocab_size - 1));
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  std::generate(tokens.begin(), tokens.end(), [&] { return token(random); });
  return tokens;
}

assay::Recompute recompute_of(const std::string& name) {
  return name == "selective" ? assay::Recompute::kSelective
         : name == "full"    ? assay::Recompute::kFull
                             : assay::Recompute::kNone;
}

void train(const Arguments& arguments) {
  const Shape& shape = shape_of(arguments);
  const auto backend = assay::create_cuda_backend(0);
  assay::TransformerModel model(*backend, config_of(shape));
  model.initialize(17);
  assay::TrainingOptions training;
  training.microbatch_size = arguments.number("microbatch", shape.microbatch);
  training.global_batch_size = arguments.number("batch", shape.batch);
  training.seq_len = shape.context;
  training.gradient_clipping = 1.0;
  training.precision = assay::Precision::kAmpBf16;
  training.recompute = recompute_of(arguments.text("recompute", "none"));
  const assay::MemoryPlan plan = model.prepare_training(training);
  const std::int64_t warmup = arguments.number("warmup", 3);
  const std::int64_t rows = training.global_batch_size * shape.context;
  // Encoders predict 15 % of the places (bench/gpu/shapes.py).
  const auto scored = static_cast<std::int64_t>(0.15 * static_cast<double>(shape.context) + 0.5);
  std::mt19937 random(17);
  std::vector<double> seconds;
  double loss = 0;
  for (std::int64_t step = 1; step <= warmup + arguments.number("steps", 8); ++step) {
    const std::vector<std::int32_t> tokens = random_tokens(random, rows, shape.vocab_size);
    std::vector<std::int32_t> targets = random_tokens(random, rows, shape.vocab_size);
    if (!model.config().is_causal()) {
      for (std::int64_t row = 0; row < rows; ++row) {
        if (row % shape.context >= scored) {
          targets[static_cast<std::size_t>(row)] = -1;
        }
      }
    }
    assay::Batch batch;
    batch.batch = training.global_batch_size;
    batch.seq_len = shape.context;
    batch.tokens = tokens;
    batch.targets = targets;
    backend->synchronize();
    const auto start = Clock::now();
    loss = model.train_batch(batch, step, 1e-4).loss;
    backend->synchronize();
    if (step > warmup) {
      seconds.push_back(seconds_since(start));
    }
  }
  std::printf("{\"shape\":\"%s\",\"microbatch\":%lld,\"tokens_per_step\":%lld,\"parameters\":%lld,\"peak_bytes\":%zu,"
              "\"loss\":%.5f,\"device\":\"%s\",\"gemm\":\"%s\",\"library\":\"%s\",\"step_seconds\":[",
              shape.name, static_cast<long long>(training.microbatch_size), static_cast<long long>(rows),
              static_cast<long long>(model.parameters().parameter_count), plan.total_bytes, loss,
              backend->info().device.c_str(), backend->info().gemm.c_str(), backend->info().library_version.c_str());
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    std::printf("%s%.6f", i > 0 ? "," : "", seconds[i]);
  }
  std::printf("]}\n");
}

void decode(const Arguments& arguments) {
  const Shape& shape = shape_of(arguments);
  const auto backend = assay::create_cuda_backend(0);
  assay::ModelConfig config = config_of(shape);
  config.weight_type = arguments.text("weights", "bf16") == "int8" ? assay::DataType::kInt8 : assay::DataType::kBf16;
  assay::TransformerModel model(*backend, config);
  model.initialize(17);
  model.set_inference_precision(assay::Precision::kAmpBf16);
  const std::int64_t sequences = arguments.number("batch", 1);
  const std::int64_t prompt = arguments.number("prompt", 128);
  const std::int64_t new_tokens = arguments.number("new", 256);
  assay::DecodingSession session(
      model, {.capacity = prompt + new_tokens, .sequences = sequences, .rows = std::max(prompt, sequences)});
  std::mt19937 random(17);
  double best = 0;
  for (int repeat = 0; repeat < 4; ++repeat) {
    std::vector<std::int32_t> next(static_cast<std::size_t>(sequences));
    std::vector<std::int32_t> rows(next.size());
    for (std::int64_t sequence = 0; sequence < sequences; ++sequence) {
      session.reset(sequence);
      const std::vector<std::int32_t> text = random_tokens(random, prompt, shape.vocab_size);
      const assay::SequenceTokens piece{sequence, text};
      session.append(std::span(&piece, 1), assay::DecodingSession::Pass::kPrompt);
      rows[static_cast<std::size_t>(sequence)] = static_cast<std::int32_t>(sequence);
      next[static_cast<std::size_t>(sequence)] = text.back();
    }
    backend->synchronize();
    const auto start = Clock::now();
    for (std::int64_t i = 1; i < new_tokens; ++i) {
      std::vector<assay::SequenceTokens> pieces;
      for (std::size_t sequence = 0; sequence < next.size(); ++sequence) {
        pieces.push_back({static_cast<std::int64_t>(sequence), std::span(&next[sequence], 1)});
      }
      session.append(pieces, assay::DecodingSession::Pass::kDecode);
      const std::span<const float> logits = session.logits(rows);
      for (std::size_t sequence = 0; sequence < next.size(); ++sequence) {
        const auto row = logits.subspan(sequence * static_cast<std::size_t>(shape.vocab_size),
                                        static_cast<std::size_t>(shape.vocab_size));
        next[sequence] = static_cast<std::int32_t>(std::max_element(row.begin(), row.end()) - row.begin());
      }
    }
    if (repeat > 0) {
      best = std::max(best, static_cast<double>(sequences * (new_tokens - 1)) / seconds_since(start));
    }
  }
  std::printf("{\"shape\":\"%s\",\"batch\":%lld,\"weights\":\"%s\",\"weight_bytes\":%zu,\"tokens_per_second\":%.1f,"
              "\"device\":\"%s\"}\n",
              shape.name, static_cast<long long>(sequences), arguments.text("weights", "bf16").c_str(),
              model.parameters().size_bytes, best, backend->info().device.c_str());
}

void compare_losses(const Arguments& arguments) {
  constexpr std::int64_t kWarmup = 20;
  constexpr double kRate = 6e-4;
  assay::ModelConfig config;
  config.vocab_size = arguments.number("vocabulary", 8192);
  config.max_seq_len = arguments.number("context", 512);
  config.n_layers = arguments.number("layers", 6);
  config.n_heads = 8;
  config.d_model = arguments.number("width", 512);
  assay::TrainingOptions training;
  training.microbatch_size = 8;
  training.global_batch_size = 16;
  training.seq_len = config.max_seq_len;
  training.gradient_clipping = 1.0;
  training.precision = assay::Precision::kAmpBf16;
  training.optimizer.learning_rate = kRate;

  std::ifstream file(arguments.text("tokens"), std::ios::binary | std::ios::ate);
  const auto bytes = static_cast<std::int64_t>(file.tellg());
  const std::int64_t step_tokens = training.global_batch_size * (training.seq_len + 1);
  const std::int64_t steps = bytes / 4 / step_tokens;
  if (!file || steps < 1) {
    fail("\"" + arguments.text("tokens") + "\" holds no whole batch; make it with bench/gpu/tokens.py.");
  }
  file.seekg(0);
  const auto backend = assay::create_cuda_backend(0);
  assay::TransformerModel model(*backend, config);
  model.initialize(17);
  assay::save_weights(model, arguments.text("weights"));
  model.prepare_training(training);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(step_tokens));
  std::ofstream out(arguments.text("out"));
  out.precision(9);
  out << "{\"vocab_size\":" << config.vocab_size << ",\"seq_len\":" << training.seq_len
      << ",\"n_layers\":" << config.n_layers << ",\"n_heads\":" << config.n_heads << ",\"d_model\":" << config.d_model
      << ",\"batch\":" << training.global_batch_size << ",\"learning_rate\":" << kRate << ",\"betas\":["
      << training.optimizer.beta1 << "," << training.optimizer.beta2 << "],\"epsilon\":" << training.optimizer.epsilon
      << ",\"weight_decay\":" << training.optimizer.weight_decay << ",\"warmup_steps\":" << kWarmup
      << ",\"clipping\":1.0,\"losses\":[";
  for (std::int64_t step = 1; step <= steps; ++step) {
    file.read(reinterpret_cast<char*>(tokens.data()), static_cast<std::streamsize>(tokens.size() * 4));
    const double rate = kRate * std::min(1.0, static_cast<double>(step) / kWarmup);
    out << (step > 1 ? "," : "") << model.train_step(tokens, step, rate).loss;
  }
  out << "]}\n";
  if (!arguments.text("final").empty()) {
    assay::save_weights(model, arguments.text("final"));
  }
}

} // namespace

int main(int count, char** values) {
  const Arguments arguments(count, values);
  const std::string mode = count > 1 ? values[1] : "";
  try {
    if (arguments.is_complete() && mode == "train") {
      train(arguments);
    } else if (arguments.is_complete() && mode == "decode") {
      decode(arguments);
    } else if (arguments.is_complete() && mode == "loss") {
      compare_losses(arguments);
    } else {
      std::fprintf(stderr,
                   "usage: bench-cuda train|decode|loss --name value …; the head of bench-cuda.cpp lists them\n");
      return 2;
    }
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
