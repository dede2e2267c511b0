// The activations and their slopes on the device.
#pragma once

#include "backends/cuda/device.h"
#include "engine/ops/backend.h"

namespace assay::cuda {

// gelu_new(x) = x/2 · (1 + tanh u) = x / (1 + e^(−2u)), u = √(2/π) (x + 0.044715 x³)
__device__ __forceinline__ float sigmoid_of_twice(float u) {
  return 1.0F / (1.0F + expf(-2.0F * u));
}

inline constexpr float kRootTwoOverPi = 0.7978845608028654F;
inline constexpr float kCubic = 0.044715F;

// Φ(x), the normal distribution
__device__ __forceinline__ float lower_tail(float x) {
  return 0.5F * (1.0F + erff(x * 0.70710678118654752F));
}

__device__ __forceinline__ float activation_value(Activation activation, float x) {
  switch (activation) {
  case Activation::kGeluNew:
    return x * sigmoid_of_twice(kRootTwoOverPi * (x + kCubic * x * x * x));
  case Activation::kGelu:
    return x * lower_tail(x);
  case Activation::kTanh:
    return tanhf(x);
  case Activation::kNone:
    break;
  }
  return x;
}

__device__ __forceinline__ float activation_slope(Activation activation, float x) {
  switch (activation) {
  case Activation::kGeluNew: {
    const float square = x * x;
    const float gate = sigmoid_of_twice(kRootTwoOverPi * (x + kCubic * square * x));
    return gate + x * gate * (1.0F - gate) * 2.0F * kRootTwoOverPi * (1.0F + 3.0F * kCubic * square);
  }
  case Activation::kGelu:
    return lower_tail(x) + 0.3989422804F * x * expf(-0.5F * x * x);
  case Activation::kTanh: {
    // 4 e^(−2|x|) / (1 + e^(−2|x|))², which does not cancel where tanh is near 1
    const float decay = expf(-2.0F * fabsf(x));
    const float inverse = 1.0F / (1.0F + decay);
    return 4.0F * decay * inverse * inverse;
  }
  case Activation::kNone:
    break;
  }
  return 1.0F;
}

} // namespace assay::cuda
