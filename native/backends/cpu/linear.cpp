// Linear layers. Each thread computes one tile of the output and does the bias and activation of a block of it while
// the block still lies in its second-level cache.
#include "backends/cpu/cpu-backend-class.h"

#include <cstring>

namespace assay {

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
  if (is_few_narrow_rows(call.rows, call.weight, call.bf16) && call.scale == 1.0F && !call.add) {
    parallel(call.rows * call.in * call.out, [&](int part) {
      const Range columns = share(call.out, threads_, part, 16);
      multiply_few_rows(call, columns, sums + columns.begin);
      for (std::int64_t row = 0; row < call.rows && activate != nullptr; ++row) {
        const std::int64_t at = row * call.out + columns.begin;
        activate(call.output + at, sums + at, columns.count());
      }
    });
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
  product.alpha = call.scale;
  product.beta = call.add ? 1.0F : 0.0F;
  product.bias = call.add ? nullptr : call.bias;
  product.c = sums;
  product.c_stride = call.out;
  const auto activate_block = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
    for (std::int64_t r = row; r < row + rows; ++r) {
      activate(call.output + r * call.out + column, sums + r * call.out + column, columns);
    }
  };
  if (activate != nullptr && !call.add) {
    product.finish = Finish(activate_block);
  }
  parallel(work_of(product), [&](int part) { multiply(tile_of(product, part).product); });
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

// The same for some rows of narrower weights.
void CpuBackend::multiply_few_rows(const LinearForward& call, const Range& columns, float* sums) const {
  if (call.weight.type == DataType::kBf16) {
    kernels_.vectors_matrix_bf16(sums, call.out, call.input, call.in, call.rows, call.weight.bf16() + columns.begin,
                                 call.in, columns.count(), call.out);
  } else {
    kernels_.vectors_matrix_int8(sums, call.out, call.input, call.in, call.rows, call.weight.int8() + columns.begin,
                                 call.in, columns.count(), call.out);
  }
  for (std::int64_t row = 0; row < call.rows; ++row) {
    float* own = sums + row * call.out;
    for (std::int64_t c = 0; c < columns.count() && call.weight.type == DataType::kInt8; ++c) {
      own[c] *= call.weight.scales[columns.begin + c];
    }
    if (call.bias != nullptr) {
      kernels_.add_to(own, call.bias + columns.begin, columns.count());
    }
  }
}

void CpuBackend::linear_backward(const LinearBackward& call) {
  const auto activate_backward = activation_kernels(kernels_, call.input_activation).backward;
  Product to_input;
  to_input.transpose_b = true;
  to_input.m = call.rows;
  to_input.n = call.in;
  to_input.k = call.out;
  to_input.a = call.d_output;
  to_input.alpha = call.scale;
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
  to_weight.b = call.d_output;
  to_weight.alpha = call.scale;
  to_weight.bf16 = call.bf16;
  to_weight.b_stride = call.out;
  to_weight.beta = call.accumulate ? 1.0F : 0.0F;
  to_weight.c = call.d_weight;
  to_weight.c_stride = call.out;

  const auto activate_block = [&](std::int64_t row, std::int64_t rows, std::int64_t column, std::int64_t columns) {
    for (std::int64_t at = row * call.in + column; at < (row + rows) * call.in; at += call.in) {
      activate_backward(call.d_input + at, call.input_pre_activation + at, columns);
    }
  };
  if (call.input_pre_activation != nullptr && activate_backward != nullptr) {
    to_input.finish = Finish(activate_block);
  }

  // The three results need each other's inputs only, so one team computes them without a barrier between.
  parallel(2 * work_of(to_weight), [&](int part) {
    if (call.d_input != nullptr) {
      multiply(tile_of(to_input, part).product);
    }
    if (call.d_bias != nullptr) {
      const Range columns = share(call.out, threads_, part, 16);
      if (!call.accumulate) {
        std::memset(call.d_bias + columns.begin, 0, static_cast<std::size_t>(columns.count()) * sizeof(float));
      }
      kernels_.column_sum(call.d_bias + columns.begin, call.d_output + columns.begin, call.rows, columns.count(),
                          call.out);
    }
    if (call.d_weight != nullptr) {
      multiply(tile_of(to_weight, part).product);
    }
  });
}

} // namespace assay
