// Layer norm's kernels against the CPU backend's, for rows that a warp, a block, or nobody holds in registers.
#include "test-support-cuda.h"

using namespace assay;
using namespace assay::test;

namespace {

struct Options {
  std::int64_t rows, channels;
  float dropout = 0.0F;
  bool has_branch = true;
  bool has_second = false;  // d_output_2
  bool has_residual = true; // d_residual
  bool is_frozen = false;
  bool accumulates = true;
  std::size_t shift = 0; // values that put the activations out of alignment
};

constexpr float kEpsilon = 1e-5F;

Dropout dropout_of(float probability) {
  return {probability, 0x123456789ABCDEFULL, 9, 4, 2};
}

std::int64_t rows_per_sample_of(const Options& o) {
  return (o.rows + 1) / 2;
}

void check_forward(const Options& o, DataType type) {
  const auto count = static_cast<std::size_t>(o.rows * o.channels);
  const auto channels = static_cast<std::size_t>(o.channels);
  const Floats residual = stored_as(random_floats(count, 1.0, 1), type);
  const Floats branch = stored_as(random_floats(count, 1.0, 2), type);
  const Floats weight = random_floats(channels, 1.0, 3), bias = random_floats(channels, 1.0, 4);
  const auto backend = reference_backend();
  Floats sum(count), output(count), mean(static_cast<std::size_t>(o.rows)), inverse(mean.size());
  LayerNormForward call{};
  call.residual = ConstValues(residual.data());
  call.branch = o.has_branch ? ConstValues(branch.data()) : ConstValues(nullptr);
  call.residual_output = o.has_branch ? Values(sum.data()) : Values(nullptr);
  call.weight = weight.data();
  call.bias = bias.data();
  call.output = output.data();
  call.rows = o.rows;
  call.channels = o.channels;
  call.rows_per_sample = rows_per_sample_of(o);
  call.epsilon = kEpsilon;
  call.dropout = dropout_of(o.dropout);
  backend->layer_norm_forward(call);
  if (o.has_branch) {
    // The norm is taken of the sum as it is stored.
    sum = stored_as(sum, type);
    call.residual = ConstValues(sum.data());
    call.branch = nullptr;
    call.residual_output = nullptr;
  }
  call.mean = mean.data();
  call.inverse_deviation = inverse.data();
  backend->layer_norm_forward(call);

  const DeviceArray<float> device_weight(weight), device_bias(bias);
  const DeviceValues device_branch(branch, type, o.shift);
  const auto found = run_twice([&] {
    const DeviceValues in_place(residual, type, o.shift), device_output(Floats(count, NAN), type, o.shift);
    const DeviceArray<float> device_mean(mean.size()), device_inverse(mean.size());
    LayerNormForward own = call;
    own.residual = in_place;
    own.branch = o.has_branch ? ConstValues(device_branch) : ConstValues(nullptr);
    own.residual_output = o.has_branch ? in_place.values() : Values(nullptr);
    own.weight = device_weight.data();
    own.bias = device_bias.data();
    own.output = device_output;
    own.mean = device_mean.data();
    own.inverse_deviation = device_inverse.data();
    cuda::layer_norm_forward(TestContext(), own);
    const std::vector<Floats> results = {device_output.floats(), in_place.floats(), device_mean.to_host(),
                                         device_inverse.to_host()};
    return results;
  });
  check_values("output", output, found[0], type);
  check_values("residual_output", o.has_branch ? sum : residual, found[1], type);
  // A sum that rounds to the other neighbour moves its row's statistics.
  const double of_largest = type == DataType::kBf16 ? 2e-3 : 2e-5;
  check_values("mean", mean, found[2], DataType::kF32, of_largest);
  check_values("inverse_deviation", inverse, found[3], DataType::kF32, of_largest);
}

void check_backward(const Options& o, DataType type) {
  const auto count = static_cast<std::size_t>(o.rows * o.channels);
  const auto channels = static_cast<std::size_t>(o.channels);
  const Floats input = stored_as(random_floats(count, 1.0, 1), type);
  const Floats d_output = stored_as(random_floats(count, 1.0, 2), type);
  const Floats d_output_2 = stored_as(random_floats(count, 1.0, 3), type);
  const Floats d_residual = stored_as(random_floats(count, 1.0, 4), type);
  const Floats weight = random_floats(channels, 1.0, 5), zeros(channels);
  WorkspaceRequest request;
  request.channels = o.channels;
  request.training = true;
  const auto backend = reference_backend(request);
  Floats output(count), mean(static_cast<std::size_t>(o.rows)), inverse(mean.size());
  LayerNormForward forward{};
  forward.residual = ConstValues(input.data());
  forward.weight = weight.data();
  forward.bias = zeros.data();
  forward.output = output.data();
  forward.mean = mean.data();
  forward.inverse_deviation = inverse.data();
  forward.rows = forward.rows_per_sample = o.rows;
  forward.channels = o.channels;
  forward.epsilon = kEpsilon;
  backend->layer_norm_forward(forward);

  Floats d_input(count), d_branch(count), d_weight(channels, 0.5F), d_bias(channels, 0.5F);
  LayerNormBackward call{};
  call.d_output = ConstValues(d_output.data());
  call.d_output_2 = o.has_second ? ConstValues(d_output_2.data()) : ConstValues(nullptr);
  call.input = ConstValues(input.data());
  call.weight = weight.data();
  call.mean = mean.data();
  call.inverse_deviation = inverse.data();
  call.d_residual = o.has_residual ? ConstValues(d_residual.data()) : ConstValues(nullptr);
  call.d_residual_output = d_input.data();
  call.d_branch = o.has_branch ? Values(d_branch.data()) : Values(nullptr);
  call.d_weight = o.is_frozen ? nullptr : d_weight.data();
  call.d_bias = o.is_frozen ? nullptr : d_bias.data();
  call.rows = o.rows;
  call.channels = o.channels;
  call.rows_per_sample = rows_per_sample_of(o);
  call.dropout = dropout_of(o.dropout);
  call.accumulate = o.accumulates;
  backend->layer_norm_backward(call);

  const DeviceArray<float> device_weight(weight), device_mean(mean), device_inverse(inverse);
  const DeviceValues device_d_output(d_output, type, o.shift), device_second(d_output_2, type, o.shift);
  const DeviceValues device_input(input, type, o.shift);
  const auto found = run_twice([&] {
    // In place on d_residual, as the model calls it.
    const DeviceValues in_place(o.has_residual ? d_residual : Floats(count, NAN), type, o.shift);
    const DeviceValues device_branch(Floats(count), type, o.shift);
    const DeviceArray<float> own_weight(Floats(channels, 0.5F)), own_bias(Floats(channels, 0.5F));
    LayerNormBackward own = call;
    own.d_output = device_d_output;
    own.d_output_2 = o.has_second ? ConstValues(device_second) : ConstValues(nullptr);
    own.input = device_input;
    own.weight = device_weight.data();
    own.mean = device_mean.data();
    own.inverse_deviation = device_inverse.data();
    own.d_residual = o.has_residual ? ConstValues(in_place) : ConstValues(nullptr);
    own.d_residual_output = in_place;
    own.d_branch = o.has_branch ? device_branch.values() : Values(nullptr);
    own.d_weight = o.is_frozen ? nullptr : own_weight.data();
    own.d_bias = o.is_frozen ? nullptr : own_bias.data();
    const std::size_t workspace =
        o.is_frozen ? 0 : cuda::layer_norm_backward_workspace(o.rows, o.channels, TestContext::kMultiprocessors);
    cuda::layer_norm_backward(TestContext(workspace), own);
    return std::vector<Floats>{in_place.floats(), device_branch.floats(), own_weight.to_host(), own_bias.to_host()};
  });
  check_values("d_residual_output", d_input, found[0], type);
  check_values("d_branch", d_branch, found[1], type);
  check_values("d_weight", d_weight, found[2], DataType::kF32);
  check_values("d_bias", d_bias, found[3], DataType::kF32);
}

} // namespace

