// Linear layers. A thread works through its tile of the output in strips of rows, and does the bias and GELU of a strip
// while the strip is still in its second-level cache.
#include "backends/cpu/cpu-backend-class.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace assay {

namespace {

// Rows of a strip with n columns: about half a megabyte of output.
std::int64_t strip_rows(std::int64_t columns) {
  constexpr std::int64_t kStripFloats = 128 * 1024;
  return std::max<std::int64_t>(32, kStripFloats / std::max<std::int64_t>(columns, 1) / 32 * 32);
}

} // namespace

void CpuBackend::linear_forward(const LinearForward& call) {
  float* sums = call.pre_activation != nullptr ? call.pre_activation : call.output;
  const auto activate = activation_kernels(kernels_, call.activation).forward;
  if (call.rows == 1 && call.scale == 1.0F && !call.add) {
    parallel(call.in * call.out, [&](int part) {
      const Range columns = share(call.out, threads_, part, 16);
      multiply_row(call, columns, sums + columns.begin);
      if (activate != nullptr) {
        activate(call.output + columns.begin, sums + columns.begin, columns.count());
      }
    });
    return;
  }
  if (call.scale != 1.0F || call.add) {
    scaled_product(call);
    return;
  }
  Product product;
  product.m = call.rows;
  product.n = call.out;
  product.k = call.in;
  product.a = call.input;
  product.a_stride = call.in;
  set_weight(product, call.weight, false);
  product.bf16 = call.bf16;
  product.b_stride = call.out;
  product.beta = call.bias != nullptr ? 1.0F : 0.0F;
  product.c = sums;
  product.c_stride = call.out;
  parallel(work_of(product), [&](int part) {
    const Tile tile = tile_of(product, part);
    const std::int64_t columns = tile.columns.count();
    const std::int64_t strip = strip_rows(columns);
    for (std::int64_t row = 0; row < tile.rows.count(); row += strip) {
      const Product piece = tile.product.tile(row, std::min(strip, tile.rows.count() - row), 0, columns);
      // The product adds to the bias instead of the bias to the product: one pass less.
      for (std::int64_t r = 0; r < piece.m && call.bias != nullptr; ++r) {
        std::memcpy(piece.c + r * piece.c_stride, call.bias + tile.columns.begin,
                    static_cast<std::size_t>(columns) * sizeof(float));
      }
      multiply(piece);
      float* output = call.output + (tile.rows.begin + row) * call.out + tile.columns.begin;
      for (std::int64_t r = 0; r < piece.m && activate != nullptr; ++r) {
        activate(output + r * call.out, piece.c + r * piece.c_stride, columns);
      }
    }
  });
}

// One row times some columns of the weight, plus bias.
void CpuBackend::multiply_row(const LinearForward& call, const Range& columns, float* sums) const {
  const float* bias = call.bias != nullptr ? call.bias + columns.begin : nullptr;
  switch (call.weight.type) {
  case DataType::kF32:
    kernels_.vector_matrix(sums, call.input, call.weight.f32() + columns.begin, bias, call.in, columns.count(),
                           call.out);
    return;
  case DataType::kBf16:
    kernels_.vector_matrix_bf16(sums, call.input, call.weight.bf16() + columns.begin, call.in, columns.count(),
                                call.out);
    break;
  case DataType::kInt8:
    kernels_.vector_matrix_int8(sums, call.input, call.weight.int8() + columns.begin, call.in, columns.count(),
                                call.out);
    for (std::int64_t c = 0; c < columns.count(); ++c) {
      sums[c] *= call.weight.scales[columns.begin + c];
    }
    break;
  }
  if (bias != nullptr) {
    kernels_.add_to(sums, bias, columns.count());
  }
}

// An adapter's second layer: output (+)= scale · input · weight.
void CpuBackend::scaled_product(const LinearForward& call) {
  // The input is the narrow side: (M, rank).
  std::vector<float> scaled(call.input, call.input + call.rows * call.in);
  kernels_.scale(scaled.data(), call.rows * call.in, call.scale);
  Product product;
  product.m = call.rows;
  product.n = call.out;
  product.k = call.in;
  product.a = scaled.data();
  product.a_stride = call.in;
  set_weight(product, call.weight, false);
  product.bf16 = call.bf16;
  product.b_stride = call.out;
  product.beta = call.add ? 1.0F : 0.0F;
  product.c = call.output;
  product.c_stride = call.out;
  parallel(work_of(product), [&](int part) { multiply(tile_of(product, part).product); });
}

void CpuBackend::linear_backward(const LinearBackward& call) {
  const auto activate_backward = activation_kernels(kernels_, call.input_activation).backward;
  const bool multiplies_slope = call.input_pre_activation != nullptr && activate_backward != nullptr;
  std::vector<float> scaled;
  const float* d_output = call.d_output;
  if (call.scale != 1.0F) {
    scaled.assign(call.d_output, call.d_output + call.rows * call.out);
    kernels_.scale(scaled.data(), call.rows * call.out, call.scale);
    d_output = scaled.data();
  }
  Product to_input;
  to_input.transpose_b = true;
  to_input.m = call.rows;
  to_input.n = call.in;
  to_input.k = call.out;
  to_input.a = d_output;
  to_input.beta = call.add_to_d_input ? 1.0F : 0.0F;
  to_input.a_stride = call.out;
  set_weight(to_input, call.weight, false);
  to_input.bf16 = call.bf16;
  to_input.b_stride = call.out;
  to_input.c = call.d_input;
  to_input.c_stride = call.in;

  Product to_weight;
  to_weight.transpose_a = true;
  to_weight.m = call.in;
  to_weight.n = call.out;
  to_weight.k = call.rows;
  to_weight.a = call.input;
  to_weight.a_stride = call.in;
  to_weight.b = d_output;
  to_weight.bf16 = call.bf16;
  to_weight.b_stride = call.out;
  to_weight.beta = call.accumulate ? 1.0F : 0.0F;
  to_weight.c = call.d_weight;
  to_weight.c_stride = call.out;

  // The three results need each other's inputs only, so one team computes them without a barrier between.
  parallel(2 * work_of(to_weight), [&](int part) {
    if (call.d_input != nullptr) {
      const Tile tile = tile_of(to_input, part);
      const std::int64_t columns = tile.columns.count();
      const std::int64_t strip = multiplies_slope ? strip_rows(columns) : call.rows;
      for (std::int64_t row = 0; row < tile.rows.count(); row += strip) {
        const Product piece = tile.product.tile(row, std::min(strip, tile.rows.count() - row), 0, columns);
        multiply(piece);
        const std::int64_t at = (tile.rows.begin + row) * call.in + tile.columns.begin;
        for (std::int64_t r = 0; r < piece.m && multiplies_slope; ++r) {
          activate_backward(piece.c + r * piece.c_stride, call.input_pre_activation + at + r * call.in, columns);
        }
      }
    }
    if (call.d_bias != nullptr) {
      const Range columns = share(call.out, threads_, part, 16);
      if (!call.accumulate) {
        std::memset(call.d_bias + columns.begin, 0, static_cast<std::size_t>(columns.count()) * sizeof(float));
      }
      kernels_.column_sum(call.d_bias + columns.begin, d_output + columns.begin, call.rows, columns.count(), call.out);
    }
    if (call.d_weight != nullptr) {
      multiply(tile_of(to_weight, part).product);
    }
  });
}

} // namespace assay
