// The table of operations that a model is written in. A device implements the table; activations and their gradients
// are fp32 or bf16 as the backend likes them, parameters' gradients fp32, weights may be stored narrower, and products
// may be taken of operands rounded to bf16. The grain is chosen so that a backend may fuse: a residual add, its dropout
// and the next layer norm are one call, so are a linear layer and its GELU, and the output layer with its loss, whose
// logits never exist whole.
//
// Shapes: B sequences, T positions, C model width, H heads, D = C / H, V vocabulary, M = B·T rows. All row-major.
// A linear weight is (in, out), as Hugging Face's Conv1D keeps it. Pointers are backend memory unless they say host.
// An operation never allocates; what it needs besides its arguments comes from the workspace reserved beforehand. It
// may return before it is done: operations run in the order of the calls, and copy_to_host() waits for all of them.
// All activations of one call have one type.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>

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

enum class DataType : std::uint8_t { kF32, kBf16, kInt8 };

// Bytes of one value.
constexpr std::size_t size_of(DataType type) {
  return type == DataType::kF32 ? 4 : type == DataType::kBf16 ? 2 : 1;
}

// Activations or their gradients in backend memory, fp32 or bf16. Adding counts values, not bytes.
template <class Byte, class Float, class Half> struct TypedPointer {
  Byte* data = nullptr;
  DataType type = DataType::kF32;

  TypedPointer() = default;
  TypedPointer(std::nullptr_t) {}
  // Plain fp32, the common case.
  TypedPointer(Float* values) : data(values) {}
  TypedPointer(Byte* values, DataType data_type) : data(values), type(data_type) {}
  Float* f32() const { return static_cast<Float*>(data); }
  Half* bf16() const { return static_cast<Half*>(data); }
  TypedPointer operator+(std::int64_t count) const {
    using Step = std::conditional_t<std::is_const_v<Byte>, const std::byte, std::byte>;
    return {static_cast<Step*>(data) + count * static_cast<std::int64_t>(size_of(type)), type};
  }
  explicit operator bool() const { return data != nullptr; }
  friend bool operator==(const TypedPointer& a, const TypedPointer& b) { return a.data == b.data; }
};
using Values = TypedPointer<void, float, std::uint16_t>;
struct ConstValues : TypedPointer<const void, const float, const std::uint16_t> {
  using TypedPointer::TypedPointer;
  ConstValues(const TypedPointer& values) : TypedPointer(values) {}
  ConstValues(const Values& values) : TypedPointer(values.data, values.type) {}
  ConstValues(float* values) : TypedPointer(values) {}
};

// A weight matrix as it lies in backend memory, row-major. A linear layer's is (in, out), the token embedding's (V, C).
// An int8 value stands for scales[output channel] · value; the output channel is the column of a linear weight and the
// row of an embedding.
struct WeightView {
  const void* values = nullptr;
  DataType type = DataType::kF32;
  const float* scales = nullptr;

  WeightView() = default;
  // Plain fp32, the common case.
  WeightView(const float* weight) : values(weight) {}
  WeightView(const void* weight, DataType data_type, const float* channel_scales)
      : values(weight), type(data_type), scales(channel_scales) {}
  const float* f32() const { return static_cast<const float*>(values); }
  const std::uint16_t* bf16() const { return static_cast<const std::uint16_t*>(values); }
  const std::int8_t* int8() const { return static_cast<const std::int8_t*>(values); }
};

enum class Activation : std::uint8_t {
  kNone,
  kGeluNew, // the tanh approximation (Hendrycks and Gimpel 2016)
  kGelu,    // x · Φ(x), by the error function
  kTanh,
};

// output = token_weight[token] + position_weight[position] (+ token_type_weight[type]), then dropout.
struct EmbeddingForward {
  const std::int32_t* tokens;   // (B, T)
  WeightView token_weight;      // (V, C)
  const float* position_weight; // (P, C)
  Values output;                // (B, T, C)
  std::int64_t batch, seq_len, channels;
  std::int64_t first_position = 0; // decoding goes on from here
  Dropout dropout;
  const std::int32_t* positions = nullptr;   // (B, T), or null: first_position + t
  const std::int32_t* token_types = nullptr; // (B, T), or null: no token types
  const float* token_type_weight = nullptr;  // (types, C)
};

