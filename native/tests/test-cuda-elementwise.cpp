// Kernels that take values one by one, or by rows and columns, against the CPU backend's.
#include "test-support-cuda.h"

#include <algorithm>
#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

constexpr Activation kActivations[] = {Activation::kGeluNew, Activation::kGelu, Activation::kTanh, Activation::kNone};

// An operation that changes `target` on both backends.
void compare(const std::string& what, const Floats& target, DataType type, std::size_t shift,
             const std::function<void(Values)>& on_host, const std::function<void(Values)>& on_device) {
  Floats expected = target;
  on_host(Values(expected.data()));
  const Floats found = run_twice([&] {
    const DeviceValues values(target, type, shift);
    on_device(values);
    return values.floats();
  });
  check_values(what, expected, found, type);
}

void check_elementwise(std::size_t count, std::size_t shift, DataType type) {
  const auto backend = reference_backend();
  const auto size = static_cast<std::int64_t>(count);
  const Floats target = stored_as(random_floats(count, 2.0, 1), type);
  const Floats values = stored_as(random_floats(count, 2.0, 2), type);
  const DeviceValues device_values(values, type, shift);
  const ConstValues host_values(values.data());
  compare(
      "add", target, type, shift, [&](Values to) { backend->add(to, host_values, size); },
      [&](Values to) { cuda::add(TestContext(), to, device_values, size); });
  for (const Activation activation : kActivations) {
    compare(
        "activation_forward", target, type, shift,
        [&](Values to) { backend->activation_forward(to, host_values, size, activation); },
        [&](Values to) { cuda::activation_forward(TestContext(), to, device_values, size, activation); });
    compare(
        "activation_forward in place", target, type, shift,
        [&](Values to) { backend->activation_forward(to, to, size, activation); },
        [&](Values to) { cuda::activation_forward(TestContext(), to, to, size, activation); });
    compare(
        "activation_backward", target, type, shift,
        [&](Values to) { backend->activation_backward(to, host_values, size, activation); },
        [&](Values to) { cuda::activation_backward(TestContext(), to, device_values, size, activation); });
  }
}

void check_dropout(std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample, DataType type) {
  const Dropout dropout = {0.3F, 0x123456789ABCDEFULL, 9, 4, 2};
  const Floats target = stored_as(random_floats(static_cast<std::size_t>(rows * channels), 2.0, 1), type);
  const auto backend = reference_backend();
  compare(
      "dropout", target, type, 0, [&](Values to) { backend->dropout(to, rows, channels, rows_per_sample, dropout); },
      [&](Values to) { cuda::dropout(TestContext(), to, rows, channels, rows_per_sample, dropout); });
}

void check_rows(std::int64_t rows, std::int64_t channels, DataType type) {
  const auto backend = reference_backend();
  const std::int64_t places = rows + 5;
  std::vector<std::int32_t> indices(static_cast<std::size_t>(places));
  std::iota(indices.begin(), indices.end(), 0);
  std::shuffle(indices.begin(), indices.end(), std::mt19937(3));
  indices.resize(static_cast<std::size_t>(rows));
  const DeviceArray<std::int32_t> device_indices(indices);
  const Floats few = stored_as(random_floats(static_cast<std::size_t>(rows * channels), 1.0, 4), type);
  const Floats many = stored_as(random_floats(static_cast<std::size_t>(places * channels), 1.0, 5), type);
  const DeviceValues device_few(few, type), device_many(many, type);
  compare(
      "gather_rows", few, type, 0,
      [&](Values to) { backend->gather_rows(ConstValues(many.data()), indices.data(), to, rows, channels); },
      [&](Values to) { cuda::gather_rows(TestContext(), device_many, device_indices.data(), to, rows, channels); });
  compare(
      "scatter_add_rows", many, type, 0,
      [&](Values to) { backend->scatter_add_rows(ConstValues(few.data()), indices.data(), to, rows, channels); },
      [&](Values to) { cuda::scatter_add_rows(TestContext(), device_few, device_indices.data(), to, rows, channels); });
}

void check_copy(std::int64_t rows, std::int64_t columns, std::int64_t target_stride, std::int64_t source_stride,
                DataType type) {
  const auto backend = reference_backend();
  const Floats target = stored_as(random_floats(static_cast<std::size_t>(rows * target_stride), 1.0, 4), type);
  const Floats source = stored_as(random_floats(static_cast<std::size_t>(rows * source_stride), 1.0, 5), type);
  const DeviceValues device_source(source, type);
  for (const bool adds : {false, true}) {
    compare(
        "copy_columns", target, type, 0,
        [&](Values to) {
          backend->copy_columns(to, target_stride, ConstValues(source.data()), source_stride, rows, columns, adds);
        },
        [&](Values to) {
          cuda::copy_columns(TestContext(), to, target_stride, device_source, source_stride, rows, columns, adds);
        });
  }
}

