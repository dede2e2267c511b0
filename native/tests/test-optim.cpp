// DecoupledAdamW against its definition in double, on every backend, and the pieces that decide its scalars.
#include "test-support-backends.h"

#include "engine/base/error.h"
#include "engine/optim/decoupled-adamw.h"

using namespace assay;
using namespace assay::test;

namespace {

DecoupledAdamWOptions some_options() {
  DecoupledAdamWOptions options;
  options.learning_rate = 2e-3;
  options.beta1 = 0.9;
  options.beta2 = 0.95;
  options.epsilon = 1e-3; // large, so that its place after the root shows
  options.weight_decay = 0.1;
  return options;
}

void compare_with_definition(const BackendUnderTest& under_test) {
  const auto backend = under_test.create(3);
  const DecoupledAdamWOptions options = some_options();
  // Two runs of parameters with a gap that must stay as it is.
  const std::vector<AdamWSegment> segments = {{0, 37, true}, {48, 1001, false}};
  Floats parameters = random_floats(1049, 1.0, 1), first(1049, 0.0F), second(1049, 0.0F);
  const Floats before = parameters;
  auto p = doubled(parameters), m = doubled(first), v = doubled(second);
  for (int step = 1; step <= 5; ++step) {
    const double lr = options.learning_rate * (step < 3 ? 0.5 * step : 0.7);
    const double scale = step == 4 ? 0.25 : 1.0;
    const Floats gradients = random_floats(1049, 0.1, static_cast<std::uint32_t>(10 + step));
    AdamWStep call = adamw_scalars(options, step, lr, scale);
    call.parameters = parameters.data();
    call.gradients = gradients.data();
    call.first_moment = first.data();
    call.second_moment = second.data();
    call.segments = segments;
    backend->adamw_step(call);
    for (const AdamWSegment& segment : segments) {
      for (std::int64_t i = segment.offset; i < segment.offset + segment.count; ++i) {
        const double gradient = static_cast<double>(gradients[i]) * scale;
        if (segment.decays) {
          p[i] *= 1.0 - options.weight_decay * lr / options.learning_rate;
        }
        m[i] = options.beta1 * m[i] + (1 - options.beta1) * gradient;
        v[i] = options.beta2 * v[i] + (1 - options.beta2) * gradient * gradient;
        const double corrected_m = m[i] / (1 - std::pow(options.beta1, step));
        const double corrected_v = v[i] / (1 - std::pow(options.beta2, step));
        p[i] -= lr * corrected_m / (std::sqrt(corrected_v) + options.epsilon);
      }
    }
  }
  check_close("parameters", p, parameters, 2e-6);
  check_close("first moment", m, first, 2e-6);
  check_close("second moment", v, second, 2e-6);
  for (std::size_t i = 37; i < 48; ++i) {
    CHECK_EQ(parameters[i], before[i]);
    CHECK_EQ(first[i], 0.0F);
  }
}

void expect_invalid(DecoupledAdamWOptions options, const std::string& name) {
  try {
    validate(options);
  } catch (const Error& error) {
    CHECK_EQ(error.code(), std::string("OPTIMIZER_OPTIONS_INVALID"));
    CHECK(std::string(error.what()).find(name) != std::string::npos);
    return;
  }
  CHECK(false && "validate() took a wrong option");
}

} // namespace

