// Times the matrix products of a GPT's layers against what the processor could do at most, and decoding against the
// speed of memory:
//   bench-gemm [--threads 1] [--seconds 0.15] [--only gemm|decode|peak] [--json]
// A figure is the best of its repetitions. On one thread the clock is the thread's own processor time, so that other
// programs on the machine disturb it little.
#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/ops/buffer.h"
#include "peak.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using assay::Backend;
using assay::DataType;
using assay::WeightView;
using assay::bench::best_seconds;

struct Options {
  int threads = 1;
  double seconds = 0.15;
  std::string only;
  bool json = false;
};

// Numbers as a weight matrix has them; their values do not change what a product costs.
void fill(float* values, std::int64_t count) {
  std::uint32_t state = 1;
  for (std::int64_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    values[i] = static_cast<float>(static_cast<std::int32_t>(state)) * 0x1.0p-31F;
  }
}

// Tensors side by side in one large block, as a model keeps them: on large pages.
class Arena {
public:
  explicit Arena(Backend& backend) : block_(backend, std::size_t{320} << 20) {}
  float* floats(std::int64_t count) {
    return reinterpret_cast<float*>(bytes(static_cast<std::size_t>(count) * sizeof(float)));
  }
  std::byte* bytes(std::size_t size_bytes) {
    std::byte* const begin = block_.bytes() + used_bytes_;
    used_bytes_ += (size_bytes + 255) / 256 * 256;
    return begin;
  }

private:
  assay::Buffer block_;
  std::size_t used_bytes_ = 0;
};

struct Shape {
  const char* name;
  std::int64_t rows, in, out;
  bool is_classifier; // (V, C) weight: only input · weightᵀ is timed
};

constexpr Shape kShapes[] = {
    {"256 qkv", 2048, 256, 768, false},    {"256 proj", 2048, 256, 256, false},  {"256 up", 2048, 256, 1024, false},
    {"256 down", 2048, 1024, 256, false},  {"384 qkv", 2048, 384, 1152, false},  {"384 up", 2048, 384, 1536, false},
    {"384 down", 2048, 1536, 384, false},  {"768 qkv", 1024, 768, 2304, false},  {"768 proj", 1024, 768, 768, false},
    {"768 up", 1024, 768, 3072, false},    {"768 down", 1024, 3072, 768, false}, {"256 logits", 256, 256, 8192, true},
    {"768 logits", 256, 768, 50257, true},
};

void print_product(const Options& options, const Shape& shape, const char* kind, const std::string& number,
                   const char* what, double seconds, double peak_gflops) {
  const double gflops = 2e-9 * static_cast<double>(shape.rows * shape.in * shape.out) / seconds;
  if (options.json) {
    std::printf("{\"shape\":\"%s\",\"rows\":%lld,\"in\":%lld,\"out\":%lld,\"precision\":\"%s\",\"gemm\":\"%s\","
                "\"pass\":\"%s\",\"gflops\":%.1f,\"of_peak\":%.3f}\n",
                shape.name, static_cast<long long>(shape.rows), static_cast<long long>(shape.in),
                static_cast<long long>(shape.out), number.c_str(), kind, what, gflops, gflops / peak_gflops);
  } else {
    std::printf("%-11s %5lld x %4lld x %5lld  %-9s %-8s %-8s %7.1f GFLOP/s  %5.1f %%\n", shape.name,
                static_cast<long long>(shape.rows), static_cast<long long>(shape.in), static_cast<long long>(shape.out),
                kind, number.c_str(), what, gflops, 100 * gflops / peak_gflops);
  }
  std::fflush(stdout);
}

void run_products(const Options& options, Backend& backend, const Shape& shape, bool bf16, double peak_gflops) {
  const char* kind = backend.info().gemm.c_str();
  const std::string number = bf16 ? "bf16" : "fp32";
  Arena arena(backend);
  float* const input = arena.floats(shape.rows * shape.in);
  float* const weight = arena.floats(shape.in * shape.out);
  float* const output = arena.floats(shape.rows * shape.out);
  float* const d_weight = arena.floats(shape.in * shape.out);
  fill(input, shape.rows * shape.in);
  fill(weight, shape.in * shape.out);
  fill(output, shape.rows * shape.out);
  const auto time = [&](const auto& body) { return best_seconds(options.threads, options.seconds, body); };
  if (shape.is_classifier) {
    print_product(options, shape, kind, number, "logits",
                  time([&] { backend.logits(input, weight, nullptr, output, shape.rows, shape.in, shape.out, bf16); }),
                  peak_gflops);
    return;
  }
  assay::LinearForward forward = {};
  forward.input = input;
  forward.weight = weight;
  forward.output = output;
  forward.rows = shape.rows;
  forward.in = shape.in;
  forward.out = shape.out;
  forward.bf16 = bf16;
  print_product(options, shape, kind, number, "forward", time([&] { backend.linear_forward(forward); }), peak_gflops);
  assay::LinearBackward backward = {};
  backward.d_output = output;
  backward.input = input;
  backward.weight = weight;
  backward.rows = shape.rows;
  backward.in = shape.in;
  backward.out = shape.out;
  backward.bf16 = bf16;
  float* const d_input = arena.floats(shape.rows * shape.in);
  backward.d_input = d_input;
  print_product(options, shape, kind, number, "d_input", time([&] { backend.linear_backward(backward); }), peak_gflops);
  backward.d_input = nullptr;
  backward.d_weight = d_weight;
  print_product(options, shape, kind, number, "d_weight", time([&] { backend.linear_backward(backward); }),
                peak_gflops);
}

