// The optimizer's kernels against the CPU backend's step, and their rounding against the definition by Philox.
#include "test-support-cuda.h"

#include "engine/base/philox.h"
#include "engine/optim/moment-codes.h"

#include <algorithm>

using namespace assay;
using namespace assay::test;

namespace {

// Parameters with gaps between the segments, which no step may touch.
struct Arena {
  Floats parameters, gradients, first, second;
  std::vector<AdamWSegment> segments;
  std::size_t count = 0;

  explicit Arena(std::vector<AdamWSegment> list) : segments(std::move(list)) {
    for (const AdamWSegment& segment : segments) {
      count = std::max(count, static_cast<std::size_t>(segment.offset + segment.count));
    }
    parameters = random_floats(count, 1.0, 1);
    gradients = random_floats(count, 0.1, 2);
    first = random_floats(count, 0.1, 3);
    second = random_floats(count, 0.1, 4);
    for (float& value : second) {
      value *= value;
    }
  }
};

AdamWStep step_of(const Arena& arena) {
  AdamWStep step{};
  step.segments = arena.segments;
  step.learning_rate = 0.01F;
  step.beta1 = 0.9F;
  step.beta2 = 0.95F;
  step.epsilon = 1e-8F;
  step.decay_factor = 0.99F;
  step.gradient_scale = 0.5F;
  step.first_correction = 0.19F;
  step.second_correction = 0.0975F;
  step.seed = 0x123456789ABCDEFULL;
  step.step = 5;
  return step;
}

std::uint16_t rounded_by_chance(const AdamWStep& step, std::size_t parameter, float value) {
  const auto number = static_cast<std::uint64_t>(step.first_parameter) + parameter;
  const PhiloxCounter words =
      philox4x32({static_cast<std::uint32_t>(number / 4), 0, step.step, kRoundingSite},
                 {static_cast<std::uint32_t>(step.seed), static_cast<std::uint32_t>(step.seed >> 32)});
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool goes_up = (words[number % 4] & 0xFFFFU) < (bits & 0xFFFFU);
  return static_cast<std::uint16_t>((bits >> 16) + (goes_up ? 1 : 0));
}

void check_copies(const AdamWStep& step, const Arena& arena, const Floats& parameters,
                  const std::vector<std::uint16_t>& copies) {
  std::vector<std::uint16_t> expected(arena.count, 0xABCD);
  for (const AdamWSegment& segment : arena.segments) {
    for (auto i = static_cast<std::size_t>(segment.offset);
         i < static_cast<std::size_t>(segment.offset + segment.count); ++i) {
      expected[i] = step.stochastic_rounding ? rounded_by_chance(step, i, parameters[i]) : bf16_bits(parameters[i]);
    }
  }
  CHECK(copies == expected);
}

void check_step(const std::vector<AdamWSegment>& segments, bool stochastic, std::int64_t first_parameter = 0) {
  const Arena arena(segments);
  Floats parameters = arena.parameters, first = arena.first, second = arena.second;
  AdamWStep call = step_of(arena);
  call.parameters = parameters.data();
  call.gradients = arena.gradients.data();
  call.first_moment = first.data();
  call.second_moment = second.data();
  reference_backend()->adamw_step(call);

  call.stochastic_rounding = stochastic;
  call.first_parameter = first_parameter;
  const DeviceArray<float> gradients(arena.gradients);
  const auto [found, copies] = run_twice([&] {
    const DeviceArray<float> own_parameters(arena.parameters), own_first(arena.first), own_second(arena.second);
    const DeviceArray<std::uint16_t> own_copies(std::vector<std::uint16_t>(arena.count, 0xABCD));
    AdamWStep own = call;
    own.parameters = own_parameters.data();
    own.gradients = gradients.data();
    own.first_moment = own_first.data();
    own.second_moment = own_second.data();
    own.bf16_parameters = own_copies.data();
    cuda::adamw_step(TestContext(), own);
    return std::pair(std::vector<Floats>{own_parameters.to_host(), own_first.to_host(), own_second.to_host()},
                     own_copies.to_host());
  });
  check_values("parameters", parameters, found[0], DataType::kF32, 1e-6);
  check_values("first moment", first, found[1], DataType::kF32, 1e-6);
  check_values("second moment", second, found[2], DataType::kF32, 1e-6);
  check_copies(call, arena, found[0], copies);
}

// The codes may differ where a value lies on the border of two; what they stand for is then nearly the same.
void check_moments(const std::string& what, const float* table, const Bytes& expected_codes,
                   const Floats& expected_scales, const Bytes& codes, const Floats& scales) {
  check_values(what + " scales", expected_scales, scales, DataType::kF32, 1e-6);
  std::size_t different = 0;
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto block = i / static_cast<std::size_t>(kMomentBlock);
    const float expected = table[expected_codes[i]] * expected_scales[block];
    const float found = table[codes[i]] * scales[block];
    different += codes[i] != expected_codes[i] ? 1 : 0;
    CHECK(std::fabs(expected - found) <= 0.02F * std::fabs(expected_scales[block]));
  }
  CHECK(different * 200 <= codes.size());
}