struct EmbeddingBackward {
  const std::int32_t* tokens; // (B, T)
  ConstValues d_output;       // (B, T, C)
  float* d_token_weight;      // (V, C), added to, or null: frozen
  float* d_position_weight;   // (P, C), added to, or null
  std::int64_t batch, seq_len, channels;
  Dropout dropout;
  const std::int32_t* positions = nullptr;
  const std::int32_t* token_types = nullptr;
  float* d_token_type_weight = nullptr; // (types, C), added to, or null
  // (M): the rows by their tokens, rows of one token ascending. Null: a backend that needs the order finds it, slowly.
  const std::int32_t* token_order = nullptr;
};

// residual_output = residual + dropout(branch); output = norm(residual_output) · weight + bias.
// Without a branch, residual_output is not written and the norm reads `residual`.
struct LayerNormForward {
  ConstValues residual;               // (M, C)
  ConstValues branch = nullptr;       // (M, C) or null
  Values residual_output = nullptr;   // (M, C), null without branch; may be `residual` itself
  const float* weight;                // (C)
  const float* bias;                  // (C)
  Values output;                      // (M, C)
  float* mean = nullptr;              // (M) and
  float* inverse_deviation = nullptr; // (M): what backward needs, or null
  std::int64_t rows, channels, rows_per_sample;
  float epsilon;
  Dropout dropout;
};

// d_residual_output = d_residual + (gradient through the norm); d_branch = dropout mask applied to d_residual_output.
struct LayerNormBackward {
  ConstValues d_output;             // (M, C)
  ConstValues input;                // (M, C): forward's residual_output (or residual, without branch)
  const float* weight;              // (C)
  const float* mean;                // (M)
  const float* inverse_deviation;   // (M)
  ConstValues d_residual = nullptr; // (M, C), null: zero
  Values d_residual_output;         // (M, C), may be d_residual itself
  Values d_branch = nullptr;        // (M, C), null when nobody needs it (no dropout: the same as d_residual_output)
  float* d_weight;                  // (C), added to, or null together with d_bias: frozen
  float* d_bias;                    // (C), added to
  std::int64_t rows, channels, rows_per_sample;
  Dropout dropout;
  bool accumulate = true; // false: d_weight and d_bias are written, not added to
  // (M, C): added to d_output. Where the norm's output is also the residual (post-LN), both of its users send one.
  ConstValues d_output_2 = nullptr;
};

// output = activation(scale · input · weight + bias). With pre_activation, the sum before the activation goes there
// too.
struct LinearForward {
  ConstValues input;               // (M, in)
  WeightView weight;               // (in, out)
  const float* bias = nullptr;     // (out) or null
  Values output;                   // (M, out)
  Values pre_activation = nullptr; // (M, out) or null
  Activation activation = Activation::kNone;
  std::int64_t rows, in, out;
  float scale = 1.0F;
  bool add = false;  // output += scale · input · weight, without bias and activation
  bool bf16 = false; // both operands rounded to bf16, sums in fp32
};

struct LinearBackward {
  ConstValues d_output;     // (M, out)
  ConstValues input;        // (M, in)
  WeightView weight;        // (in, out)
  Values d_input = nullptr; // (M, in), written; null when nobody needs it
  // With it, d_input is multiplied by input_activation'(input_pre_activation): `input` was the activation of it.
  ConstValues input_pre_activation = nullptr; // (M, in)
  float* d_weight;                            // (in, out), added to, or null: frozen
  float* d_bias = nullptr;                    // (out), added to, or null
  std::int64_t rows, in, out;
  bool accumulate = true; // false: d_weight and d_bias are written, not added to
  Activation input_activation = Activation::kGeluNew;
  float scale = 1.0F;          // forward's
  bool add_to_d_input = false; // d_input is added to; not together with input_pre_activation
  bool bf16 = false;
};

// Self-attention, scaled by 1/√D, on packed rows [query | key | value], each (H, D). Query t of a sequence attends to
// the keys in [key_begin[t], key_end[t]), without them to all, and with `causal` to none after t. A query that may
// attend to nothing gives zeros.
struct AttentionForward {
  ConstValues qkv;              // (B, T, 3C)
  Values output;                // (B, T, C)
  float* log_sum_exp = nullptr; // (B, H, T): what backward needs, or null
  std::int64_t batch, seq_len, heads, head_size;
  Dropout dropout; // element (h·T + query)·T + key of its sample
  bool causal = true;
  const std::int32_t* key_begin = nullptr; // (B, T), both or neither
  const std::int32_t* key_end = nullptr;   // (B, T)
  bool bf16 = false;
};

