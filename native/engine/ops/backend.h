// The table of operations that a model is written in. The CPU backend implements it in fp32; another device implements
// the same table. The grain is chosen so that a backend may fuse: a residual add, its dropout and the next layer norm
// are one call, so are a linear layer and its GELU, and the output layer with its loss, whose logits never exist whole.
//
// Shapes: B sequences, T positions, C model width, H heads, D = C / H, V vocabulary, M = B·T rows. All row-major.
// A linear weight is (in, out), as Hugging Face's Conv1D keeps it. Pointers are backend memory unless they say host.
// An operation never allocates; what it needs besides its arguments comes from the workspace reserved beforehand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace assay {

// What a dropout mask is a function of; the same five values give the same mask in forward and backward, on any number
// of threads and for any microbatch size. Element e of sample s draws word e mod 4 of Philox(counter = {e / 4, s, step,
// site}, key = seed) and is kept where that word is at least probability · 2^32.
struct Dropout {
  float probability = 0.0F;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  // Place in the global batch of the first sequence of this call.
  std::uint32_t first_sample = 0;
  // One number for each place in the model that drops.
  std::uint32_t site = 0;
};

struct EmbeddingForward {
  const std::int32_t* tokens;   // (B, T)
  const float* token_weight;    // (V, C)
  const float* position_weight; // (≥ first_position + T, C)
  float* output;                // (B, T, C)
  std::int64_t batch, seq_len, channels;
  std::int64_t first_position = 0; // decoding goes on from here
  Dropout dropout;
};

struct EmbeddingBackward {
  const std::int32_t* tokens; // (B, T)
  const float* d_output;      // (B, T, C)
  float* d_token_weight;      // (V, C), added to
  float* d_position_weight;   // (≥ T, C), added to
  std::int64_t batch, seq_len, channels;
  Dropout dropout;
};

// residual_output = residual + dropout(branch); output = norm(residual_output) · weight + bias.
// Without a branch, residual_output is not written and the norm reads `residual`.
struct LayerNormForward {
  const float* residual;              // (M, C)
  const float* branch = nullptr;      // (M, C) or null
  float* residual_output = nullptr;   // (M, C), null without branch; may be `residual` itself
  const float* weight;                // (C)
  const float* bias;                  // (C)
  float* output;                      // (M, C)
  float* mean = nullptr;              // (M) and
  float* inverse_deviation = nullptr; // (M): what backward needs, or null
  std::int64_t rows, channels, rows_per_sample;
  float epsilon;
  Dropout dropout;
};

// d_residual_output = d_residual + (gradient through the norm); d_branch = dropout mask applied to d_residual_output.
struct LayerNormBackward {
  const float* d_output;             // (M, C)
  const float* input;                // (M, C): forward's residual_output (or residual, without branch)
  const float* weight;               // (C)
  const float* mean;                 // (M)
  const float* inverse_deviation;    // (M)
  const float* d_residual = nullptr; // (M, C), null: zero
  float* d_residual_output;          // (M, C), may be d_residual itself
  float* d_branch = nullptr;         // (M, C), null when nobody needs it (no dropout: the same as d_residual_output)
  float* d_weight;                   // (C), added to
  float* d_bias;                     // (C), added to
  std::int64_t rows, channels, rows_per_sample;
  Dropout dropout;
  bool accumulate = true; // false: d_weight and d_bias are written, not added to
};

// output = input · weight + bias; with pre_activation, that sum goes there and output = gelu_new(sum).
struct LinearForward {
  const float* input;              // (M, in)
  const float* weight;             // (in, out)
  const float* bias = nullptr;     // (out) or null
  float* output;                   // (M, out)
  float* pre_activation = nullptr; // (M, out) or null
  bool gelu = false;               // output = gelu_new(sum) also where nobody keeps the sum (inference)
  std::int64_t rows, in, out;
};

struct LinearBackward {
  const float* d_output;    // (M, out)
  const float* input;       // (M, in)
  const float* weight;      // (in, out)
  float* d_input = nullptr; // (M, in), written; null when nobody needs it
  // With it, d_input is multiplied by gelu_new'(input_pre_activation): `input` was gelu_new of it.
  const float* input_pre_activation = nullptr; // (M, in)
  float* d_weight;                             // (in, out), added to
  float* d_bias = nullptr;                     // (out), added to, or null
  std::int64_t rows, in, out;
  bool accumulate = true; // false: d_weight and d_bias are written, not added to
};

// Causal self-attention, scaled by 1/√D, on packed rows [query | key | value], each (H, D).
struct AttentionForward {
  const float* qkv;             // (B, T, 3C)
  float* output;                // (B, T, C)
  float* log_sum_exp = nullptr; // (B, H, T): what backward needs, or null
  std::int64_t batch, seq_len, heads, head_size;
  Dropout dropout; // element (h·T + query)·T + key of its sample
};

