// Linear layers, alone and with their activation.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

OpCase linear_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, bool has_bias, bool accumulate) {
  OpCase op;
  op.title = "linear " + sizes({rows, in_size, out_size}) + (has_bias ? "" : " without bias") +
             (accumulate ? "" : ", gradients written");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", has_bias ? out_size : 0}};
  op.reference = [=](const std::vector<Values>& in) {
    return linear_reference(in[0], in[1], in[2], rows, in_size, out_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * out_size), NAN);
    backend.linear_forward({in[0].data(), in[1].data(), has_bias ? in[2].data() : nullptr, output.data(), nullptr,
                            Activation::kNone, rows, in_size, out_size});
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_input(in[0].size(), NAN);
    Floats d_weight = added_to(in[1].size());
    Floats d_bias = added_to(in[2].size());
    backend.linear_backward({upstream.data(), in[0].data(), in[1].data(), d_input.data(), nullptr, d_weight.data(),
                             has_bias ? d_bias.data() : nullptr, rows, in_size, out_size, accumulate});
    return std::vector<Floats>{d_input, accumulate ? without_start(d_weight) : d_weight,
                               accumulate || !has_bias ? without_start(d_bias) : d_bias};
  };
  return op;
}

OpCase linear_gelu_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, bool keeps_sum) {
  OpCase op;
  op.title = std::string("linear with GELU ") + sizes({rows, in_size, out_size}) + (keeps_sum ? "" : ", sum not kept");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Values>& in) {
    Values sums = linear_reference(in[0], in[1], in[2], rows, in_size, out_size);
    Values output;
    for (const double sum : sums) {
      output.push_back(gelu_reference(sum));
    }
    if (keeps_sum) {
      output.insert(output.end(), sums.begin(), sums.end());
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * out_size));
    Floats sums(keeps_sum ? output.size() : 0);
    backend.linear_forward({in[0].data(), in[1].data(), in[2].data(), output.data(), keeps_sum ? sums.data() : nullptr,
                            Activation::kGeluNew, rows, in_size, out_size});
    output.insert(output.end(), sums.begin(), sums.end());
    return output;
  };
  return op;
}

// linear(gelu(x)): backward is one fused call.
OpCase linear_of_gelu_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size) {
  const auto activated = [](const auto& values) {
    auto result = values;
    for (auto& value : result) {
      value = static_cast<std::decay_t<decltype(value)>>(gelu_reference(static_cast<double>(value)));
    }
    return result;
  };
  OpCase op;
  op.title = "linear of GELU " + sizes({rows, in_size, out_size});
  op.inputs = {{"pre-activation", rows * in_size, 2.0}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Values>& in) {
    return linear_reference(activated(in[0]), in[1], in[2], rows, in_size, out_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    const Floats input = activated(in[0]);
    Floats output(static_cast<std::size_t>(rows * out_size));
    backend.linear_forward(
        {input.data(), in[1].data(), in[2].data(), output.data(), nullptr, Activation::kNone, rows, in_size, out_size});
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    const Floats input = activated(in[0]);
    Floats d_sum(in[0].size(), NAN), d_weight = added_to(in[1].size()), d_bias = added_to(in[2].size());
    backend.linear_backward({upstream.data(), input.data(), in[1].data(), d_sum.data(), in[0].data(), d_weight.data(),
                             d_bias.data(), rows, in_size, out_size, true});
    return std::vector<Floats>{d_sum, without_start(d_weight), without_start(d_bias)};
  };
  return op;
}

std::vector<OpCase> table() {
  return {
      linear_case(1, 5, 3, true, true),  linear_case(1, 70, 600, true, true),    linear_case(33, 17, 45, true, false),
      linear_case(5, 64, 1, true, true), linear_case(70, 300, 64, false, false), linear_case(150, 33, 1100, true, true),
      linear_gelu_case(1, 9, 50, false), linear_gelu_case(13, 31, 70, true),     linear_gelu_case(200, 8, 700, true),
      linear_of_gelu_case(1, 3, 2),      linear_of_gelu_case(19, 45, 23),        linear_of_gelu_case(130, 700, 9),
  };
}

} // namespace

int main() {
  add_operations(table());
  return run_cases();
}
