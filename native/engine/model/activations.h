// Where a model's working memory lies: the arenas of training and of forward-only passes, laid out by the same code
// that plans them. Private to this folder. M = B · T rows, C model width, I inner width, r adapter rank.
#pragma once

#include "engine/model/transformer.h"
#include "engine/ops/buffer.h"

#include <chrono>
#include <optional>
#include <vector>

namespace assay {

// What an arena is laid out for.
struct ArenaKind {
  DataType type = DataType::kF32; // of activations and their gradients
  bool orders_tokens = false;     // the embedding's gradient wants the rows by their tokens
};

inline ArenaKind arena_kind(const Backend& backend, Precision precision) {
  return {backend.activation_type(precision == Precision::kAmpBf16), backend.info().is_device};
}

// A microbatch on the backend.
struct DeviceBatch {
  std::int64_t batch = 0;
  std::int64_t seq_len = 0;
  const std::int32_t* tokens = nullptr;      // (M)
  const std::int32_t* token_types = nullptr; // (M), or null
  const std::int32_t* positions = nullptr;   // (M), or null
  const std::int32_t* key_begin = nullptr;   // (M), or null: everything may be attended to
  const std::int32_t* key_end = nullptr;
  const std::int32_t* token_order = nullptr; // (M), or null
  std::int64_t rows() const { return batch * seq_len; }
};

// Where a batch's integers lie, (M) each.
struct DeviceIntegers {
  std::int32_t *tokens, *token_types, *positions, *key_begin, *key_end;
  std::int32_t* token_order; // or null
};

// One block's values. Where norms come before, `input` is the residual sum that norm_1 reads and `middle` the one that
// norm_2 reads; where they come after, `middle` is what norm_1 reads and `last` what norm_2 reads, and the block's
// output is norm_2's. A forward pass that keeps nothing uses one set for all blocks, many of them the same memory.
struct BlockActivations {
  Values input;                        // (M, C)
  Values norm_1;                       // (M, C)
  float *mean_1, *inverse_deviation_1; // (M), (M)
  Values qkv;                          // (M, 3C)
  Values attention;                    // (M, C)
  float* log_sum_exp;                  // (B, H, T)
  Values middle;                       // (M, C)
  Values norm_2;
  float *mean_2, *inverse_deviation_2;
  Values inner_sum, inner; // (M, I), before and after the activation
  Values last;             // (M, C), norms after only
};

// Whole-model values around the blocks.
struct OuterActivations {
  Values embedding_sum; // (M, C), norms after: what the embedding's norm reads
  float *embedding_mean, *embedding_inverse_deviation;
  Values norm_f; // (M, C), final norm
  float *mean_f, *inverse_deviation_f;
  Values branch;                      // (M, C): what joins the residual next
  Values adapter_low, adapter_d_low;  // (M, r)
  Values adapter_wide, adapter_input; // (M, max(3C, I))
};

// Sums on the backend, read once a step.
struct StepSums {
  double main;     // losses of tokens, or of the small head's rows (weighted); span QA: of both ends
  double sentence; // pretraining: of the order of the segments
  double squares;  // of the gradients

  // What the head's losses come to: span QA's is the mean of both ends'.
  double main_loss(HeadKind head) const { return head == HeadKind::kSpanQa ? main / 2 : main; }
};

// Of the heads. The masked LM's rows are gathered, so that only what is scored goes through its layers.
struct HeadActivations {
  Values gathered, transform_sum, transformed, normed;          // (M, C)
  float *mean, *inverse_deviation;                              // (M)
  Values pooled_input, pooled_sum, pooled, d_pooled;            // (B, C)
  Values logits, d_logits;                                      // (M or B, outputs)
  std::int32_t *rows, *targets, *sequence_rows, *small_targets; // (M), (M), (B), (2M)
  std::int32_t* valid;                                          // (B)
  float* class_weights;                                         // (outputs)
  StepSums* losses;
};

// Every fp32 tensor rounded to bf16, one behind the other with the distances that they have in the parameters, so that
// an update's offsets serve both. Only matrices are read from here.
struct TransformerModel::WeightCopies {
  Buffer memory;
  std::vector<std::int64_t> offsets; // values, by stored tensor; −1: not stored as fp32
  std::vector<bool> is_stale;        // by stored tensor
  std::int64_t rounded_step = 0;     // the update that rounded the trained ones; 0: they are the nearest
  ModelWeights table;

  std::uint16_t* at(std::size_t index) const {
    return reinterpret_cast<std::uint16_t*>(memory.bytes()) + offsets[index];
  }
};

struct TransformerModel::Training {
  TrainingOptions options;
  MemoryPlan plan;
  Buffer gradients, moments, arena;
  std::vector<std::int64_t> gradient_offsets; // floats, by stored tensor; −1: frozen
  std::int64_t gradient_count = 0;
  bool trains_everything = true;
  // What the losses of the gradients held now are divided by.
  double scored = 1.0, scored_sentences = 1.0;
  ModelGradients table;
  // Trained tensors that are neighbours in memory, in parameters and gradients alike.
  struct Run {
    std::size_t parameter_offset_bytes = 0;
    std::int64_t gradient_offset = 0;
    std::size_t first_tensor = 0;
    std::vector<AdamWSegment> segments; // offsets from the run's start
  };
  std::vector<Run> runs;

  DeviceIntegers integers;
  std::vector<Values> inputs;           // (M, C) each: what enters block i, and the end
  std::vector<BlockActivations> blocks; // what is computed again is shared between them
  OuterActivations outer;
  HeadActivations head;
  Values d_residual; // (M, C)
  Values d_branch;   // (M, C), d_residual itself without residual dropout
  Values d_wide;     // (M, max(3C, I)): of qkv or of the inner sum

  // Binds to `base`, or only measures where base is null. Returns the bytes.
  std::size_t lay_out(const ModelConfig& config, const TrainingOptions& with, ArenaKind kind, std::byte* base);
};

// A forward pass that keeps nothing.
struct TransformerModel::Inference {
  Buffer own; // empty where the training arena is borrowed
  DeviceIntegers integers;
  BlockActivations block;
  OuterActivations outer;
  HeadActivations head;

  std::size_t lay_out(const ModelConfig& config, std::int64_t batch, std::int64_t seq_len, ArenaKind kind,
                      std::byte* base);
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

inline WorkspaceRequest workspace_request(const ModelConfig& config, std::int64_t rows, std::int64_t seq_len,
                                          bool training) {
  return {rows,           seq_len,           config.d_model, config.d_inner,
          config.n_heads, config.vocab_size, training,       config.weight_type != DataType::kF32};
}

// Copies a batch's integers to the backend; key ranges are made from its segments, and the tokens' order where there is
// room for it.
DeviceBatch upload(Backend& backend, const ModelConfig& config, const Batch& batch, const DeviceIntegers& to);

// Sequences [first, first + count) of a batch.
Batch part_of(const Batch& batch, HeadKind head, std::int64_t first, std::int64_t count);

} // namespace assay
