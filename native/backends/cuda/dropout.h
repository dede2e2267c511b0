// Dropout of several values at a time.
#pragma once

#include "backends/cuda/vector.h"

#include <cstdint>

namespace assay::cuda {

// Keeps or drops kWidth consecutive elements. Widths that are multiples of 4 begin at a multiple of 4.
template <int kWidth>
__device__ __forceinline__ void apply_dropout(float (&values)[kWidth], const DropoutMask& mask, std::uint32_t sample,
                                              std::int64_t element) {
  if (!mask.drops()) {
    return;
  }
  if constexpr (kWidth % 4 == 0) {
#pragma unroll
    for (int four = 0; four < kWidth / 4; ++four) {
      const RandomWords random = mask.words(static_cast<std::uint32_t>(element / 4 + four), sample);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[4 * four + i] *= mask.factor(random.words[i]);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      values[i] *= mask.factor_of(element + i, sample);
    }
  }
}

} // namespace assay::cuda
