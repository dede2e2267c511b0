// One query against a cache of keys and values, (count, head size) each and contiguous. Each is read once, in order:
// memory, or the cache it still lies in, is the limit.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

void row_dots(float* output, const float* vector, const float* matrix, std::int64_t rows, std::int64_t columns) {
  // Four rows at a time share the loads of the vector.
  std::int64_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float* row = matrix + r * columns;
    Vector sum0{}, sum1{}, sum2{}, sum3{};
    std::int64_t c = 0;
    for (; c + kLanes <= columns; c += kLanes) {
      const Vector factor = load(vector + c);
      sum0 += load(row + c) * factor;
      sum1 += load(row + columns + c) * factor;
      sum2 += load(row + 2 * columns + c) * factor;
      sum3 += load(row + 3 * columns + c) * factor;
    }
    float total0 = sum_lanes(sum0), total1 = sum_lanes(sum1), total2 = sum_lanes(sum2), total3 = sum_lanes(sum3);
    for (; c < columns; ++c) {
      total0 += row[c] * vector[c];
      total1 += row[columns + c] * vector[c];
      total2 += row[2 * columns + c] * vector[c];
      total3 += row[3 * columns + c] * vector[c];
    }
    output[r] = total0;
    output[r + 1] = total1;
    output[r + 2] = total2;
    output[r + 3] = total3;
  }
  for (; r < rows; ++r) {
    output[r] = dot(vector, matrix + r * columns, columns);
  }
}

void weighted_rows(float* output, const float* weights, const float* matrix, std::int64_t rows, std::int64_t columns) {
  // The sums of a strip of columns stay in registers while its rows go by.
  constexpr int kStrip = 4;
  std::int64_t c = 0;
  for (; c + kStrip * kLanes <= columns; c += kStrip * kLanes) {
    Vector sums[kStrip] = {};
    for (std::int64_t r = 0; r < rows; ++r) {
      const float* row = matrix + r * columns + c;
#pragma GCC unroll 4
      for (int i = 0; i < kStrip; ++i) {
        sums[i] += load(row + i * kLanes) * weights[r];
      }
    }
    for (int i = 0; i < kStrip; ++i) {
      store(output + c + i * kLanes, sums[i]);
    }
  }
  for (; c + kLanes <= columns; c += kLanes) {
    Vector sum{};
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += load(matrix + r * columns + c) * weights[r];
    }
    store(output + c, sum);
  }
  for (; c < columns; ++c) {
    float sum = 0.0F;
    for (std::int64_t r = 0; r < rows; ++r) {
      sum += matrix[r * columns + c] * weights[r];
    }
    output[c] = sum;
  }
}

} // namespace assay::ASSAY_VARIANT