struct AttentionBackward {
  const float* d_output;    // (B, T, C)
  const float* qkv;         // (B, T, 3C)
  const float* output;      // (B, T, C)
  const float* log_sum_exp; // (B, H, T)
  float* d_qkv;             // (B, T, 3C), written
  std::int64_t batch, seq_len, heads, head_size;
  Dropout dropout;
};

// New positions of one sequence against a cache: stores their keys and values at past … past + count − 1, then lets
// each new position attend to all before and to itself.
struct AttentionCached {
  const float* qkv;   // (count, 3C)
  float* key_cache;   // (H, capacity, D)
  float* value_cache; // (H, capacity, D)
  float* output;      // (count, C)
  std::int64_t past, count, capacity, heads, head_size;
};

// Output layer tied to the token embedding, with cross-entropy. A row whose target is negative is not scored.
struct Classifier {
  const float* hidden;         // (M, C)
  const float* weight;         // (V, C)
  const std::int32_t* targets; // (M)
  std::int64_t rows, channels, vocab_size;
  // Training only; evaluation leaves them null.
  float* d_hidden = nullptr;   // (M, C), written
  float* d_weight = nullptr;   // (V, C), added to
  float gradient_scale = 0.0F; // d(loss) / d(summed negative log likelihood): 1 / scored tokens of the global batch
  bool accumulate = true;      // false: d_weight is written, not added to
};

// A run of parameters that share their decay. Offsets count floats in the parameter, gradient and moment arenas alike.
struct AdamWSegment {
  std::int64_t offset;
  std::int64_t count;
  bool decays;
};

struct AdamWStep {
  float* parameters;
  const float* gradients;
  float* first_moment;
  float* second_moment;
  std::span<const AdamWSegment> segments; // host
  float learning_rate;
  float beta1, beta2, epsilon;
  float decay_factor;      // parameters of decaying segments are multiplied by it: 1 − weight_decay · lr_t / lr_0
  float gradient_scale;    // from clipping
  float first_correction;  // 1 − beta1^step
  float second_correction; // 1 − beta2^step
};

// The largest calls a model will make; what the workspace is planned from.
struct WorkspaceRequest {
  std::int64_t rows = 0; // M
  std::int64_t seq_len = 0;
  std::int64_t channels = 0;
  std::int64_t inner_channels = 0;
  std::int64_t heads = 0;
  std::int64_t vocab_size = 0;
  bool training = false;
};

struct BackendInfo {
  std::string name;            // "cpu"
  std::string gemm;            // "onednn" | "portable"
  std::string library_version; // of the GEMM library, empty when portable
  std::string library_path;
  std::string instruction_set; // what the own kernels use: "avx512" | "avx2" | "baseline"
  int threads = 1;
};

class Backend {
public:
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;
  virtual ~Backend() = default;

  virtual const BackendInfo& info() const = 0;

  // --- memory ---
  // 64-byte aligned, zeroed. Throws OUT_OF_MEMORY naming the bytes.
  virtual void* allocate(std::size_t size_bytes) = 0;
  virtual void release(void* memory) noexcept = 0;
  virtual void copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) = 0;
  virtual void copy_to_host(void* host_target, const void* source, std::size_t size_bytes) = 0;
  virtual void zero(float* values, std::int64_t count) = 0;

  virtual std::size_t workspace_bytes(const WorkspaceRequest& request) const = 0;
  // Makes sure that the workspace holds at least so many bytes; it never shrinks.
  virtual void reserve_workspace(std::size_t size_bytes) = 0;
  virtual std::size_t reserved_workspace_bytes() const = 0;

  // --- model ---
  virtual void embedding_forward(const EmbeddingForward& call) = 0;
  virtual void embedding_backward(const EmbeddingBackward& call) = 0;
  virtual void layer_norm_forward(const LayerNormForward& call) = 0;
  virtual void layer_norm_backward(const LayerNormBackward& call) = 0;
  virtual void linear_forward(const LinearForward& call) = 0;
  virtual void linear_backward(const LinearBackward& call) = 0;
  virtual void attention_forward(const AttentionForward& call) = 0;
  virtual void attention_backward(const AttentionBackward& call) = 0;
  virtual void attention_cached(const AttentionCached& call) = 0;
  // Both return the sum of the negative log likelihoods of the scored rows, in nats.
  virtual double classifier_train(const Classifier& call) = 0;
  virtual double classifier_evaluate(const Classifier& call) = 0;
  // logits (M, V) = hidden · weightᵀ, for generation and inspection.
  virtual void logits(const float* hidden, const float* weight, float* output, std::int64_t rows, std::int64_t channels,
                      std::int64_t vocab_size) = 0;

  // --- optimizer ---
  // Sum of squares in a fixed order, in double.
  virtual double square_sum(const float* values, std::int64_t count) = 0;
  virtual void adamw_step(const AdamWStep& call) = 0;
};

} // namespace assay
