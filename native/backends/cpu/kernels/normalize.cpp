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

namespace {

// The gradient of the norm's output, which one or two users send.
template <bool kHasSecond> inline Vector upper_of(const float* d_output, const float* d_output_2, std::int64_t c) {
  if constexpr (kHasSecond) {
    return load(d_output + c) + load(d_output_2 + c);
  }
  return load(d_output + c);
}

template <bool kHasSecond> inline float upper_at(const float* d_output, const float* d_output_2, std::int64_t c) {
  if constexpr (kHasSecond) {
    return d_output[c] + d_output_2[c];
  }
  return d_output[c];
}

template <bool kHasSecond, bool kTrainsWeight> void backward_row(const LayerNormRow& r, std::int64_t channels) {
  const std::int64_t whole = channels / kLanes * kLanes;
  const float* __restrict weight = r.weight;
  Vector sums{};
  Vector dots{};
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Vector normalized = (load(r.input + c) - r.mean) * r.inverse_deviation;
    const Vector upper = upper_of<kHasSecond>(r.d_output, r.d_output_2, c);
    const Vector weighted = upper * load(weight + c);
    sums += weighted;
    dots += weighted * normalized;
    if constexpr (kTrainsWeight) {
      store(r.d_weight + c, load(r.d_weight + c) + upper * normalized);
      store(r.d_bias + c, load(r.d_bias + c) + upper);
    }
  }
  float sum = sum_lanes(sums);
  float dot_sum = sum_lanes(dots);
  for (std::int64_t c = whole; c < channels; ++c) {
    const float normalized = (r.input[c] - r.mean) * r.inverse_deviation;
    const float upper = upper_at<kHasSecond>(r.d_output, r.d_output_2, c);
    const float weighted = upper * weight[c];
    sum += weighted;
    dot_sum += weighted * normalized;
    if constexpr (kTrainsWeight) {
      r.d_weight[c] += upper * normalized;
      r.d_bias[c] += upper;
    }
  }
  const float mean_sum = sum / static_cast<float>(channels);
  const float mean_dot = dot_sum / static_cast<float>(channels);
  for (std::int64_t c = 0; c < whole; c += kLanes) {
    const Vector normalized = (load(r.input + c) - r.mean) * r.inverse_deviation;
    const Vector weighted = upper_of<kHasSecond>(r.d_output, r.d_output_2, c) * load(weight + c);
    Vector result = (weighted - mean_sum - normalized * mean_dot) * r.inverse_deviation;
    if (r.d_residual != nullptr) {
      result += load(r.d_residual + c);
    }
    store(r.d_input + c, result);
  }
  for (std::int64_t c = whole; c < channels; ++c) {
    const float normalized = (r.input[c] - r.mean) * r.inverse_deviation;
    const float weighted = upper_at<kHasSecond>(r.d_output, r.d_output_2, c) * weight[c];
    const float result = (weighted - mean_sum - normalized * mean_dot) * r.inverse_deviation;
    r.d_input[c] = r.d_residual != nullptr ? r.d_residual[c] + result : result;
  }
}

} // namespace

void layer_norm_backward(const LayerNormRow& row, std::int64_t channels) {
  const bool has_second = row.d_output_2 != nullptr;
  if (row.d_weight != nullptr) {
    has_second ? backward_row<true, true>(row, channels) : backward_row<false, true>(row, channels);
  } else {
    has_second ? backward_row<true, false>(row, channels) : backward_row<false, false>(row, channels);
  }
}

} // namespace assay::ASSAY_VARIANT
