// Linear layers. A thread works through its tile of the output in strips of rows, and does the bias and GELU of a strip
// while the strip is still in its second-level cache.
#include "backends/cpu/cpu-backend-class.h"

#include <algorithm>
#include <cstring>

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
  const bool applies_gelu = call.gelu || call.pre_activation != nullptr;
  if (call.rows == 1) {
    parallel([&](int part) {
      const Range columns = share(call.out, threads_, part, 16);
      kernels_.vector_matrix(sums + columns.begin, call.input, call.weight + columns.begin,
                             call.bias != nullptr ? call.bias + columns.begin : nullptr, call.in, columns.count(),
                             call.out);
      if (applies_gelu) {
        kernels_.gelu(call.output + columns.begin, sums + columns.begin, columns.count());
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
  product.b = call.weight;
  product.b_stride = call.out;
  product.beta = call.bias != nullptr ? 1.0F : 0.0F;
  product.c = sums;
  product.c_stride = call.out;
  parallel_tiles(product, [&](const Product& tile, Range rows, Range columns, int) {
    const std::int64_t strip = applies_gelu || call.bias != nullptr ? strip_rows(tile.n) : tile.m;
    for (std::int64_t row = 0; row < tile.m; row += strip) {
      const std::int64_t here = std::min(strip, tile.m - row);
      const Product part = tile.tile(row, here, 0, tile.n);
      if (call.bias != nullptr) {
        for (std::int64_t r = 0; r < here; ++r) {
          std::memcpy(part.c + r * part.c_stride, call.bias + columns.begin,
                      static_cast<std::size_t>(tile.n) * sizeof(float));
        }
      }
      multiply(part);
      if (applies_gelu) {
        float* output = call.output + (rows.begin + row) * call.out + columns.begin;
        for (std::int64_t r = 0; r < here; ++r) {
          kernels_.gelu(output + r * call.out, part.c + r * part.c_stride, tile.n);
        }
      }
    }
  });
}

void CpuBackend::linear_backward(const LinearBackward& call) {
  if (call.d_input != nullptr) {
    Product product;
    product.transpose_b = true;
    product.m = call.rows;
    product.n = call.in;
    product.k = call.out;
    product.a = call.d_output;
    product.a_stride = call.out;
    product.b = call.weight;
    product.b_stride = call.out;
    product.c = call.d_input;
    product.c_stride = call.in;
    parallel_tiles(product, [&](const Product& tile, Range rows, Range columns, int) {
      const std::int64_t strip = call.input_pre_activation != nullptr ? strip_rows(tile.n) : tile.m;
      for (std::int64_t row = 0; row < tile.m; row += strip) {
        const std::int64_t here = std::min(strip, tile.m - row);
        const Product part = tile.tile(row, here, 0, tile.n);
        multiply(part);
        if (call.input_pre_activation != nullptr) {
          const float* before = call.input_pre_activation + (rows.begin + row) * call.in + columns.begin;
          for (std::int64_t r = 0; r < here; ++r) {
            kernels_.gelu_backward(part.c + r * part.c_stride, before + r * call.in, tile.n);
          }
        }
      }
    });
  }

  Product product;
  product.transpose_a = true;
  product.m = call.in;
  product.n = call.out;
  product.k = call.rows;
  product.a = call.input;
  product.a_stride = call.in;
  product.b = call.d_output;
  product.b_stride = call.out;
  product.beta = call.accumulate ? 1.0F : 0.0F;
  product.c = call.d_weight;
  product.c_stride = call.out;
  if (call.d_bias != nullptr) {
    parallel([&](int part) {
      const Range columns = share(call.out, threads_, part, 16);
      if (!call.accumulate) {
        std::memset(call.d_bias + columns.begin, 0, static_cast<std::size_t>(columns.count()) * sizeof(float));
      }
      kernels_.column_sum(call.d_bias + columns.begin, call.d_output + columns.begin, call.rows, columns.count(),
                          call.out);
    });
  }
  parallel_tiles(product, [&](const Product& tile, Range, Range, int) { multiply(tile); });
}

} // namespace assay