void check_bias(std::int64_t rows, std::int64_t columns, DataType type) {
  const auto backend = reference_backend();
  const auto count = static_cast<std::size_t>(rows * columns);
  const Floats values = stored_as(random_floats(count, 1.0, 4), type);
  const Floats bias = random_floats(static_cast<std::size_t>(columns), 1.0, 5);
  const DeviceArray<float> device_bias(bias);
  for (const Activation activation : kActivations) {
    for (const bool has_bias : {true, false}) {
      Floats sums = values;
      for (std::size_t i = 0; i < count && has_bias; ++i) {
        sums[i] += bias[i % bias.size()];
      }
      Floats expected(count);
      backend->activation_forward(Values(expected.data()), ConstValues(sums.data()), static_cast<std::int64_t>(count),
                                  activation);
      const auto found = run_twice([&] {
        const DeviceValues in_place(values, type), pre_activation(Floats(count, NAN), type), alone(values, type);
        const float* own_bias = has_bias ? device_bias.data() : nullptr;
        cuda::add_bias_activation(TestContext(), in_place, own_bias, rows, columns, activation, pre_activation);
        cuda::add_bias_activation(TestContext(), alone, own_bias, rows, columns, activation, nullptr);
        return std::vector<Floats>{in_place.floats(), pre_activation.floats(), alone.floats()};
      });
      check_values("add_bias_activation", expected, found[0], type);
      check_values("pre_activation", sums, found[1], type);
      CHECK(found[0] == found[2]);
    }
  }
}

void check_sums(std::int64_t rows, std::int64_t columns, std::int64_t stride, bool accumulates, DataType type) {
  const auto backend = reference_backend();
  const Floats values = stored_as(random_floats(static_cast<std::size_t>(rows * stride), 1.0, 4), type);
  const std::size_t workspace = cuda::column_sums_workspace(rows, columns, TestContext::kMultiprocessors);
  const auto sums_of = [&](const Floats& matrix) {
    Floats sums(static_cast<std::size_t>(columns), accumulates ? 0.5F : 0.0F);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        sums[static_cast<std::size_t>(column)] += matrix[static_cast<std::size_t>(row * stride + column)];
      }
    }
    return sums;
  };
  const Floats found = run_twice([&] {
    const DeviceValues device_values(values, type);
    const DeviceArray<float> sums(Floats(static_cast<std::size_t>(columns), 0.5F));
    cuda::column_sums(TestContext(workspace), device_values, rows, columns, stride, sums.data(), accumulates);
    return sums.to_host();
  });
  check_values("column_sums", sums_of(values), found, DataType::kF32);
  if (stride != columns) {
    return;
  }
  const Floats inputs = stored_as(random_floats(values.size(), 1.0, 6), type);
  const DeviceValues device_inputs(inputs, type);
  for (const Activation activation : kActivations) {
    Floats expected = values;
    backend->activation_backward(Values(expected.data()), ConstValues(inputs.data()), rows * columns, activation);
    const auto both = run_twice([&] {
      const DeviceValues gradient(values, type);
      const DeviceArray<float> sums(Floats(static_cast<std::size_t>(columns), 0.5F));
      cuda::activation_backward_with_bias(TestContext(workspace), gradient, device_inputs, rows, columns, activation,
                                          sums.data(), accumulates);
      return std::vector<Floats>{gradient.floats(), sums.to_host()};
    });
    check_values("activation_backward_with_bias", expected, both[0], type);
    check_values("its bias gradient", sums_of(expected), both[1], DataType::kF32);
  }
}

void check_dequantize(DataType weight_type, std::int64_t rows, std::int64_t columns, DataType type) {
  for (const bool by_row : {false, true}) {
    const TestWeight weight(weight_type, rows, columns, by_row);
    const Floats found = run_twice([&] {
      const DeviceValues output(Floats(weight.stands_for.size(), NAN), type);
      cuda::dequantize(TestContext(), weight.view(), rows, columns, by_row, output);
      return output.floats();
    });
    check_values("dequantize", weight.stands_for, found, type);
  }
}

} // namespace

