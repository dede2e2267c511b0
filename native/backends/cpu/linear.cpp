// Linear layers. Each thread computes one tile of the output and does the bias and activation of a block of it while
// the block still lies in its second-level cache.
#include "backends/cpu/cpu-backend-class.h"

#include <cstring>

namespace assay {

void CpuBackend::linear_forward(const LinearForward& call) {
  float* const output = floats(call.output);
  float* const sums = call.pre_activation != nullptr ? floats(call.pre_activation) : output;
  const auto activate = activation_kernels(kernels_, call.activation).forward;
  Product product;
  product.m = call.rows;
  product.n = call.out;
  product.k = call.in;
  product.a = floats(call.input);
  product.a_stride = call.in;
  set_weight(product, call.weight, false);
  product.bf16 = call.bf16;
  product.b_stride = call.out;
  product.alpha = call.scale;
  product.beta = call.add ? 1.0F : 0.0F;
  product.bias = call.add ? nullptr : call.bias;
  product.c = sums;
  product.c_stride = call.out;
  const auto activate_block = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
    for (std::int64_t r = row; r < row + rows; ++r) {
      activate(output + r * call.out + column, sums + r * call.out + column, columns);
    }
  };
  if (activate != nullptr && !call.add) {
    product.finish = Finish(activate_block);
  }
  if (!call.add && is_few_rows(call.rows, call.weight, call.bf16)) {
    parallel(call.in * call.out, [&](int part) { multiply_few(product, share(call.out, threads_, part, 64)); });
    return;
  }
  parallel(work_of(product), [&](int part) { multiply(tile_of(product, part).product); });
}

void CpuBackend::multiply_few(const Product& product, const Range& columns) const {
  if (columns.count() == 0) {
    return;
  }
  const Product p = product.tile(0, product.m, columns.begin, columns.count());
  kernels_.few_rows({static_cast<const float*>(p.a), p.a_stride, p.b, p.b_type, p.transpose_b, p.b_stride, p.c,
                     p.c_stride, p.m, p.k, p.n});
  for (std::int64_t row = 0; row < p.m; ++row) {
    float* values = p.c + row * p.c_stride;
    if (p.b_scales != nullptr) {
      for (std::int64_t c = 0; c < p.n; ++c) {
        values[c] *= p.b_scales[c];
      }
    }
    if (p.alpha != 1.0F) {
      kernels_.scale(values, p.n, p.alpha);
    }
    if (p.bias != nullptr) {
      kernels_.add_to(values, p.bias, p.n);
    }
  }
  if (p.finish) {
    p.finish(p.first_row, p.m, p.first_column, p.n);
  }
}

void CpuBackend::linear_backward(const LinearBackward& call) {
  const float* const d_output = floats(call.d_output);
  float* const d_input = floats(call.d_input);
  const float* const pre_activation = floats(call.input_pre_activation);
  const auto activate_backward = activation_kernels(kernels_, call.input_activation).backward;
  Product to_input;
  to_input.transpose_b = true;
  to_input.m = call.rows;
  to_input.n = call.in;
  to_input.k = call.out;
  to_input.a = d_output;
  to_input.alpha = call.scale;
  to_input.beta = call.add_to_d_input ? 1.0F : 0.0F;
  to_input.a_stride = call.out;
  set_weight(to_input, call.weight, false);
  to_input.bf16 = call.bf16;
  to_input.b_stride = call.out;
  to_input.c = d_input;
  to_input.c_stride = call.in;

  Product to_weight;
  to_weight.transpose_a = true;
  to_weight.m = call.in;
  to_weight.n = call.out;
  to_weight.k = call.rows;
  to_weight.a = floats(call.input);
  to_weight.a_stride = call.in;
  to_weight.b = d_output;
  to_weight.alpha = call.scale;
  to_weight.bf16 = call.bf16;
  to_weight.b_stride = call.out;
  to_weight.beta = call.accumulate ? 1.0F : 0.0F;
  to_weight.c = call.d_weight;
  to_weight.c_stride = call.out;

  const auto activate_block = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
    for (std::int64_t at = row * call.in + column; at < (row + rows) * call.in; at += call.in) {
      activate_backward(d_input + at, pre_activation + at, columns);
    }
  };
  if (pre_activation != nullptr && activate_backward != nullptr) {
    to_input.finish = Finish(activate_block);
  }

  // The three results need each other's inputs only, so one team computes them without a barrier between.
  parallel(2 * work_of(to_weight), [&](int part) {
    if (d_input != nullptr) {
      multiply(tile_of(to_input, part).product);
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
