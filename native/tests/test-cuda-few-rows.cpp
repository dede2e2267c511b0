// The products of few rows against sums in double: every weight type, odd and wide shapes, and all that may follow a
// sum.
#include "test-support-cuda.h"

using namespace assay;
using namespace assay::test;

namespace {

struct Shape {
  std::int64_t rows, in, out;
};

struct Finish {
  bool has_bias = true;
  Activation activation = Activation::kNone;
  bool has_pre_activation = false;
  bool adds = false;
  float scale = 1.0F;
};

void check_linear(const Shape& shape, DataType weight_type, const Finish& finish, DataType type) {
  const auto [rows, in, out] = shape;
  const TestWeight weight(weight_type, in, out, false);
  const Floats input = stored_as(random_floats(static_cast<std::size_t>(rows * in), 1.0, 1), type);
  const Floats before = stored_as(random_floats(static_cast<std::size_t>(rows * out), 1.0, 2), type);
  const Floats bias = random_floats(static_cast<std::size_t>(out), 1.0, 3);
  Floats sums(before.size());
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < out; ++column) {
      double sum = 0.0;
      for (std::int64_t i = 0; i < in; ++i) {
        sum += static_cast<double>(input[static_cast<std::size_t>(row * in + i)]) *
               static_cast<double>(weight.stands_for[static_cast<std::size_t>(i * out + column)]);
      }
      const auto at = static_cast<std::size_t>(row * out + column);
      sum *= static_cast<double>(finish.scale);
      sum += static_cast<double>(finish.adds ? before[at] : finish.has_bias ? bias[at % bias.size()] : 0.0F);
      sums[at] = static_cast<float>(sum);
    }
  }
  Floats expected = sums;
  if (!finish.adds) {
    reference_backend()->activation_forward(Values(expected.data()), ConstValues(sums.data()),
                                            static_cast<std::int64_t>(sums.size()), finish.activation);
  }

  const DeviceValues device_input(input, type);
  const DeviceArray<float> device_bias(bias);
  const auto found = run_twice([&] {
    const DeviceValues output(before, type), pre_activation(Floats(before.size()), type);
    LinearForward call{};
    call.input = device_input;
    call.weight = weight.view();
    call.bias = finish.has_bias ? device_bias.data() : nullptr;
    call.output = output;
    call.pre_activation = finish.has_pre_activation ? pre_activation.values() : Values(nullptr);
    call.activation = finish.activation;
    call.rows = rows;
    call.in = in;
    call.out = out;
    call.scale = finish.scale;
    call.add = finish.adds;
    cuda::linear_few_rows(TestContext(), call);
    return std::vector<Floats>{output.floats(), pre_activation.floats()};
  });
  check_values("output", expected, found[0], type);
  if (finish.has_pre_activation) {
    check_values("pre_activation", sums, found[1], type);
  }
}

void check_logits(const Shape& shape, DataType weight_type, bool has_bias, DataType type) {
  const auto [rows, channels, vocab_size] = shape;
  const TestWeight weight(weight_type, vocab_size, channels, true);
  const Floats hidden = stored_as(random_floats(static_cast<std::size_t>(rows * channels), 1.0, 1), type);
  const Floats bias = random_floats(static_cast<std::size_t>(vocab_size), 1.0, 3);
  Floats expected(static_cast<std::size_t>(rows * vocab_size));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t word = 0; word < vocab_size; ++word) {
      double sum = has_bias ? static_cast<double>(bias[static_cast<std::size_t>(word)]) : 0.0;
      for (std::int64_t c = 0; c < channels; ++c) {
        sum += static_cast<double>(hidden[static_cast<std::size_t>(row * channels + c)]) *
               static_cast<double>(weight.stands_for[static_cast<std::size_t>(word * channels + c)]);
      }
      expected[static_cast<std::size_t>(row * vocab_size + word)] = static_cast<float>(sum);
    }
  }
  const DeviceValues device_hidden(hidden, type);
  const DeviceArray<float> device_bias(bias);
  const Floats found = run_twice([&] {
    const DeviceArray<float> output(Floats(expected.size(), NAN));
    cuda::logits_few_rows(TestContext(), device_hidden, weight.view(), has_bias ? device_bias.data() : nullptr,
                          output.data(), rows, channels, vocab_size);
    return output.to_host();
  });
  check_values("logits", expected, found, DataType::kF32); // never rounded
}

} // namespace

int main() {
  for (const DataType weight_type : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
    const std::string weights = std::string(" by weights of ") + name_of_type(weight_type);
    add_typed_cases("few rows are multiplied" + weights, [=](DataType type) {
      for (const std::int64_t rows : {1, 4, 5, 8, 9, 16}) {
        check_linear({rows, 24, 40}, weight_type, {}, type);
      }
      check_linear({3, 768, 96}, weight_type, {}, type);
      check_linear({2, 300, 264}, weight_type, {}, type); // wide strips, and a last one that is not whole
      check_linear({16, 520, 200}, weight_type, {}, type);
      check_linear({2, 19, 7}, weight_type, {}, type);
      check_linear({5, 1, 1}, weight_type, {}, type);
    });
    add_typed_cases("scale, bias, activation and sum follow few rows" + weights, [=](DataType type) {
      check_linear({3, 40, 72}, weight_type, {true, Activation::kGeluNew, true, false, 0.5F}, type);
      check_linear({3, 40, 72}, weight_type, {false, Activation::kTanh, false, false, 0.5F}, type);
      check_linear({3, 40, 72}, weight_type, {true, Activation::kGelu, false, true, 0.5F}, type);
      check_linear({3, 19, 21}, weight_type, {true, Activation::kGelu, true, false, 2.0F}, type);
      check_linear({3, 19, 21}, weight_type, {false, Activation::kNone, false, true, 2.0F}, type);
    });
    add_typed_cases("logits of few rows" + weights, [=](DataType type) {
      for (const std::int64_t rows : {1, 5, 8, 16}) {
        check_logits({rows, 64, 133}, weight_type, rows > 1, type);
      }
      check_logits({2, 768, 37}, weight_type, false, type);
      check_logits({2, 80, 37}, weight_type, true, type);
      check_logits({3, 19, 41}, weight_type, true, type);
    });
  }
  add_case("a row's sum does not depend on the rows beside it", [] {
    for (const DataType type : {DataType::kF32, DataType::kBf16}) {
      const TestWeight weight(DataType::kBf16, 200, 72, false);
      const Floats input = random_floats(16 * 200, 1.0, 1);
      const auto outputs = [&](std::int64_t rows) {
        const DeviceValues device_input(Floats(input.begin(), input.begin() + rows * 200), type);
        const DeviceValues output(Floats(static_cast<std::size_t>(rows * 72)), type);
        LinearForward call{};
        call.input = device_input;
        call.weight = weight.view();
        call.output = output;
        call.rows = rows;
        call.in = 200;
        call.out = 72;
        cuda::linear_few_rows(TestContext(), call);
        return output.floats();
      };
      Floats all = outputs(16);
      all.resize(72);
      CHECK(outputs(1) == all);
    }
  });
  add_case("many rows are refused", [] {
    LinearForward call{};
    call.rows = 17;
    call.in = call.out = 8;
    std::string code;
    try {
      cuda::linear_few_rows(TestContext(), call);
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK_EQ(code, "BAD_ARGUMENT");
  });
  return run_cases();
}