int main() {
  for (const std::size_t count : {1, 7, 1000, 40003}) {
    add_typed_cases("sums and activations of " + std::to_string(count) + " values agree with the CPU's",
                    [=](DataType type) {
                      check_elementwise(count, 0, type);
                      check_elementwise(count, 1, type);
                    });
  }
  add_typed_cases("dropout in place keeps what the CPU keeps", [](DataType type) {
    check_dropout(6, 24, 3, type);
    check_dropout(130, 19, 26, type);
    check_dropout(1, 7, 1, type);
    check_dropout(6, 6, 3, type); // rows whose groups would cross samples
  });
  add_typed_cases("rows are gathered and scattered", [](DataType type) {
    check_rows(7, 24, type);
    check_rows(7, 1032, type);
    check_rows(130, 19, type);
  });
  add_typed_cases("columns are copied and added between strides", [](DataType type) {
    check_copy(7, 24, 72, 24, type);
    check_copy(7, 24, 24, 72, type);
    check_copy(130, 7, 9, 11, type);
    check_copy(3, 2056, 2064, 2056, type);
  });
  add_typed_cases("bias and activation follow a product", [](DataType type) {
    check_bias(1, 24, type);
    check_bias(7, 1000, type);
    check_bias(130, 19, type);
    check_bias(4099, 2, type);
  });
  add_typed_cases("columns are summed, with an activation's slope on the way", [](DataType type) {
    check_sums(1, 24, 24, true, type);
    check_sums(1000, 24, 24, false, type);
    check_sums(130, 1000, 1000, true, type);
    check_sums(77, 19, 19, false, type);
    check_sums(130, 1000, 1008, true, type);
    check_sums(40, 1000, 1001, false, type);
  });
  for (const DataType weight_type : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
    add_typed_cases(std::string("weights of ") + name_of_type(weight_type) + " are widened", [=](DataType type) {
      check_dequantize(weight_type, 7, 24, type);
      check_dequantize(weight_type, 5, 1000, type);
      check_dequantize(weight_type, 7, 19, type);
    });
  }
  add_case("values are converted to nearest even between the types", [] {
    for (const std::size_t count : {1, 7, 1000, 5003}) {
      for (const std::size_t shift : {0, 1}) {
        const Floats values = random_floats(count, 1.0, 3);
        for (const DataType from : {DataType::kF32, DataType::kBf16}) {
          for (const DataType to : {DataType::kF32, DataType::kBf16}) {
            const DeviceValues source(values, from, shift);
            const DeviceValues target(Floats(count, NAN), to, shift);
            cuda::convert(TestContext(), source, target, static_cast<std::int64_t>(count));
            CHECK(target.floats() == stored_as(stored_as(values, from), to));
          }
        }
      }
    }
  });
  add_case("conversion to int8 is refused", [] {
    const DeviceValues source(Floats(4), DataType::kF32);
    std::string code;
    try {
      cuda::convert(TestContext(), source, Values(source.values().data, DataType::kInt8), 4);
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK_EQ(code, "NOT_SUPPORTED");
  });
  add_case("a workspace planned for the largest call does for every smaller one", [] {
    for (std::int64_t rows = 1; rows < 40000; rows += rows / 3 + 1) {
      for (const std::int64_t columns : {1, 24, 257, 768, 3072, 50257}) {
        const std::size_t sums = cuda::column_sums_workspace(rows, columns, 132);
        CHECK(cuda::column_sums_workspace(rows + 1, columns, 132) >= sums);
        CHECK(cuda::column_sums_workspace(rows, columns + 1, 132) >= sums);
        CHECK(cuda::embedding_backward_workspace(rows + 1, columns) >=
              cuda::embedding_backward_workspace(rows, columns));
        CHECK(cuda::layer_norm_backward_workspace(rows + 1, columns, 132) >=
              cuda::layer_norm_backward_workspace(rows, columns, 132));
      }
    }
  });
  add_case("zero clears exactly the bytes that it is given", [] {
    for (const std::size_t first : {0, 1, 5, 16}) {
      for (const std::size_t count : {1, 3, 15, 16, 100, 5003}) {
        const DeviceArray<std::uint8_t> bytes(Bytes(first + count + 9, 0xAB));
        cuda::zero(TestContext(), bytes.data() + first, count);
        Bytes expected(first + count + 9, 0xAB);
        std::fill_n(expected.begin() + static_cast<std::ptrdiff_t>(first), count, 0);
        CHECK(bytes.to_host() == expected);
      }
    }
  });
  return run_cases();
}
