// Runs of values from one number format to another; memory limits all of these.
#include "backends/cpu/kernels/bf16.h"
#include "backends/cpu/kernels/functions.h"

namespace assay::ASSAY_VARIANT {

void narrow_bf16(std::uint16_t* __restrict output, const float* __restrict input, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    output[i] = to_bf16(input[i]);
  }
}

void widen_bf16(float* __restrict output, const std::uint16_t* __restrict input, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    output[i] = from_bf16(input[i]);
  }
}

void widen_int8(float* __restrict output, const std::int8_t* __restrict input, float scale, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    output[i] = static_cast<float>(input[i]) * scale;
  }
}

} // namespace assay::ASSAY_VARIANT
