// Times a GPT-2 of 124M parameters reading a prompt and decoding, without Node, and prints one JSON line:
//   bench-infer [--weights fp32|bf16|int8] [--batch 1] [--prompt 512] [--tokens 64] [--rounds 3] [--threads 0]
//               [--model FILE] [--bandwidth] [--sampling]
// Weights are random unless a file gives them: speed does not depend on them. Every round starts from an empty cache;
// one round before them warms up and is not counted. Decoding is the engine's own generation with greedy choice; what
// the prompt takes is timed apart. --bandwidth: how fast this machine reads memory, in a plain loop. --sampling: what
// choosing a token and making text of it takes.
#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/checkpoint/model-checkpoint.h"
#include "engine/infer/decoding-session.h"
#include "engine/infer/generation.h"
#include "engine/infer/text-stream.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using assay::DataType;

struct Options {
  DataType weights = DataType::kF32;
  std::string weights_name = "fp32", model;
  std::int64_t batch = 1, prompt = 512, tokens = 64;
  int rounds = 3, threads = 0;
  bool bandwidth = false, sampling = false;
};

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The same tokens as the peers get: a linear congruence, so that no two prompts of a batch are alike.
std::vector<std::int32_t> some_tokens(std::int64_t count, std::uint32_t seed) {
  std::vector<std::int32_t> tokens;
  std::uint32_t state = seed;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    tokens.push_back(static_cast<std::int32_t>((state >> 8) % 50256U));
  }
  return tokens;
}

// Bytes of weights that one decoded token reads, however many texts are decoded side by side: all linear layers and the
// output layer.
double weight_bytes(const assay::ModelConfig& c) {
  const double block = static_cast<double>(c.d_model) * static_cast<double>(4 * c.d_model + 2 * c.d_inner);
  const double values = static_cast<double>(c.n_layers) * block + static_cast<double>(c.vocab_size * c.d_model);
  return values * (c.weight_type == DataType::kF32 ? 4 : c.weight_type == DataType::kBf16 ? 2 : 1);
}

void print_list(const char* name, const std::vector<double>& values, const char* format) {
  std::printf(",\"%s\":[", name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::printf(i > 0 ? "," : "");
    std::printf(format, values[i]);
  }
  std::printf("]");
}

// Prompts of all texts into an empty cache, and the logits behind them.
std::vector<double> time_prompt(assay::TransformerModel& model, const Options& options) {
  constexpr std::int64_t kRows = 512;
  std::vector<std::vector<std::int32_t>> prompts;
  for (std::int64_t i = 0; i < options.batch; ++i) {
    prompts.push_back(some_tokens(options.prompt, static_cast<std::uint32_t>(i + 1)));
  }
  assay::DecodingSession session(model, {.capacity = options.prompt, .sequences = options.batch, .rows = kRows});
  std::vector<double> seconds;
  for (int round = 0; round <= options.rounds; ++round) {
    for (std::int64_t i = 0; i < options.batch; ++i) {
      session.reset(i);
    }
    seconds.push_back(seconds_of([&] {
      for (std::int64_t i = 0; i < options.batch; ++i) {
        const std::span<const std::int32_t> prompt = prompts[static_cast<std::size_t>(i)];
        std::int32_t last = 0;
        for (std::size_t at = 0; at < prompt.size(); at += kRows) {
          const assay::SequenceTokens piece{i, prompt.subspan(at, std::min<std::size_t>(kRows, prompt.size() - at))};
          session.append(std::span(&piece, 1), assay::DecodingSession::Pass::kPrompt);
          last = static_cast<std::int32_t>(piece.tokens.size()) - 1;
        }
        session.logits(std::span(&last, 1));
      }
    }));
  }
  seconds.erase(seconds.begin());
  return seconds;
}

struct Decoding {
  std::vector<double> seconds; // of tokens − 1 passes: the first token comes from the prompt's logits
  std::vector<std::int32_t> ids;
};

Decoding time_decoding(assay::TransformerModel& model, const Options& options) {
  std::vector<assay::GenerationRequest> requests;
  for (std::int64_t i = 0; i < options.batch; ++i) {
    assay::GenerationRequest request;
    request.prompt = some_tokens(16, static_cast<std::uint32_t>(i + 1));
    request.max_new_tokens = options.tokens;
    request.sampling.temperature = 0;
    requests.push_back(request);
  }
  const std::atomic<bool> never{false};
  Decoding decoding;
  for (int round = 0; round <= options.rounds; ++round) {
    const auto results = assay::generate_batch(model, requests, [](std::size_t, const assay::GeneratedToken&) {}, never,
                                               {.sequences = options.batch});
    // Side by side all begin and end together.
    const assay::GenerationResult& last = results.back();
    if (round > 0) {
      decoding.seconds.push_back(last.seconds - last.prompt_seconds);
    }
    decoding.ids = results.front().ids;
  }
  return decoding;
}

