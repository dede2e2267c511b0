// The backend's own kernels but attention's, as functions of the host: each checks, chooses and launches on the
// context's stream, and returns at once. What they mean is said in engine/ops/backend.h. All pointers are device memory
// unless they say host. `…_workspace` are the bytes of context.workspace that a call uses.
#pragma once

#include "backends/cuda/device.h"
#include "engine/ops/backend.h"

#include <cstddef>
#include <cstdint>

namespace assay::cuda {

// Throws WORKSPACE_TOO_SMALL.
void check_workspace(const KernelContext& context, std::size_t size_bytes);

// --- embedding ---
void embedding_forward(const KernelContext& context, const EmbeddingForward& call);
// Without token_order it sorts the rows itself, in one block.
void embedding_backward(const KernelContext& context, const EmbeddingBackward& call);
std::size_t embedding_backward_workspace(std::int64_t rows, std::int64_t channels);

// --- layer norm ---
void layer_norm_forward(const KernelContext& context, const LayerNormForward& call);
void layer_norm_backward(const KernelContext& context, const LayerNormBackward& call);
std::size_t layer_norm_backward_workspace(std::int64_t rows, std::int64_t channels, int multiprocessors);

// --- element by element ---
void add(const KernelContext& context, Values target, ConstValues values, std::int64_t count);
void dropout(const KernelContext& context, Values values, std::int64_t rows, std::int64_t channels,
             std::int64_t rows_per_sample, const Dropout& dropout);
void activation_forward(const KernelContext& context, Values output, ConstValues input, std::int64_t count,
                        Activation activation);
void activation_backward(const KernelContext& context, Values gradient, ConstValues pre_activation, std::int64_t count,
                         Activation activation);
void convert(const KernelContext& context, ConstValues source, Values target, std::int64_t count);
void zero(const KernelContext& context, void* values, std::size_t size_bytes);

// --- rows and columns ---
void copy_columns(const KernelContext& context, Values target, std::int64_t target_stride, ConstValues source,
                  std::int64_t source_stride, std::int64_t rows, std::int64_t columns, bool add);
void gather_rows(const KernelContext& context, ConstValues source, const std::int32_t* indices, Values output,
                 std::int64_t rows, std::int64_t channels);
void scatter_add_rows(const KernelContext& context, ConstValues values, const std::int32_t* indices, Values target,
                      std::int64_t rows, std::int64_t channels);
// What follows a matrix product that has no epilogue of its own: values += bias (unless null), pre_activation_out =
// values (unless null), values = activation(values). `values` is (rows, columns).
void add_bias_activation(const KernelContext& context, Values values, const float* bias, std::int64_t rows,
                         std::int64_t columns, Activation activation, Values pre_activation_out);
// sums[c] += (or with accumulate = false: =) Σ_r values[r · stride + c], in a fixed order.
void column_sums(const KernelContext& context, ConstValues values, std::int64_t rows, std::int64_t columns,
                 std::int64_t stride, float* sums, bool accumulate);
// gradient *= activation'(pre_activation) in place, and d_bias gets its column sums like column_sums() does.
void activation_backward_with_bias(const KernelContext& context, Values gradient, ConstValues pre_activation,
                                   std::int64_t rows, std::int64_t columns, Activation activation, float* d_bias,
                                   bool accumulate);
// Of both.
std::size_t column_sums_workspace(std::int64_t rows, std::int64_t columns, int multiprocessors);
// output (rows, columns), fp32 or bf16 = weight, whose int8 scales are by row (an embedding's) or by column.
void dequantize(const KernelContext& context, const WeightView& weight, std::int64_t rows, std::int64_t columns,
                bool scales_by_row, Values output);

// --- losses ---
void cross_entropy(const KernelContext& context, const CrossEntropy& call);
std::size_t cross_entropy_workspace(std::int64_t rows);
// The loss of the output layer on rows of logits of the whole vocabulary, (rows, stride). Columns behind the vocabulary
// are padding. With writes_gradient the logits are overwritten by their gradient, and padding by zeros. The workspace
// is cross_entropy_workspace(rows).
struct VocabularyLoss {
  Values logits;
  std::int64_t rows, vocab_size, stride;
  const std::int32_t* targets; // (rows); of a negative target loss and gradient are 0
  const float* bias = nullptr; // (V), added to the logits, or null
  float label_smoothing = 0.0F;
  bool writes_gradient = false;
  float gradient_scale = 0.0F;
  double* loss = nullptr; // (1): the sum over the rows is added to it
};
void vocabulary_loss(const KernelContext& context, const VocabularyLoss& call);

// --- optimizer ---
void square_sum(const KernelContext& context, const float* values, std::int64_t count, double* sum);
std::size_t square_sum_workspace();
void adamw_step(const KernelContext& context, const AdamWStep& call);

// --- products of at most kFewRows rows, for decoding ---
inline constexpr std::int64_t kFewRows = 16;
// As Backend::linear_forward; operands are not rounded, and the weight may be of any type.
void linear_few_rows(const KernelContext& context, const LinearForward& call);
// As Backend::logits.
void logits_few_rows(const KernelContext& context, ConstValues hidden, const WeightView& weight, const float* bias,
                     float* output, std::int64_t rows, std::int64_t channels, std::int64_t vocab_size);

} // namespace assay::cuda