struct AttentionBackward {
  ConstValues d_output;     // (B, T, C)
  ConstValues qkv;          // (B, T, 3C)
  ConstValues output;       // (B, T, C)
  const float* log_sum_exp; // (B, H, T)
  Values d_qkv;             // (B, T, 3C), written
  std::int64_t batch, seq_len, heads, head_size;
  Dropout dropout;
  bool causal = true;
  const std::int32_t* key_begin = nullptr;
  const std::int32_t* key_end = nullptr;
  bool bf16 = false;
};

// New positions of some sequences against their caches: stores the keys and values of each sequence at its
// past … past + count − 1, then lets each new position attend to all before it and to itself.
struct AttentionCached {
  ConstValues qkv;          // (S, count, 3C)
  Values key_cache;         // (S, H, capacity, D)
  Values value_cache;       // (S, H, capacity, D)
  Values output;            // (S, count, C)
  const std::int32_t* past; // (S)
  std::int64_t sequences, count, capacity, heads, head_size;
  std::int64_t longest; // host: no past + count is more than this; what work is divided by
  bool bf16 = false;
};

// Output layer over the vocabulary (tied to the token embedding), with cross-entropy. A row whose target is negative is
// not scored. With label smoothing ε a row's loss is (1 − ε) · nll + ε · mean over the vocabulary, as torch's.
struct Classifier {
  ConstValues hidden;          // (M, C)
  WeightView weight;           // (V, C)
  const std::int32_t* targets; // (M)
  std::int64_t rows, channels, vocab_size;
  // Training only; evaluation leaves them null.
  Values d_hidden = nullptr;   // (M, C), written
  float* d_weight = nullptr;   // (V, C), added to; null: frozen
  float gradient_scale = 0.0F; // d(loss) / d(summed loss): 1 / scored tokens of the global batch
  bool accumulate = true;      // false: d_weight and d_bias are written, not added to
  const float* bias = nullptr; // (V) or null
  float* d_bias = nullptr;     // (V), added to, or null
  float label_smoothing = 0.0F;
  bool bf16 = false;
  double* loss = nullptr; // (1): the sum of the losses of the scored rows, in nats, is added to it
};

// Cross-entropy of small heads: row r has `classes` logits at logits[r · row_stride + k · class_stride], of which the
// first valid[r] count. A negative target is not scored. With class weights w a row's loss is w[target] · nll, and its
// smoothed part Σ_k w[k] · nll_k / classes, as torch.nn.CrossEntropyLoss has it; the caller divides by Σ w[target].
struct CrossEntropy {
  ConstValues logits;
  const std::int32_t* targets;          // (rows)
  const std::int32_t* valid = nullptr;  // (rows) or null: all classes
  const float* class_weights = nullptr; // (classes) or null: 1
  std::int64_t rows, classes, row_stride, class_stride;
  float label_smoothing = 0.0F;
  Values d_logits = nullptr; // laid out as logits, written; null: loss only
  float gradient_scale = 0.0F;
  double* loss = nullptr; // (1): the sum of the rows' losses, in nats, is added to it
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
  // The updated parameters rounded to bf16, at the same offsets; or null.
  std::uint16_t* bf16_parameters = nullptr;
  // Those are rounded up or down with the probabilities that make the mean exact: parameter i of the step goes up where
  // word i mod 4 of Philox(counter = {i / 4, 0, step, kRoundingSite}, key = seed), cut to its lower 16 bits, is below
  // the 16 bits that rounding drops. `first_parameter` counts from the arena's start.
  bool stochastic_rounding = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::int64_t first_parameter = 0;
  // Moments in 8 bits: first_moment and second_moment then point to the scales, one a block of kMomentBlock
  // parameters, and these to the codes, one a parameter (Dettmers et al., "8-bit Optimizers via Block-wise
  // Quantization", 2021). Segments begin at multiples of kMomentBlock.
  std::uint8_t* first_codes = nullptr;
  std::uint8_t* second_codes = nullptr;
};
inline constexpr std::int64_t kMomentBlock = 256;
inline constexpr std::uint32_t kRoundingSite = 0x40000000U; // above every site of dropout, below initialisation's

