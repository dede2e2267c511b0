// Linear layers: alone, with an activation before or behind, scaled onto another output, of narrow weights, in bf16.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

OpCase linear_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, bool has_bias, bool accumulate) {
  OpCase op;
  op.title = "linear " + sizes({rows, in_size, out_size}) + (has_bias ? "" : " without bias") +
             (accumulate ? "" : ", gradients written");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", has_bias ? out_size : 0}};
  op.reference = [=](const std::vector<Doubles>& in) {
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

OpCase activated_case(Activation activation, std::int64_t rows, std::int64_t in_size, std::int64_t out_size,
                      bool keeps_sum) {
  OpCase op;
  op.title = "linear with " + name_of(activation) + ' ' + sizes({rows, in_size, out_size}) +
             (keeps_sum ? "" : ", sum not kept");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles sums = linear_reference(in[0], in[1], in[2], rows, in_size, out_size);
    Doubles output;
    for (const double sum : sums) {
      output.push_back(activation_reference(activation, sum));
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
                            activation, rows, in_size, out_size});
    output.insert(output.end(), sums.begin(), sums.end());
    return output;
  };
  return op;
}

// linear(activation(x)): backward is one fused call.
OpCase of_activated_case(Activation activation, std::int64_t rows, std::int64_t in_size, std::int64_t out_size) {
  const auto activated = [activation](const auto& values) {
    auto result = values;
    for (auto& value : result) {
      value = static_cast<std::decay_t<decltype(value)>>(activation_reference(activation, static_cast<double>(value)));
    }
    return result;
  };
  OpCase op;
  op.title = "linear of " + name_of(activation) + ' ' + sizes({rows, in_size, out_size});
  op.inputs = {{"pre-activation", rows * in_size, 2.0}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Doubles>& in) {
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
    LinearBackward call{upstream.data(), input.data(),  in[1].data(), d_sum.data(), in[0].data(),
                        d_weight.data(), d_bias.data(), rows,         in_size,      out_size};
    call.input_activation = activation;
    backend.linear_backward(call);
    return std::vector<Floats>{d_sum, without_start(d_weight), without_start(d_bias)};
  };
  return op;
}

// An adapter's second layer: onto an output that is there already, scaled; its input's gradient joins others.
OpCase scaled_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, float scale, bool add) {
  OpCase op;
  op.title = "linear scaled" + std::string(add ? ", added " : " ") + sizes({rows, in_size, out_size});
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"output before", add ? rows * out_size : 0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles output = linear_reference(in[0], in[1], {}, rows, in_size, out_size);
    for (std::size_t i = 0; i < output.size(); ++i) {
      output[i] = static_cast<double>(scale) * output[i] + (add ? in[2][i] : 0.0);
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output = add ? in[2] : Floats(static_cast<std::size_t>(rows * out_size), NAN);
    LinearForward call{in[0].data(),      in[1].data(), nullptr, output.data(), nullptr,
                       Activation::kNone, rows,         in_size, out_size};
    call.scale = scale;
    call.add = add;
    backend.linear_forward(call);
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_input = added_to(in[0].size()), d_weight = added_to(in[1].size());
    LinearBackward call{upstream.data(), in[0].data(), in[1].data(), d_input.data(), nullptr,
                        d_weight.data(), nullptr,      rows,         in_size,        out_size};
    call.scale = scale;
    call.add_to_d_input = true;
    backend.linear_backward(call);
    // A frozen weight: the same gradient of the input.
    Floats alone = added_to(in[0].size());
    call.d_input = alone.data();
    call.d_weight = nullptr;
    backend.linear_backward(call);
    CHECK(alone == d_input);
    return std::vector<Floats>{without_start(d_input), without_start(d_weight), add ? upstream : Floats{}};
  };
  return op;
}

// With bf16 products both operands are rounded, and compared so. A narrow weight may also meet the input as it is (few
// rows) or rounded: one row is exact, more agree to bf16's 8 bits.
OpCase narrow_case(DataType type, bool bf16, std::int64_t rows, std::int64_t in_size, std::int64_t out_size) {
  const StoredWeight stored = random_weight(type, in_size, out_size, false);
  const bool rounds = bf16 && type == DataType::kF32;
  OpCase op;
  op.title = "linear of " + name_of(type) + " weights" + (bf16 ? " in bf16 " : " ") + sizes({rows, in_size, out_size});
  op.inputs = {{"input", rows * in_size}, {"bias", out_size}, {"fp32 weight", in_size * out_size}};
  op.reference = [=](const std::vector<Doubles>& in) {
    const Doubles weight = type == DataType::kF32 ? in[2] : doubled(stored.stands_for);
    return linear_reference(rounds ? bf16_rounded(in[0]) : in[0], rounds ? bf16_rounded(weight) : weight, in[1], rows,
                            in_size, out_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * out_size), NAN);
    LinearForward call{in[0].data(), stored.view(in[2]), in[1].data(), output.data(),
                       nullptr,      Activation::kNone,  rows,         in_size,
                       out_size};
    call.bf16 = bf16;
    backend.linear_forward(call);
    return output;
  };
  op.tolerance = type != DataType::kF32 && rows > 1 ? 4e-3 : 2e-5;
  return op;
}

