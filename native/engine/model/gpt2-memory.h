// Where a model's working memory lies: the arenas of training and of forward-only passes, laid out by the same code
// that plans them. Private to this folder.
#pragma once

#include "engine/model/gpt2.h"
#include "engine/ops/buffer.h"

#include <chrono>
#include <vector>

namespace assay {

// What forward keeps of one layer for backward.
struct LayerActivations {
  float *norm_1, *mean_1, *inverse_deviation_1; // (M, C), (M), (M)
  float* qkv;                                   // (M, 3C)
  float* attention;                             // (M, C)
  float* log_sum_exp;                           // (B, H, T)
  float* residual_middle;                       // (M, C), after attention
  float *norm_2, *mean_2, *inverse_deviation_2;
  float *inner_sum, *inner; // (M, I), before and after GELU
  float* residual;          // (M, C), after the MLP
};

struct Gpt2Model::Activations {
  std::int32_t *tokens, *targets; // (M)
  float* embedded;                // (M, C)
  std::vector<LayerActivations> layers;
  float *norm_f, *mean_f, *inverse_deviation_f;
  // Forward's branch before it joins the residual, backward's gradient of a norm's output: never alive together.
  float* branch;     // (M, C)
  float* d_residual; // (M, C)
  float* d_branch;   // (M, C), d_residual itself without residual dropout
  float* d_wide;     // (M, max(3C, I)): of qkv or of the MLP's inner sum

  // Binds to `base`, or only measures where base is null. Returns the bytes.
  std::size_t lay_out(const Gpt2Config& config, std::int64_t batch, std::int64_t seq_len, std::byte* base);
};

struct Gpt2Model::Training {
  TrainingOptions options;
  MemoryPlan plan;
  Buffer gradients, moments, arena; // moments: first, then second
  Activations activations;
  std::vector<AdamWSegment> segments;
};

// A forward pass that keeps nothing.
struct Gpt2Model::Inference {
  Buffer own;                     // empty where the training arena is borrowed
  std::int32_t *tokens, *targets; // (M)
  float *residual, *norm, *wide, *attention, *branch;

  std::size_t lay_out(const Gpt2Config& config, std::int64_t rows, std::byte* base);
};

// Adds the time of its life to a phase.
class PhaseTimer {
public:
  explicit PhaseTimer(double& phase_seconds)
      : phase_seconds_(phase_seconds), start_(std::chrono::steady_clock::now()) {}
  ~PhaseTimer() { phase_seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  PhaseTimer(const PhaseTimer&) = delete;
  PhaseTimer& operator=(const PhaseTimer&) = delete;

private:
  double& phase_seconds_;
  std::chrono::steady_clock::time_point start_;
};

inline WorkspaceRequest workspace_request(const Gpt2Config& config, std::int64_t rows, std::int64_t seq_len,
                                          bool training) {
  return {rows, seq_len, config.d_model, config.d_inner, config.n_heads, config.vocab_size, training};
}

} // namespace assay