void check_blocks(const std::vector<AdamWSegment>& segments, bool stochastic) {
  const Arena arena(segments);
  const std::size_t blocks = (arena.count + kMomentBlock - 1) / kMomentBlock;
  const Floats first_scales = random_floats(blocks, 0.1, 7);
  Floats second_scales = random_floats(blocks, 0.1, 8);
  for (float& scale : second_scales) {
    scale = std::fabs(scale);
  }
  Bytes first_codes, second_codes;
  for (const std::int32_t number : some_numbers(arena.count, 256, 9)) {
    first_codes.push_back(static_cast<std::uint8_t>(number));
    second_codes.push_back(static_cast<std::uint8_t>(255 - number));
  }
  Floats gradients = arena.gradients;
  std::fill_n(gradients.begin(), std::min<std::size_t>(arena.count, 256), 0.0F);
  std::fill_n(first_codes.begin(), std::min<std::size_t>(arena.count, 256), 0); // a block that stays zero
  Floats parameters = arena.parameters, own_first_scales = first_scales, own_second_scales = second_scales;
  Bytes own_first_codes = first_codes, own_second_codes = second_codes;
  AdamWStep call = step_of(arena);
  call.parameters = parameters.data();
  call.gradients = gradients.data();
  call.first_moment = own_first_scales.data();
  call.second_moment = own_second_scales.data();
  call.first_codes = own_first_codes.data();
  call.second_codes = own_second_codes.data();
  reference_backend()->adamw_step(call);

  call.stochastic_rounding = stochastic;
  const DeviceArray<float> device_gradients(gradients);
  struct Found {
    Floats parameters, first_scales, second_scales;
    Bytes first_codes, second_codes;
    std::vector<std::uint16_t> copies;
    bool operator==(const Found&) const = default;
  };
  const Found found = run_twice([&] {
    const DeviceArray<float> own_parameters(arena.parameters), own_first(first_scales), own_second(second_scales);
    const DeviceArray<std::uint8_t> device_first(first_codes), device_second(second_codes);
    const DeviceArray<std::uint16_t> copies(std::vector<std::uint16_t>(arena.count, 0xABCD));
    AdamWStep own = call;
    own.parameters = own_parameters.data();
    own.gradients = device_gradients.data();
    own.first_moment = own_first.data();
    own.second_moment = own_second.data();
    own.first_codes = device_first.data();
    own.second_codes = device_second.data();
    own.bf16_parameters = copies.data();
    cuda::adamw_step(TestContext(), own);
    return Found{own_parameters.to_host(), own_first.to_host(),     own_second.to_host(),
                 device_first.to_host(),   device_second.to_host(), copies.to_host()};
  });
  check_values("parameters", parameters, found.parameters, DataType::kF32, 1e-6);
  check_moments("first moment", kFirstMomentValues.values, own_first_codes, own_first_scales, found.first_codes,
                found.first_scales);
  check_moments("second moment", kSecondMomentValues.values, own_second_codes, own_second_scales, found.second_codes,
                found.second_scales);
  check_copies(call, arena, found.parameters, found.copies);
}

void check_square_sum(std::size_t count, std::size_t shift) {
  const Floats values = random_floats(count + shift, 1.0, 1);
  double expected = 0.0;
  for (std::size_t i = shift; i < values.size(); ++i) {
    expected += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  const DeviceArray<float> device_values(values);
  const double found = run_twice([&] {
    const DeviceArray<double> sum(std::vector<double>{2.0});
    cuda::square_sum(TestContext(cuda::square_sum_workspace()), device_values.data() + shift,
                     static_cast<std::int64_t>(count), sum.data());
    return sum.to_host()[0];
  });
  CHECK(std::fabs(found - 2.0 - expected) <= 1e-6 * expected);
}

} // namespace

int main() {
  add_case("squares are summed in double", [] {
    for (const std::size_t count : {1, 3, 7, 1000, 4096, 100003}) {
      check_square_sum(count, 0);
      check_square_sum(count, 1);
    }
  });
  for (const bool stochastic : {false, true}) {
    const std::string rounding = stochastic ? ", copies rounded by chance" : ", copies rounded to nearest";
    add_case("a step moves the parameters of every segment" + rounding, [=] {
      check_step({{0, 1, true}}, stochastic);
      check_step({{0, 5000, true}, {5000, 7, false}, {5010, 3001, true}}, stochastic);
      check_step({{3, 4099, false}}, stochastic, 4096);
      check_step({{0, 4096, true}, {4096, 2048, false}}, stochastic, 6); // numbers that begin amid four
    });
    add_case("a step with moments in 8-bit blocks follows the CPU's" + rounding, [=] {
      check_blocks({{0, 256, true}}, stochastic);
      check_blocks({{0, 2048, true}, {2048, 2500, false}, {4608, 7, true}}, stochastic);
      check_blocks({{0, 1000, false}, {1024, 3, true}}, stochastic);
    });
  }
  add_case("more segments than one launch takes are all stepped", [] {
    std::vector<AdamWSegment> segments;
    for (std::int64_t i = 0; i < 230; ++i) {
      segments.push_back({i * 20, i % 7 == 3 ? 0 : 19, i % 3 == 0});
    }
    check_step(segments, false);
  });
  add_case("segments between 8-bit blocks are refused", [] {
    const Arena arena({{3, 100, true}});
    AdamWStep call = step_of(arena);
    const DeviceArray<std::uint8_t> codes(arena.count);
    call.first_codes = call.second_codes = codes.data();
    std::string code;
    try {
      cuda::adamw_step(TestContext(), call);
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK_EQ(code, "BAD_ARGUMENT");
  });
  return run_cases();
}