std::vector<double> time_reading(const Options& options, unsigned threads) {
  std::vector<std::uint64_t> memory(std::size_t{512} << 17, 1); // 512 MiB
  std::vector<std::uint64_t> sums(threads * 64);
  std::vector<double> gigabytes;
  for (int round = 0; round <= options.rounds + 2; ++round) {
    const double seconds = seconds_of([&] {
      assay::run_parallel(threads, [&](unsigned thread) {
        const std::size_t part = memory.size() / threads;
        const std::uint64_t* at = memory.data() + thread * part;
        std::uint64_t lanes[16] = {};
        for (std::size_t i = 0; i + 16 <= part; i += 16) {
          for (std::size_t lane = 0; lane < 16; ++lane) {
            lanes[lane] += at[i + lane];
          }
        }
        for (const std::uint64_t lane : lanes) {
          sums[thread * 64] += lane;
        }
      });
    });
    gigabytes.push_back(static_cast<double>(memory.size() * sizeof(std::uint64_t)) / seconds / 1e9);
  }
  gigabytes.erase(gigabytes.begin());
  return gigabytes;
}

// Microseconds a token for temperature, top-k and top-p together, greedy choice, and top-p alone, with the text.
std::vector<double> time_sampling(assay::TransformerModel& model) {
  assay::DecodingSession session(model, 64);
  const std::span<const float> logits = session.feed(some_tokens(64, 1));
  std::vector<double> best;
  for (const assay::SamplingOptions& sampling :
       {assay::SamplingOptions{.temperature = 0.8, .top_k = 40, .top_p = 0.95},
        assay::SamplingOptions{.temperature = 0}, assay::SamplingOptions{.temperature = 1, .top_p = 0.95}}) {
    assay::Sampler sampler(sampling);
    assay::TextStream stream({"\n\n", "###"});
    std::string text;
    double least = 1e9;
    for (std::uint64_t i = 0; i < 200; ++i) {
      least = std::min(least, seconds_of([&] {
                         const assay::SampledToken token = sampler.sample(logits, i);
                         const std::string bytes = " t" + std::to_string(token.id % 97);
                         stream.push(bytes, [&](std::size_t, const std::string& piece) { text += piece; });
                       }));
    }
    best.push_back(least * 1e6);
  }
  return best;
}

void run(const Options& options) {
  const auto backend = assay::create_cpu_backend({.threads = options.threads});
  assay::ModelConfig config;
  config.vocab_size = 50257;
  config.max_seq_len = 1024;
  config.n_layers = 12;
  config.n_heads = 12;
  config.d_model = 768;
  config.weight_type = options.weights;
  config = assay::checked(config);
  assay::TransformerModel model(*backend, config);
  if (options.model.empty()) {
    model.initialize(17);
  } else {
    assay::load_weights(model, options.model);
  }
  const assay::BackendInfo& info = backend->info();
  std::printf("{\"weights\":\"%s\",\"batch\":%lld,\"prompt\":%lld,\"tokens\":%lld,\"threads\":%d,"
              "\"instruction_set\":\"%s\",\"bf16\":\"%s\",\"weight_bytes\":%.0f",
              options.weights_name.c_str(), static_cast<long long>(options.batch),
              static_cast<long long>(options.prompt), static_cast<long long>(options.tokens), info.threads,
              info.instruction_set.c_str(), info.bf16.c_str(), weight_bytes(config));
  if (options.prompt > 0) {
    print_list("prompt_seconds", time_prompt(model, options), "%.6f");
  }
  if (options.tokens > 1) {
    const Decoding decoding = time_decoding(model, options);
    print_list("decode_seconds", decoding.seconds, "%.6f");
    print_list("ids", std::vector<double>(decoding.ids.begin(), decoding.ids.end()), "%.0f");
  }
  if (options.bandwidth) {
    print_list("read_gigabytes_per_second", time_reading(options, static_cast<unsigned>(info.threads)), "%.2f");
  }
  if (options.sampling) {
    print_list("sampling_microseconds", time_sampling(model), "%.1f");
  }
  std::printf("}\n");
}

bool parse(int count, char** arguments, Options& options) {
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--bandwidth" || name == "--sampling") {
      (name == "--bandwidth" ? options.bandwidth : options.sampling) = true;
      continue;
    }
    if (i + 1 >= count) {
      return false;
    }
    const std::string value = arguments[++i];
    const auto number = [&] { return std::max<std::int64_t>(std::atoll(value.c_str()), 0); };
    if (name == "--weights" && (value == "fp32" || value == "bf16" || value == "int8")) {
      options.weights = value == "fp32" ? DataType::kF32 : value == "bf16" ? DataType::kBf16 : DataType::kInt8;
      options.weights_name = value;
    } else if (name == "--model") {
      options.model = value;
    } else if (name == "--batch") {
      options.batch = std::max<std::int64_t>(number(), 1);
    } else if (name == "--prompt") {
      options.prompt = number();
    } else if (name == "--tokens") {
      options.tokens = number();
    } else if (name == "--rounds") {
      options.rounds = static_cast<int>(std::max<std::int64_t>(number(), 1));
    } else if (name == "--threads") {
      options.threads = static_cast<int>(number());
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
    std::fprintf(stderr, "usage: bench-infer [--weights fp32|bf16|int8] [--batch N] [--prompt N] [--tokens N] "
                         "[--rounds N] [--threads N] [--model FILE] [--bandwidth] [--sampling]\n");
    return 2;
  }
  try {
    run(options);
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
