// Declarations of one variant's kernels, in a namespace of their own (ASSAY_KERNELS is kernels_avx512, …), between the
// files that define them and the file that fills the table.
#pragma once

#include "backends/cpu/kernels/table.h"

#define ASSAY_JOIN2(a, b) a##b
#define ASSAY_JOIN(a, b) ASSAY_JOIN2(a, b)
#define ASSAY_VARIANT ASSAY_JOIN(ASSAY_KERNELS, _detail)

namespace assay::ASSAY_VARIANT {

void dropout(float* output, const float* input, std::uint64_t first_element, std::int64_t count, const DropoutRow& row);
void narrow_bf16(std::uint16_t* output, const float* input, std::int64_t count);
void widen_bf16(float* output, const std::uint16_t* input, std::int64_t count);
void widen_int8(float* output, const std::int8_t* input, float scale, std::int64_t count);
void add(float* output, const float* left, const float* right, std::int64_t count);
void add_to(float* target, const float* values, std::int64_t count);
void gelu(float* output, const float* input, std::int64_t count);
void gelu_backward(float* gradient, const float* input, std::int64_t count);
void gelu_erf(float* output, const float* input, std::int64_t count);
void gelu_erf_backward(float* gradient, const float* input, std::int64_t count);
void tanh(float* output, const float* input, std::int64_t count);
void tanh_backward(float* gradient, const float* input, std::int64_t count);
void layer_norm_forward(float* output, float* mean, float* inverse_deviation, const float* input, const float* weight,
                        const float* bias, std::int64_t channels, float epsilon);
void layer_norm_backward(const LayerNormRow& row, std::int64_t channels);
float softmax_block(float* scores, std::int64_t count, float scale, float* maximum, float* sum);
void probabilities(float* scores, std::int64_t count, float scale, float log_sum_exp);
void softmax_backward(float* d_scores, const float* probabilities, std::int64_t count, float scale, float correction);
float log_sum_exp(const float* logits, std::int64_t count);
void scale(float* values, std::int64_t count, float factor);
void scaled_probabilities(float* logits, std::int64_t count, float log_sum_exp, float factor);
float dot(const float* left, const float* right, std::int64_t count);
void column_sum(float* target, const float* values, std::int64_t rows, std::int64_t columns, std::int64_t stride);
double square_sum(const float* values, std::int64_t count);
void vector_matrix(float* output, const float* vector, const float* matrix, const float* bias, std::int64_t rows,
                   std::int64_t columns, std::int64_t stride);
float dot_bf16(const float* vector, const std::uint16_t* weights, std::int64_t count);
float dot_int8(const float* vector, const std::int8_t* weights, std::int64_t count);
void vector_matrix_bf16(float* output, const float* vector, const std::uint16_t* matrix, std::int64_t rows,
                        std::int64_t columns, std::int64_t stride);
void vector_matrix_int8(float* output, const float* vector, const std::int8_t* matrix, std::int64_t rows,
                        std::int64_t columns, std::int64_t stride);
void vectors_matrix_bf16(float* output, std::int64_t output_stride, const float* vectors, std::int64_t vector_stride,
                         std::int64_t count, const std::uint16_t* matrix, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride);
void vectors_matrix_int8(float* output, std::int64_t output_stride, const float* vectors, std::int64_t vector_stride,
                         std::int64_t count, const std::int8_t* matrix, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride);
void adamw(float* parameters, const float* gradients, float* first_moment, float* second_moment, std::uint16_t* copy,
           std::int64_t count, const AdamWScalars& scalars);
void adamw_blocks(float* parameters, const float* gradients, const MomentBlocks& moments, std::uint16_t* copy,
                  std::int64_t count, const AdamWScalars& scalars);
void row_dots(float* output, const float* vector, const float* matrix, std::int64_t rows, std::int64_t columns);
void weighted_rows(float* output, const float* weights, const float* matrix, std::int64_t rows, std::int64_t columns);
extern const std::int64_t gemm_scratch_count;
void gemm(bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k, float alpha,
          const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride, float beta, float* c,
          std::int64_t c_stride, float* scratch);

} // namespace assay::ASSAY_VARIANT
