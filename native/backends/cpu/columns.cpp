// Copies between matrices of different widths, which adapters on part of a layer's columns need.
#include "backends/cpu/cpu-backend-class.h"

#include <cstring>

namespace assay {

void CpuBackend::copy_columns(Values target, std::int64_t target_stride, ConstValues source, std::int64_t source_stride,
                              std::int64_t rows, std::int64_t columns, bool add) {
  float* const targets = floats(target);
  const float* const sources = floats(source);
  parallel(rows * columns, [&](int part) {
    const Range own = share(rows, threads_, part);
    for (std::int64_t row = own.begin; row < own.end; ++row) {
      float* to = targets + row * target_stride;
      const float* from = sources + row * source_stride;
      if (add) {
        kernels_.add_to(to, from, columns);
      } else {
        std::memcpy(to, from, static_cast<std::size_t>(columns) * sizeof(float));
      }
    }
  });
}

void CpuBackend::activation_forward(Values output, ConstValues input, std::int64_t count, Activation activation) {
  float* const to = floats(output);
  const float* const from = floats(input);
  const auto forward = activation_kernels(kernels_, activation).forward;
  parallel(count, [&](int part) {
    const Range range = share(count, threads_, part, 16);
    if (forward != nullptr) {
      forward(to + range.begin, from + range.begin, range.count());
    } else if (to != from) {
      std::memcpy(to + range.begin, from + range.begin, static_cast<std::size_t>(range.count()) * sizeof(float));
    }
  });
}

} // namespace assay
