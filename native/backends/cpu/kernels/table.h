// The serial kernels of one instruction set, as a table of functions. Each works on the rows it is given; who runs
// which rows on which thread is decided by the backend.
#pragma once

#include <cstdint>

namespace assay {

// The part of `Dropout` that an element needs, with the probability as a threshold on 32 random bits.
struct DropoutRow {
  std::uint32_t key0, key1, sample, step, site;
  std::uint32_t threshold;
  float scale; // 1 / (1 − probability)
};

// d_input = d_residual + gradient of d_output + d_output_2; adds to d_weight and d_bias.
struct LayerNormRow {
  float* d_input;
  const float* d_residual; // null: none
  float* d_weight;         // null together with d_bias: frozen
  float* d_bias;
  const float* d_output;
  const float* d_output_2; // null: none
  const float* input;
  const float* weight;
  float mean, inverse_deviation;
};

struct KernelTable {
  const char* name;

  // --- element by element ---
  // output = input kept or dropped; elements are numbered from first_element within the sample. May work in place.
  void (*dropout)(float* output, const float* input, std::uint64_t first_element, std::int64_t count,
                  const DropoutRow& row);
  // fp32 to bf16, to nearest, ties to even; bf16 to fp32; output = scale · input.
  void (*narrow_bf16)(std::uint16_t* output, const float* input, std::int64_t count);
  void (*widen_bf16)(float* output, const std::uint16_t* input, std::int64_t count);
  void (*widen_int8)(float* output, const std::int8_t* input, float scale, std::int64_t count);
  void (*add)(float* output, const float* left, const float* right, std::int64_t count);
  void (*add_to)(float* target, const float* values, std::int64_t count);
  // output = activation(input), may work in place; gradient *= activation'(input). `gelu` is the tanh form gelu_new.
  void (*gelu)(float* output, const float* input, std::int64_t count);
  void (*gelu_backward)(float* gradient, const float* input, std::int64_t count);
  void (*gelu_erf)(float* output, const float* input, std::int64_t count);
  void (*gelu_erf_backward)(float* gradient, const float* input, std::int64_t count);
  void (*tanh)(float* output, const float* input, std::int64_t count);
  void (*tanh_backward)(float* gradient, const float* input, std::int64_t count);

  // --- layer norm, one row ---
  void (*layer_norm_forward)(float* output, float* mean, float* inverse_deviation, const float* input,
                             const float* weight, const float* bias, std::int64_t channels, float epsilon);
  void (*layer_norm_backward)(const struct LayerNormRow& row, std::int64_t channels);

  // --- softmax ---
  // One step of online softmax over the first `count` scores: scales them, raises `maximum`, turns them into
  // e^(score − maximum), adds to `sum`, and returns what earlier results must be multiplied by.
  float (*softmax_block)(float* scores, std::int64_t count, float scale, float* maximum, float* sum);
  // scores = e^(scale · score − log_sum_exp)
  void (*probabilities)(float* scores, std::int64_t count, float scale, float log_sum_exp);
  // d_scores = scale · probabilities · (d_scores − correction)
  void (*softmax_backward)(float* d_scores, const float* probabilities, std::int64_t count, float scale,
                           float correction);
  // log Σ e^logit
  float (*log_sum_exp)(const float* logits, std::int64_t count);
  void (*scale)(float* values, std::int64_t count, float factor);
  // logits = factor · e^(logit − log_sum_exp)
  void (*scaled_probabilities)(float* logits, std::int64_t count, float log_sum_exp, float factor);

  // --- sums ---
  float (*dot)(const float* left, const float* right, std::int64_t count);
  // target[c] += Σ_r values[r · stride + c]
  void (*column_sum)(float* target, const float* values, std::int64_t rows, std::int64_t columns, std::int64_t stride);
  double (*square_sum)(const float* values, std::int64_t count);

  // output (columns) = vector (rows) · matrix (rows, columns) + bias, for single rows, where memory bandwidth is all.
  void (*vector_matrix)(float* output, const float* vector, const float* matrix, const float* bias, std::int64_t rows,
                        std::int64_t columns, std::int64_t stride);
  // The same of narrower weights: without bias, and int8 without its scales.
  float (*dot_bf16)(const float* vector, const std::uint16_t* weights, std::int64_t count);
  float (*dot_int8)(const float* vector, const std::int8_t* weights, std::int64_t count);
  void (*vector_matrix_bf16)(float* output, const float* vector, const std::uint16_t* matrix, std::int64_t rows,
                             std::int64_t columns, std::int64_t stride);
  void (*vector_matrix_int8)(float* output, const float* vector, const std::int8_t* matrix, std::int64_t rows,
                             std::int64_t columns, std::int64_t stride);
  // Some vectors at once, each summed in the same order as alone.
  void (*vectors_matrix_bf16)(float* output, std::int64_t output_stride, const float* vectors,
                              std::int64_t vector_stride, std::int64_t count, const std::uint16_t* matrix,
                              std::int64_t rows, std::int64_t columns, std::int64_t stride);
  void (*vectors_matrix_int8)(float* output, std::int64_t output_stride, const float* vectors,
                              std::int64_t vector_stride, std::int64_t count, const std::int8_t* matrix,
                              std::int64_t rows, std::int64_t columns, std::int64_t stride);

  // --- decoding; `matrix` is (rows, columns) ---
  // output[r] = vector · row r
  void (*row_dots)(float* output, const float* vector, const float* matrix, std::int64_t rows, std::int64_t columns);
  // output = Σ_r weights[r] · row r
  void (*weighted_rows)(float* output, const float* weights, const float* matrix, std::int64_t rows,
                        std::int64_t columns);

  // --- optimizer ---
  // One step; `copy` gets the parameters rounded to bf16, or is null.
  void (*adamw)(float* parameters, const float* gradients, float* first_moment, float* second_moment,
                std::uint16_t* copy, std::int64_t count, const struct AdamWScalars& scalars);
  // The same with moments in 8-bit blocks, the first of which begins at the first parameter. Per block: decode both
  // moments (value · scale), take the step with moments in fp32, and encode the new ones
  // (engine/optim/moment-blocks.h).
  void (*adamw_blocks)(float* parameters, const float* gradients, const struct MomentBlocks& moments,
                       std::uint16_t* copy, std::int64_t count, const struct AdamWScalars& scalars);

  // --- matrix product, one thread: C = alpha · op(A) · op(B) + beta · C ---
  std::int64_t gemm_scratch_count; // floats
  void (*gemm)(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
               const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, float beta, float* c,
               std::int64_t c_stride, float* scratch);
};

struct MomentBlocks {
  std::uint8_t* first_codes;
  std::uint8_t* second_codes;
  float* first_scales; // one a block of 256
  float* second_scales;
};

struct AdamWScalars {
  float step_size; // lr / first_correction
  float beta1, beta2, epsilon;
  float decay_factor; // 1 for exempt parameters
  float gradient_scale;
  float inverse_root_correction; // 1 / √second_correction
};

const KernelTable& kernels_baseline();
#if defined(ASSAY_X86_KERNELS)
const KernelTable& kernels_avx2();
const KernelTable& kernels_avx512();
#endif

} // namespace assay
