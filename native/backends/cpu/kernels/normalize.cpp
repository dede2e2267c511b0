// Layer norm of one row, forward and backward. The row stays in the first-level cache, so the two passes over it are
// cheap; memory bandwidth limits both.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

void layer_norm_forward(float* output, float* mean, float* inverse_deviation, const float* input, const float* weight,
                        const float* bias, std::int64_t channels, float epsilon) {
  const std::int64_t whole = channels / kLanes * kLanes;
  Vector sums{};
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    sums += load(input + c);
  }
  float sum = sum_lanes(sums);
  for (std::int64_t c = whole; c < channels; ++c) {
    sum += input[c];
  }
  const float average = sum / static_cast<float>(channels);
  // The variance from deviations, not from squares: it does not cancel when the mean is large.
  Vector squares{};
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Vector deviation = load(input + c) - average;
    squares += deviation * deviation;
  }
  float square = sum_lanes(squares);
  for (std::int64_t c = whole; c < channels; ++c) {
    square += (input[c] - average) * (input[c] - average);
  }
  const float inverse = 1.0F / __builtin_sqrtf(square / static_cast<float>(channels) + epsilon);
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    store(output + c, (load(input + c) - average) * inverse * load(weight + c) + load(bias + c));
  }
  for (std::int64_t c = whole; c < channels; ++c) {
    output[c] = (input[c] - average) * inverse * weight[c] + bias[c];
  }
  if (mean != nullptr) {
    *mean = average;
    *inverse_deviation = inverse;
  }
}

void layer_norm_backward(float* d_input, const float* d_residual, float* d_weight, float* d_bias, const float* d_output,
                         const float* input, const float* weight, float mean, float inverse_deviation,
                         std::int64_t channels) {
  const std::int64_t whole = channels / kLanes * kLanes;
  Vector sums{};
  Vector dots{};
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Vector normalized = (load(input + c) - mean) * inverse_deviation;
    const Vector upper = load(d_output + c);
    const Vector weighted = upper * load(weight + c);
    sums += weighted;
    dots += weighted * normalized;
    store(d_weight + c, load(d_weight + c) + upper * normalized);
    store(d_bias + c, load(d_bias + c) + upper);
  }
  float sum = sum_lanes(sums);
  float dot_sum = sum_lanes(dots);
  for (std::int64_t c = whole; c < channels; ++c) {
    const float normalized = (input[c] - mean) * inverse_deviation;
    const float weighted = d_output[c] * weight[c];
    sum += weighted;
    dot_sum += weighted * normalized;
    d_weight[c] += d_output[c] * normalized;
    d_bias[c] += d_output[c];
  }
  const float mean_sum = sum / static_cast<float>(channels);
  const float mean_dot = dot_sum / static_cast<float>(channels);
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Vector normalized = (load(input + c) - mean) * inverse_deviation;
    const Vector weighted = load(d_output + c) * load(weight + c);
    Vector result = (weighted - mean_sum - normalized * mean_dot) * inverse_deviation;
    if (d_residual != nullptr) {
      result += load(d_residual + c);
    }
    store(d_input + c, result);
  }
  for (std::int64_t c = whole; c < channels; ++c) {
    const float normalized = (input[c] - mean) * inverse_deviation;
    const float result = (d_output[c] * weight[c] - mean_sum - normalized * mean_dot) * inverse_deviation;
    d_input[c] = d_residual != nullptr ? d_residual[c] + result : result;
  }
}

} // namespace assay::ASSAY_VARIANT