// The largest calls a model will make; what the workspace is planned from.
struct WorkspaceRequest {
  std::int64_t rows = 0; // M
  std::int64_t seq_len = 0;
  std::int64_t channels = 0;
  std::int64_t inner_channels = 0;
  std::int64_t heads = 0;
  std::int64_t vocab_size = 0;
  bool training = false;
  bool narrow_weights = false; // matrices are stored in fewer bits than fp32, so that products may want them wider
};

struct BackendInfo {
  std::string name;            // "cpu" | "cuda:0"
  std::string gemm;            // "onednn" | "portable"
  std::string library_version; // of the GEMM library, empty when portable
  std::string library_path;
  std::string instruction_set; // what the own kernels use: "avx512" | "avx2" | "baseline"
  std::string bf16;            // products of bf16: "avx512_bf16" | "emulated" (right, but no faster than fp32)
  int threads = 1;
  bool is_device = false; // memory is not the host's; operations return before they are done
  std::string device;     // "NVIDIA H200", empty on the CPU
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
  // Bytes all 0, which is 0 in every format.
  virtual void zero(void* values, std::size_t size_bytes) = 0;

  // What activations are kept in where products are taken in bf16 (`true`) or fp32. Where it is bf16, linear layers and
  // the classifier want their weights as bf16, too: whoever holds fp32 weights keeps a copy of them.
  virtual DataType activation_type([[maybe_unused]] bool bf16) const { return DataType::kF32; }

  // Runs `body`, whose operations and arguments are a function of `key` alone (what they read may change). A backend
  // may record them and play them again at the next call with this key. Anything recorded is forgotten when memory is
  // released or the workspace grows.
  virtual void repeat([[maybe_unused]] std::uint64_t key, const std::function<void()>& body) { body(); }
  // Waits until all is done; for whoever takes the time.
  virtual void synchronize() {}

  virtual std::size_t workspace_bytes(const WorkspaceRequest& request) const = 0;
  // Makes sure that the workspace holds at least so many bytes; it never shrinks.
  virtual void reserve_workspace(std::size_t size_bytes) = 0;
  virtual std::size_t reserved_workspace_bytes() const = 0;
  // Gives it back; the next reserve_workspace() makes another.
  virtual void release_workspace() noexcept = 0;

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
  // target += values
  virtual void add(Values target, ConstValues values, std::int64_t count) = 0;
  // Keeps or drops in place; `rows` rows of `channels`, elements numbered as in LayerNormForward. Backward is the same
  // call on the gradient.
  virtual void dropout(Values values, std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample,
                       const Dropout& dropout) = 0;
  // Rows of `columns` values from one place to another: target[r · target_stride + c] = (or with `add` +=)
  // source[r · source_stride + c].
  virtual void copy_columns(Values target, std::int64_t target_stride, ConstValues source, std::int64_t source_stride,
                            std::int64_t rows, std::int64_t columns, bool add) = 0;
  // output = activation(input); may work in place.
  virtual void activation_forward(Values output, ConstValues input, std::int64_t count, Activation activation) = 0;
  // d *= activation'(pre_activation)
  virtual void activation_backward(Values gradient, ConstValues pre_activation, std::int64_t count,
                                   Activation activation) = 0;
  // output[i] = source[indices[i]], rows of `channels`.
  virtual void gather_rows(ConstValues source, const std::int32_t* indices, Values output, std::int64_t rows,
                           std::int64_t channels) = 0;
  // target[indices[i]] += values[i]; the indices differ from each other.
  virtual void scatter_add_rows(ConstValues values, const std::int32_t* indices, Values target, std::int64_t rows,
                                std::int64_t channels) = 0;
  // From fp32 or bf16 to fp32 or bf16, to nearest even; int8 is not taken.
  virtual void convert(ConstValues source, Values target, std::int64_t count) = 0;
  virtual void cross_entropy(const CrossEntropy& call) = 0;
  virtual void classifier_train(const Classifier& call) = 0;
  virtual void classifier_evaluate(const Classifier& call) = 0;
  // logits (M, V) = hidden · weightᵀ + bias, for generation and inspection; bias may be null.
  virtual void logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output, std::int64_t rows,
                      std::int64_t channels, std::int64_t vocab_size, bool bf16) = 0;

  // --- optimizer ---
  // *sum += the sum of squares, in a fixed order, in double.
  virtual void square_sum(const float* values, std::int64_t count, double* sum) = 0;
  virtual void adamw_step(const AdamWStep& call) = 0;
};

} // namespace assay
