// Dot products and sums: everything here reads its data once and is limited by memory.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

float dot(const float* left, const float* right, std::int64_t count) {
  // Four sums hide the latency of the additions.
  Vector sum0{}, sum1{}, sum2{}, sum3{};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    sum0 += load(left + i) * load(right + i);
    sum1 += load(left + i + kLanes) * load(right + i + kLanes);
    sum2 += load(left + i + 2 * kLanes) * load(right + i + 2 * kLanes);
    sum3 += load(left + i + 3 * kLanes) * load(right + i + 3 * kLanes);
  }
  sum0 = (sum0 + sum1) + (sum2 + sum3);
  for (; i + kLanes <= count; i += kLanes) {
    sum0 += load(left + i) * load(right + i);
  }
  float total = sum_lanes(sum0);
  for (; i < count; ++i) {
    total += left[i] * right[i];
  }
  return total;
}

void column_sum(float* target, const float* values, std::int64_t rows, std::int64_t columns, std::int64_t stride) {
  // Eight rows at a time: they stream in order, and `target` is touched an eighth as often.
  std::int64_t r = 0;
  for (; r + 8 <= rows; r += 8) {
    const float* row = values + r * stride;
    std::int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) {
      const Vector left =
          (load(row + c) + load(row + stride + c)) + (load(row + 2 * stride + c) + load(row + 3 * stride + c));
      const Vector right = (load(row + 4 * stride + c) + load(row + 5 * stride + c)) +
                           (load(row + 6 * stride + c) + load(row + 7 * stride + c));
      store(target + c, load(target + c) + (left + right));
    }
    for (; c < columns; ++c) {
      for (std::int64_t i = 0; i < 8; ++i) {
        target[c] += row[i * stride + c];
      }
    }
  }
  for (; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      target[c] += values[r * stride + c];
    }
  }
}

double square_sum(const float* values, std::int64_t count) {
  // Floats within a block of 4096, double between blocks: as exact as needed at the speed of memory.
  double total = 0.0;
  for (std::int64_t begin = 0; begin < count; begin += 4096) {
    const std::int64_t here = count - begin < 4096 ? count - begin : 4096;
    total += static_cast<double>(dot(values + begin, values + begin, here));
  }
  return total;
}

} // namespace assay::ASSAY_VARIANT