// What backward gives for products of rounded operands, exactly: output = d_input ‖ d_weight (where it is trained).
OpCase narrow_backward_case(DataType type, bool bf16, std::int64_t rows, std::int64_t in_size, std::int64_t out_size) {
  const StoredWeight stored = random_weight(type, in_size, out_size, false);
  const bool trains = type == DataType::kF32;
  OpCase op;
  op.title = "backward of linear of " + name_of(type) + " weights" + (bf16 ? " in bf16 " : " ") +
             sizes({rows, in_size, out_size});
  op.inputs = {{"input", rows * in_size}, {"upstream", rows * out_size}, {"fp32 weight", in_size * out_size}};
  op.reference = [=](const std::vector<Doubles>& in) {
    const Doubles weight = bf16_rounded(trains ? in[2] : doubled(stored.stands_for));
    const Doubles upstream = bf16_rounded(in[1]);
    Doubles output = linear_reference(upstream, transposed(weight, in_size, out_size), {}, rows, out_size, in_size);
    if (trains) {
      const Doubles d_weight =
          linear_reference(transposed(bf16_rounded(in[0]), rows, in_size), upstream, {}, in_size, rows, out_size);
      output.insert(output.end(), d_weight.begin(), d_weight.end());
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(in[0].size(), NAN), d_weight = added_to(trains ? in[2].size() : 0);
    LinearBackward call{in[1].data(),  in[0].data(), stored.view(in[2]),
                        output.data(), nullptr,      trains ? d_weight.data() : nullptr,
                        nullptr,       rows,         in_size,
                        out_size};
    call.bf16 = bf16;
    backend.linear_backward(call);
    d_weight = without_start(d_weight);
    output.insert(output.end(), d_weight.begin(), d_weight.end());
    return output;
  };
  op.tolerance = type == DataType::kInt8 ? 4e-3 : 2e-5;
  return op;
}

std::vector<OpCase> table() {
  return {
      linear_case(1, 5, 3, true, true),
      linear_case(1, 70, 600, true, true),
      linear_case(33, 17, 45, true, false),
      linear_case(5, 64, 1, true, true),
      linear_case(70, 300, 64, false, false),
      linear_case(150, 33, 1100, true, true),
      activated_case(Activation::kGeluNew, 1, 9, 50, false),
      activated_case(Activation::kGeluNew, 13, 31, 70, true),
      activated_case(Activation::kGeluNew, 200, 8, 700, true),
      of_activated_case(Activation::kGeluNew, 1, 3, 2),
      of_activated_case(Activation::kGeluNew, 19, 45, 23),
      of_activated_case(Activation::kGeluNew, 130, 700, 9),
      activated_case(Activation::kGelu, 1, 9, 50, true),
      activated_case(Activation::kGelu, 13, 31, 70, false),
      activated_case(Activation::kTanh, 13, 31, 70, true),
      of_activated_case(Activation::kGelu, 19, 45, 23),
      of_activated_case(Activation::kTanh, 5, 33, 8),
      of_activated_case(Activation::kNone, 5, 33, 8),
      scaled_case(1, 4, 37, 0.5F, true),
      scaled_case(9, 4, 70, 2.5F, true),
      scaled_case(67, 70, 4, 2.5F, false),
      scaled_case(9, 33, 17, 1.0F, true),
      narrow_case(DataType::kF32, true, 2, 5, 3),
      narrow_case(DataType::kF32, true, 70, 300, 64),
      narrow_case(DataType::kF32, true, 33, 517, 130),
      narrow_case(DataType::kBf16, false, 1, 70, 600),
      narrow_case(DataType::kBf16, false, 9, 37, 41),
      narrow_case(DataType::kBf16, true, 70, 300, 64),
      narrow_case(DataType::kInt8, false, 1, 70, 600),
      narrow_case(DataType::kInt8, false, 9, 37, 41),
      narrow_case(DataType::kInt8, true, 70, 300, 64),
      narrow_backward_case(DataType::kF32, true, 1, 7, 5),
      narrow_backward_case(DataType::kF32, true, 70, 33, 300),
      narrow_backward_case(DataType::kBf16, true, 33, 37, 41),
      narrow_backward_case(DataType::kBf16, false, 5, 130, 37),
      narrow_backward_case(DataType::kInt8, true, 33, 300, 41),
      narrow_backward_case(DataType::kInt8, false, 5, 37, 130),
  };
}

} // namespace

int main() {
  add_operations(table());
  return run_cases();
}
