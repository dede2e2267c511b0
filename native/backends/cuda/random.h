// Philox on the device, and the dropout masks made of it: the same numbers as engine/base/philox.h gives, so that a mask
// does not depend on the backend, on the launch, or on the pass that recomputes it.
#pragma once

#include "backends/cuda/device.h"
#include "engine/ops/backend.h"

#include <algorithm>
#include <cstdint>

namespace assay::cuda {

struct RandomWords {
  std::uint32_t words[4];
};

__device__ __forceinline__ RandomWords philox(std::uint32_t counter0, std::uint32_t counter1, std::uint32_t counter2,
                                              std::uint32_t counter3, std::uint32_t key0, std::uint32_t key1) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter0;
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter2;
    counter0 = static_cast<std::uint32_t>(product1 >> 32) ^ counter1 ^ key0;
    counter1 = static_cast<std::uint32_t>(product1);
    counter2 = static_cast<std::uint32_t>(product0 >> 32) ^ counter3 ^ key1;
    counter3 = static_cast<std::uint32_t>(product0);
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  return {{counter0, counter1, counter2, counter3}};
}

// `Dropout` as a kernel uses it. A threshold of 0 keeps everything.
struct DropoutMask {
  std::uint32_t key0, key1, first_sample, step, site;
  std::uint32_t threshold;
  float scale; // 1 / (1 − probability)
};

inline DropoutMask dropout_mask(const Dropout& dropout) {
  DropoutMask mask;
  mask.key0 = static_cast<std::uint32_t>(dropout.seed);
  mask.key1 = static_cast<std::uint32_t>(dropout.seed >> 32);
  mask.first_sample = dropout.first_sample;
  mask.step = dropout.step;
  mask.site = dropout.site;
  mask.threshold =
      dropout.probability <= 0.0F
          ? 0U
          : static_cast<std::uint32_t>(std::min(static_cast<double>(dropout.probability) * 0x1.0p32, 4294967295.0));
  mask.scale = dropout.probability <= 0.0F ? 1.0F : 1.0F / (1.0F - dropout.probability);
  return mask;
}

// The four words of elements 4 · group … 4 · group + 3 of a sample, which counts from the call's first.
__device__ __forceinline__ RandomWords dropout_words(const DropoutMask& mask, std::uint32_t sample,
                                                     std::uint64_t group) {
  return philox(static_cast<std::uint32_t>(group), mask.first_sample + sample, mask.step, mask.site, mask.key0,
                mask.key1);
}

// What the element is multiplied by: 0 or `scale`.
__device__ __forceinline__ float dropout_factor(const DropoutMask& mask, std::uint32_t word) {
  return word >= mask.threshold ? mask.scale : 0.0F;
}

// Keeps or drops kWidth consecutive elements. Widths that are multiples of 4 begin at a multiple of 4.
template <int kWidth>
__device__ __forceinline__ void apply_dropout(float (&values)[kWidth], const DropoutMask& mask, std::uint32_t sample,
                                              std::uint64_t element) {
  if (mask.threshold == 0U) {
    return;
  }
  if constexpr (kWidth % 4 == 0) {
#pragma unroll
    for (int four = 0; four < kWidth / 4; ++four) {
      const RandomWords random = dropout_words(mask, sample, element / 4 + four);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[4 * four + i] *= dropout_factor(mask, random.words[i]);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const RandomWords random = dropout_words(mask, sample, (element + i) / 4);
      const std::uint32_t place = static_cast<std::uint32_t>((element + i) % 4);
      const std::uint32_t low = (place & 1U) != 0U ? random.words[1] : random.words[0];
      const std::uint32_t high = (place & 1U) != 0U ? random.words[3] : random.words[2];
      values[i] *= dropout_factor(mask, (place & 2U) != 0U ? high : low);
    }
  }
}

} // namespace assay::cuda
