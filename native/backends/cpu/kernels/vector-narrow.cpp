// One row times a matrix of bf16 or int8 weights, which is what writing text one token at a time costs: every weight is
// read once and widened on the way, so memory sets the pace.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

namespace {

typedef std::uint16_t ShortVector __attribute__((vector_size(kLanes * 2), aligned(2), may_alias));
typedef std::int8_t ByteVector __attribute__((vector_size(kLanes), aligned(1), may_alias));

inline Vector widen(const std::uint16_t* source) {
  const auto bits = *reinterpret_cast<const ShortVector*>(source);
  return reinterpret_cast<Vector>(__builtin_convertvector(bits, WordVector) << 16);
}
inline Vector widen(const std::int8_t* source) {
  const auto codes = *reinterpret_cast<const ByteVector*>(source);
  return __builtin_convertvector(__builtin_convertvector(codes, IntVector), Vector);
}
inline float widen_one(std::uint16_t bits) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(bits) << 16);
}
inline float widen_one(std::int8_t code) {
  return static_cast<float>(code);
}

// Far enough ahead for memory, near enough to stay in the first-level cache.
constexpr std::int64_t kPrefetchBytes = 1024;

template <class Weight> float dot_of(const float* vector, const Weight* weights, std::int64_t count) {
  Vector sum0{}, sum1{}, sum2{}, sum3{};
  std::int64_t i = 0;
  for (; i + 4 * kLanes <= count; i += 4 * kLanes) {
    __builtin_prefetch(reinterpret_cast<const char*>(weights + i) + kPrefetchBytes);
    sum0 += load(vector + i) * widen(weights + i);
    sum1 += load(vector + i + kLanes) * widen(weights + i + kLanes);
    sum2 += load(vector + i + 2 * kLanes) * widen(weights + i + 2 * kLanes);
    sum3 += load(vector + i + 3 * kLanes) * widen(weights + i + 3 * kLanes);
  }
  sum0 = (sum0 + sum1) + (sum2 + sum3);
  for (; i + kLanes <= count; i += kLanes) {
    sum0 += load(vector + i) * widen(weights + i);
  }
  float total = sum_lanes(sum0);
  for (; i < count; ++i) {
    total += vector[i] * widen_one(weights[i]);
  }
  return total;
}

// Eight rows at a time: sums are loaded and stored an eighth as often as weights are read.
template <class Weight>
void product_of(float* output, const float* vector, const Weight* matrix, std::int64_t rows, std::int64_t columns,
                std::int64_t stride) {
  for (std::int64_t c = 0; c < columns; ++c) {
    output[c] = 0.0F;
  }
  constexpr std::int64_t kRows = 8;
  // Strips of sums that stay in the first-level cache.
  constexpr std::int64_t kStrip = 2048;
  for (std::int64_t begin = 0; begin < columns; begin += kStrip) {
    const std::int64_t end = columns - begin < kStrip ? columns : begin + kStrip;
    std::int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      const Weight* row = matrix + r * stride;
      const float* factor = vector + r;
      std::int64_t c = begin;
      for (; c + kLanes <= end; c += kLanes) {
        Vector left = load(output + c);
        Vector right{};
#pragma GCC unroll 4
        for (std::int64_t i = 0; i < kRows; i += 2) {
          left += widen(row + i * stride + c) * factor[i];
          right += widen(row + (i + 1) * stride + c) * factor[i + 1];
        }
        store(output + c, left + right);
      }
      for (; c < end; ++c) {
        for (std::int64_t i = 0; i < kRows; ++i) {
          output[c] += widen_one(row[i * stride + c]) * factor[i];
        }
      }
    }
    for (; r < rows; ++r) {
      for (std::int64_t c = begin; c < end; ++c) {
        output[c] += vector[r] * widen_one(matrix[r * stride + c]);
      }
    }
  }
}

// The same for some vectors: a weight is read and widened once for all of them. Each output is summed in the order of
// product_of, so that a vector's product does not depend on its neighbours.
template <class Weight>
void products_of(float* output, std::int64_t output_stride, const float* vectors, std::int64_t vector_stride,
                 std::int64_t count, const Weight* matrix, std::int64_t rows, std::int64_t columns,
                 std::int64_t stride) {
  for (std::int64_t v = 0; v < count; ++v) {
    for (std::int64_t c = 0; c < columns; ++c) {
      output[v * output_stride + c] = 0.0F;
    }
  }
  constexpr std::int64_t kRows = 8;
  // The sums of sixteen vectors stay in the first-level cache.
  constexpr std::int64_t kStrip = 256;
  for (std::int64_t begin = 0; begin < columns; begin += kStrip) {
    const std::int64_t end = columns - begin < kStrip ? columns : begin + kStrip;
    std::int64_t r = 0;
    for (; r + kRows <= rows; r += kRows) {
      const Weight* row = matrix + r * stride;
      std::int64_t c = begin;
      for (; c + kLanes <= end; c += kLanes) {
        Vector weights[kRows];
        for (std::int64_t i = 0; i < kRows; ++i) {
          weights[i] = widen(row + i * stride + c);
        }
        for (std::int64_t v = 0; v < count; ++v) {
          const float* factor = vectors + v * vector_stride + r;
          float* sums = output + v * output_stride + c;
          Vector left = load(sums);
          Vector right{};
#pragma GCC unroll 4
          for (std::int64_t i = 0; i < kRows; i += 2) {
            left += weights[i] * factor[i];
            right += weights[i + 1] * factor[i + 1];
          }
          store(sums, left + right);
        }
      }
      for (; c < end; ++c) {
        for (std::int64_t v = 0; v < count; ++v) {
          for (std::int64_t i = 0; i < kRows; ++i) {
            output[v * output_stride + c] += widen_one(row[i * stride + c]) * vectors[v * vector_stride + r + i];
          }
        }
      }
    }
    for (; r < rows; ++r) {
      for (std::int64_t v = 0; v < count; ++v) {
        for (std::int64_t c = begin; c < end; ++c) {
          output[v * output_stride + c] += vectors[v * vector_stride + r] * widen_one(matrix[r * stride + c]);
        }
      }
    }
  }
}

} // namespace

float dot_bf16(const float* vector, const std::uint16_t* weights, std::int64_t count) {
  return dot_of(vector, weights, count);
}

float dot_int8(const float* vector, const std::int8_t* weights, std::int64_t count) {
  return dot_of(vector, weights, count);
}

void vector_matrix_bf16(float* output, const float* vector, const std::uint16_t* matrix, std::int64_t rows,
                        std::int64_t columns, std::int64_t stride) {
  product_of(output, vector, matrix, rows, columns, stride);
}

void vector_matrix_int8(float* output, const float* vector, const std::int8_t* matrix, std::int64_t rows,
                        std::int64_t columns, std::int64_t stride) {
  product_of(output, vector, matrix, rows, columns, stride);
}

void vectors_matrix_bf16(float* output, std::int64_t output_stride, const float* vectors, std::int64_t vector_stride,
                         std::int64_t count, const std::uint16_t* matrix, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride) {
  products_of(output, output_stride, vectors, vector_stride, count, matrix, rows, columns, stride);
}

void vectors_matrix_int8(float* output, std::int64_t output_stride, const float* vectors, std::int64_t vector_stride,
                         std::int64_t count, const std::int8_t* matrix, std::int64_t rows, std::int64_t columns,
                         std::int64_t stride) {
  products_of(output, output_stride, vectors, vector_stride, count, matrix, rows, columns, stride);
}

} // namespace assay::ASSAY_VARIANT
