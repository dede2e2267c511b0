// The operations that are one kernel's call.
#include "backends/cuda/attention.h"
#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/kernels.h"

namespace assay::cuda {

void CudaBackend::embedding_forward(const EmbeddingForward& call) {
  cuda::embedding_forward(enter(), call);
}

void CudaBackend::embedding_backward(const EmbeddingBackward& call) {
  cuda::embedding_backward(enter(), call);
}

void CudaBackend::layer_norm_forward(const LayerNormForward& call) {
  cuda::layer_norm_forward(enter(), call);
}

void CudaBackend::layer_norm_backward(const LayerNormBackward& call) {
  cuda::layer_norm_backward(enter(), call);
}

void CudaBackend::attention_forward(const AttentionForward& call) {
  cuda::attention_forward(enter(), call);
}

void CudaBackend::attention_backward(const AttentionBackward& call) {
  cuda::attention_backward(enter(), call);
}

void CudaBackend::attention_cached(const AttentionCached& call) {
  cuda::attention_cached(enter(), call);
}

void CudaBackend::add(Values target, ConstValues values, std::int64_t count) {
  cuda::add(enter(), target, values, count);
}

void CudaBackend::dropout(Values values, std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample,
                          const Dropout& dropout) {
  cuda::dropout(enter(), values, rows, channels, rows_per_sample, dropout);
}

void CudaBackend::copy_columns(Values target, std::int64_t target_stride, ConstValues source,
                               std::int64_t source_stride, std::int64_t rows, std::int64_t columns, bool add) {
  cuda::copy_columns(enter(), target, target_stride, source, source_stride, rows, columns, add);
}

void CudaBackend::activation_forward(Values output, ConstValues input, std::int64_t count, Activation activation) {
  cuda::activation_forward(enter(), output, input, count, activation);
}

void CudaBackend::activation_backward(Values gradient, ConstValues pre_activation, std::int64_t count,
                                      Activation activation) {
  cuda::activation_backward(enter(), gradient, pre_activation, count, activation);
}

void CudaBackend::gather_rows(ConstValues source, const std::int32_t* indices, Values output, std::int64_t rows,
                              std::int64_t channels) {
  cuda::gather_rows(enter(), source, indices, output, rows, channels);
}

void CudaBackend::scatter_add_rows(ConstValues values, const std::int32_t* indices, Values target, std::int64_t rows,
                                   std::int64_t channels) {
  cuda::scatter_add_rows(enter(), values, indices, target, rows, channels);
}

void CudaBackend::convert(ConstValues source, Values target, std::int64_t count) {
  cuda::convert(enter(), source, target, count);
}

void CudaBackend::cross_entropy(const CrossEntropy& call) {
  cuda::cross_entropy(enter(), call);
}

void CudaBackend::square_sum(const float* values, std::int64_t count, double* sum) {
  cuda::square_sum(enter(), values, count, sum);
}

void CudaBackend::adamw_step(const AdamWStep& call) {
  cuda::adamw_step(enter(), call);
}

} // namespace assay::cuda