int main() {
  add_typed_cases("rows of every length are normalised", [](DataType type) {
    for (const std::int64_t channels : {24, 768, 1000, 1544, 5120, 8192}) {
      check_forward({3, channels}, type);
    }
    check_forward({1, 24}, type);
    check_forward({130, 24, 0.3F}, type);
    check_forward({7, 1024, 0.3F, false}, type);
  });
  add_typed_cases("rows that are not aligned, or too long for registers, are normalised", [](DataType type) {
    check_forward({5, 19, 0.3F}, type);
    check_forward({5, 24, 0.3F, true, false, true, false, true, 1}, type);
    check_forward({2, 8200, 0.3F}, type);
    check_forward({2, 8200, 0.0F, false}, type);
  });
  add_typed_cases("gradients go through the norm to residual, branch, weight and bias", [](DataType type) {
    for (const std::int64_t channels : {24, 768, 1544, 5120}) {
      check_backward({5, channels, 0.3F}, type);
    }
    check_backward({1, 24}, type);
    check_backward({130, 24, 0.0F, true, true}, type);
    check_backward({130, 1000, 0.3F, false, false, false, false, false}, type);
    check_backward({7, 768, 0.3F, true, true, false, true}, type);
  });
  add_typed_cases("gradients of rows that are not aligned, or too long for registers, are right", [](DataType type) {
    check_backward({17, 19, 0.3F, true, true}, type);
    check_backward({17, 24, 0.3F, true, true, true, false, true, 1}, type);
    check_backward({3, 8200, 0.3F, false, false, false, false, false}, type);
    check_backward({3, 8200, 0.0F, true, true, true, true}, type);
  });
  return run_cases();
}
