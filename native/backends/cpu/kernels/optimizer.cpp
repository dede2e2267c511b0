// One pass of DecoupledAdamW: reads parameter, gradient and both moments, writes all but the gradient. Memory-bound.
#include "backends/cpu/kernels/functions.h"

namespace assay::ASSAY_VARIANT {

void adamw(float* __restrict parameters, const float* __restrict gradients, float* __restrict first_moment,
           float* __restrict second_moment, std::int64_t count, const AdamWScalars& scalars) {
  const AdamWScalars s = scalars;
  const float keep1 = 1.0F - s.beta1;
  const float keep2 = 1.0F - s.beta2;
  for (std::int64_t i = 0; i < count; ++i) {
    const float gradient = gradients[i] * s.gradient_scale;
    const float first = s.beta1 * first_moment[i] + keep1 * gradient;
    const float second = s.beta2 * second_moment[i] + keep2 * gradient * gradient;
    first_moment[i] = first;
    second_moment[i] = second;
    const float denominator = __builtin_sqrtf(second) * s.inverse_root_correction + s.epsilon;
    parameters[i] = parameters[i] * s.decay_factor - s.step_size * first / denominator;
  }
}

} // namespace assay::ASSAY_VARIANT