// Parameters stay where they are (a rate and decay of nothing), only their copies are rounded.
void round_copies(const BackendUnderTest& under_test) {
  constexpr std::uint32_t kSteps = 4000;
  const auto backend = under_test.create(2);
  // Thirds of the way between two values of bf16, at several magnitudes; an exact one; infinity and NaN.
  Floats parameters = {1.0F + 0x1.0p-7F / 3, -1.0F - 0x1.0p-7F / 3, 1e-20F, 3.0F, 0.0F, INFINITY, NAN, -5.1F, 0.1F};
  const auto count = static_cast<std::int64_t>(parameters.size());
  const Floats gradients(parameters.size(), 0.0F), start = parameters;
  Floats first(parameters.size()), second(parameters.size());
  const std::vector<AdamWSegment> segments = {{0, 3, true}, {3, count - 3, false}};
  AdamWStep call = adamw_scalars(some_options(), 1, 0.0, 1.0);
  call.parameters = parameters.data();
  call.gradients = gradients.data();
  call.first_moment = first.data();
  call.second_moment = second.data();
  call.segments = segments;
  std::vector<std::uint16_t> copies(parameters.size());
  call.bf16_parameters = copies.data();
  call.stochastic_rounding = true;
  call.seed = 77;
  call.first_parameter = 1021; // not at a group's start
  std::vector<double> sums(parameters.size(), 0.0);
  std::vector<std::uint32_t> ups(parameters.size(), 0);
  for (std::uint32_t step = 1; step <= kSteps; ++step) {
    call.step = step;
    backend->adamw_step(call);
    for (std::size_t i = 0; i < copies.size(); ++i) {
      const auto bits = std::bit_cast<std::uint32_t>(start[i]);
      const bool is_up = copies[i] == (bits >> 16) + 1;
      CHECK(is_up || copies[i] == bits >> 16 || std::isnan(start[i]));
      ups[i] += is_up ? 1 : 0;
      sums[i] += static_cast<double>(std::bit_cast<float>(std::uint32_t{copies[i]} << 16));
    }
  }
  for (std::size_t i = 0; i < copies.size(); ++i) {
    if (std::isnan(start[i])) {
      CHECK(std::isnan(sums[i]));
      continue;
    }
    const double share = static_cast<double>(std::bit_cast<std::uint32_t>(start[i]) & 0xFFFFU) / 65536.0;
    const double found = static_cast<double>(ups[i]) / kSteps;
    // Five standard deviations of a fair draw.
    CHECK(std::fabs(found - share) <= 5 * std::sqrt(share * (1 - share) / kSteps));
    CHECK_EQ(parameters[i], start[i]);
  }
}

int main() {
  add_backend_cases("stochastic rounding goes up as often as its mean asks, and leaves what is exact alone",
                    round_copies);
  add_backend_cases("DecoupledAdamW follows its definition, exempt parameters and gaps included",
                    compare_with_definition);
  add_backend_cases("the sum of squares is exact to float, for any size", [](const BackendUnderTest& under_test) {
    for (const std::size_t count : {1U, 15U, 4097U, 100003U}) {
      const Floats values = random_floats(count, 3.0, 2);
      double expected = 0.0;
      for (const float value : values) {
        expected += static_cast<double>(value) * static_cast<double>(value);
      }
      double found = 1.0;
      under_test.create(3)->square_sum(values.data(), static_cast<std::int64_t>(count), &found);
      CHECK(std::fabs(found - 1.0 - expected) <= 1e-6 * expected);
    }
  });
  add_case("decay follows the schedule and not the rate's size", [] {
    DecoupledAdamWOptions options = some_options();
    CHECK(std::fabs(adamw_scalars(options, 1, options.learning_rate, 1).decay_factor - 0.9F) < 1e-7F);
    CHECK(std::fabs(adamw_scalars(options, 1, options.learning_rate / 2, 1).decay_factor - 0.95F) < 1e-7F);
    CHECK_EQ(adamw_scalars(options, 1, 0.0, 1).decay_factor, 1.0F);
    options.learning_rate = 0.0;
    CHECK(std::isfinite(adamw_scalars(options, 1, 0.0, 1).decay_factor));
  });
  add_case("clipping shrinks a norm above the limit to it and leaves a smaller one alone", [] {
    CHECK_EQ(clipping_scale(0.5, 1.0), 1.0);
    CHECK(std::fabs(clipping_scale(4.0, 1.0) - 0.25) < 1e-6);
    CHECK_EQ(clipping_scale(0.0, 1.0), 1.0);
  });
  add_case("patterns match as globs do", [] {
    CHECK(matches_pattern("transformer.h.0.ln_1.bias", "*.bias"));
    CHECK(matches_pattern("transformer.h.11.ln_1.weight", "*ln_?.*"));
    CHECK(matches_pattern("abcabd", "*abd"));
    CHECK(matches_pattern("a", "a**"));
    CHECK(matches_pattern("", "*"));
    CHECK(!matches_pattern("", "?"));
    CHECK(!matches_pattern("transformer.wte.weight", "*.bias"));
    CHECK(!matches_pattern("transformer.wte.weight", "wte.weight"));
    CHECK(!matches_pattern("a.bias.b", "*.bias"));
  });
  add_case("wrong options are named", [] {
    DecoupledAdamWOptions options = some_options();
    options.beta1 = 1.0;
    expect_invalid(options, "betas[0]");
    options = some_options();
    options.beta2 = -0.1;
    expect_invalid(options, "betas[1]");
    options = some_options();
    options.epsilon = NAN;
    expect_invalid(options, "eps");
    options = some_options();
    options.learning_rate = -1.0;
    expect_invalid(options, "lr");
    options = some_options();
    options.weight_decay = INFINITY;
    expect_invalid(options, "weight_decay");
  });
  return run_cases();
}