// Two dozen layers' worth of (in, out) weights and one (V, C) embedding: far more than any cache holds.
void run_decoding(const Options& options, Backend& backend, DataType type, std::int64_t rows, double read_gbps) {
  constexpr std::int64_t kWidth = 768, kInner = 3072, kLayers = 24, kVocabulary = 50257;
  const bool is_embedding_pass[] = {false, true};
  for (const bool is_embedding : is_embedding_pass) {
    const std::int64_t weights = is_embedding ? kVocabulary * kWidth : kWidth * kInner * kLayers;
    Arena arena(backend);
    const std::size_t bytes = static_cast<std::size_t>(weights) * assay::size_of(type);
    float* const input = arena.floats(rows * kWidth);
    float* const output = arena.floats(rows * std::max(kVocabulary, kInner));
    float* const scales = arena.floats(std::max(kVocabulary, kInner));
    std::byte* const stored = arena.bytes(bytes);
    fill(input, rows * kWidth);
    fill(scales, kInner);
    std::memset(stored, 0x11, bytes);
    const double seconds = best_seconds(options.threads, 2 * options.seconds, [&] {
      if (is_embedding) {
        backend.logits(input, WeightView(stored, type, scales), nullptr, output, rows, kWidth, kVocabulary, false);
        return;
      }
      for (std::int64_t layer = 0; layer < kLayers; ++layer) {
        assay::LinearForward forward = {};
        forward.input = input;
        const std::byte* own = stored + static_cast<std::size_t>(layer * kWidth * kInner) * assay::size_of(type);
        forward.weight = WeightView(own, type, scales);
        forward.output = output;
        forward.rows = rows;
        forward.in = kWidth;
        forward.out = kInner;
        backend.linear_forward(forward);
      }
    });
    const double gbps = 1e-9 * static_cast<double>(bytes) / seconds;
    const char* name = type == DataType::kF32 ? "fp32" : type == DataType::kBf16 ? "bf16" : "int8";
    const char* layout = is_embedding ? "logits" : "linear";
    if (options.json) {
      std::printf("{\"decode\":\"%s\",\"weights\":\"%s\",\"rows\":%lld,\"gbps\":%.2f,\"of_read\":%.3f}\n", layout, name,
                  static_cast<long long>(rows), gbps, gbps / read_gbps);
    } else {
      std::printf("decode %-7s %-5s %3lld rows  %6.2f GB/s  %5.1f %% of reading\n", layout, name,
                  static_cast<long long>(rows), gbps, 100 * gbps / read_gbps);
    }
    std::fflush(stdout);
  }
}

void run(const Options& options) {
  const assay::bench::Peaks peaks = assay::bench::measure_peaks(options.threads, options.seconds);
  if (options.json) {
    std::printf("{\"threads\":%d,\"peak_fp32_gflops\":%.1f,\"peak_bf16_gflops\":%.1f,\"read_gbps\":%.2f}\n",
                options.threads, peaks.fp32_gflops, peaks.bf16_gflops, peaks.read_gbps);
  } else {
    std::printf("peak of %d thread%s: fp32 %.1f, bf16 %.1f GFLOP/s; reading %.2f GB/s\n", options.threads,
                options.threads == 1 ? "" : "s", peaks.fp32_gflops, peaks.bf16_gflops, peaks.read_gbps);
  }
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(assay::create_cpu_backend({options.threads, assay::GemmChoice::kPortable}));
  if (!assay::find_onednn().path.empty()) {
    backends.push_back(assay::create_cpu_backend({options.threads, assay::GemmChoice::kOneDnn}));
  }
  for (const auto& backend : backends) {
    assay::WorkspaceRequest request;
    request.rows = 2048;
    request.channels = 768;
    request.inner_channels = 3072;
    request.heads = 12;
    request.vocab_size = 50257;
    request.seq_len = 256;
    request.training = true;
    backend->reserve_workspace(backend->workspace_bytes(request));
  }
  if (options.only.empty() || options.only == "gemm") {
    for (const Shape& shape : kShapes) {
      for (const auto& backend : backends) {
        run_products(options, *backend, shape, false, peaks.fp32_gflops);
      }
      // bf16 products do not depend on the fp32 library unless they are emulated.
      run_products(options, *backends.back(), shape, true,
                   peaks.bf16_gflops > 0 ? peaks.bf16_gflops : peaks.fp32_gflops);
    }
  }
  if (options.only.empty() || options.only == "decode") {
    for (const DataType type : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
      for (const std::int64_t rows : {1, 4, 16}) {
        run_decoding(options, *backends.back(), type, rows, peaks.read_gbps);
      }
    }
  }
}

} // namespace

int main(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string name = arguments[i];
    if (name == "--json") {
      options.json = true;
    } else if (name == "--threads" && i + 1 < count) {
      options.threads = std::max(1, std::atoi(arguments[++i]));
    } else if (name == "--seconds" && i + 1 < count) {
      options.seconds = std::atof(arguments[++i]);
    } else if (name == "--only" && i + 1 < count) {
      options.only = arguments[++i];
    } else {
      std::fprintf(stderr, "usage: bench-gemm [--threads N] [--seconds S] [--only gemm|decode|peak] [--json]\n");
      return 2;
    }
  }
  try {
    run(options);
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
