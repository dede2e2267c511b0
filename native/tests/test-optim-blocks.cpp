// Moments in 8-bit blocks: the number formats, and the optimizer's step with them on every backend; and the bf16 copy
// of the parameters that a step writes.
#include "test-support-backends.h"

#include "engine/base/error.h"
#include "engine/optim/decoupled-adamw.h"
#include "engine/optim/moment-blocks.h"
#include "engine/optim/moment-codes.h"

#include <algorithm>
#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

const char* name_of(Moment moment) {
  return moment == Moment::kFirst ? "first" : "second";
}

const MomentValues& values_of(Moment moment) {
  return moment == Moment::kFirst ? kFirstMomentValues : kSecondMomentValues;
}

struct Encoded {
  std::vector<std::uint8_t> codes;
  Floats scales;

  explicit Encoded(std::size_t count)
      : codes(count), scales(static_cast<std::size_t>(moment_block_count(static_cast<std::int64_t>(count)))) {}
  Encoded(Moment moment, const Floats& values) : Encoded(values.size()) {
    encode_moments(moment, values, codes.data(), scales.data());
  }
  Floats decoded(Moment moment) const {
    Floats values(codes.size());
    decode_moments(moment, codes.data(), scales.data(), values);
    return values;
  }
  bool operator==(const Encoded&) const = default;
};

// Magnitudes over many decades, as moments have them; second moments are not negative.
Floats some_moments(Moment moment, std::size_t count, std::uint32_t seed) {
  Floats values = random_floats(count, 1.0, seed);
  const Floats exponents = random_floats(count, 2.5, seed + 1);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] *= 1e-3F * std::exp(exponents[i]);
    values[i] = moment == Moment::kSecond ? values[i] * values[i] : values[i];
  }
  return values;
}

void add_format_cases(Moment moment) {
  const std::string which = std::string(" (") + name_of(moment) + " moment)";
  add_case("the 256 values are distinct, hold 0 and 1, and lie within [-1, 1]" + which, [=] {
    Floats sorted(std::begin(values_of(moment).values), std::end(values_of(moment).values));
    std::sort(sorted.begin(), sorted.end());
    CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
    CHECK(std::binary_search(sorted.begin(), sorted.end(), 0.0F));
    CHECK_EQ(sorted.back(), 1.0F);
    CHECK(sorted.front() > -1.0F);
    CHECK(moment == Moment::kFirst ? sorted.front() < -0.99F : sorted.front() == 0.0F);
    // The smallest step away from zero: a millionth of the largest value and less.
    CHECK(*std::upper_bound(sorted.begin(), sorted.end(), 0.0F) < 6e-7F);
  });
  add_case("encoding takes the nearest value, and keeps the largest of a block exactly" + which, [=] {
    const Floats values = some_moments(moment, 5000, 3);
    const Encoded encoded(moment, values);
    const Floats decoded = encoded.decoded(moment);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double scale = static_cast<double>(encoded.scales[i / kMomentBlock]);
      double best = INFINITY;
      for (const float value : values_of(moment).values) {
        best = std::min(best, std::fabs(static_cast<double>(value) * scale - static_cast<double>(values[i])));
      }
      const double error = std::fabs(static_cast<double>(decoded[i]) - static_cast<double>(values[i]));
      const bool is_floored = moment == Moment::kSecond && std::fabs(values[i]) < 4e-7 * std::fabs(scale);
      CHECK(error <= best + 2e-7 * std::fabs(scale) * (is_floored ? 10 : 1));
      // In the first decade the values are 0.9 / 64 or 0.9 / 128 of the scale apart.
      CHECK(error <= std::fabs(scale) * (moment == Moment::kFirst ? 0.00704 : 0.00352));
      // In the first three decades an error is a small part of the value itself.
      if (std::fabs(values[i]) > 1e-3 * std::fabs(scale)) {
        CHECK(error <= std::fabs(values[i]) * (moment == Moment::kFirst ? 0.25 : 0.13));
      }
      if (std::fabs(static_cast<double>(values[i])) == std::fabs(scale)) {
        CHECK_EQ(decoded[i], values[i]);
      }
      CHECK(moment == Moment::kFirst || decoded[i] > 0.0F);
    }
  });
  add_case("encoding what decoding gave finds the same codes" + which, [=] {
    for (const std::size_t count : {1U, 255U, 256U, 257U, 5000U}) {
      const Encoded encoded(moment, some_moments(moment, count, 5));
      CHECK(Encoded(moment, encoded.decoded(moment)) == encoded);
    }
    // Every code there is.
    Encoded all(256);
    std::iota(all.codes.begin(), all.codes.end(), std::uint8_t{0});
    all.scales[0] = 3.7e-5F;
    CHECK(Encoded(moment, all.decoded(moment)) == all);
  });
  add_case("blocks of zeros, of the smallest numbers and of no numbers are taken" + which, [=] {
    Floats values(1024, 0.0F);
    values[256 + 9] = 1e-40F;
    values[512] = 2e-37F;
    values[768 + 1] = NAN;
    values[768 + 2] = INFINITY;
    const Encoded encoded(moment, values);
    const Floats decoded = encoded.decoded(moment);
    CHECK(std::count(decoded.begin(), decoded.begin() + 512, 0.0F) == 512);
    CHECK_EQ(decoded[512], 2e-37F);
    CHECK(std::count(decoded.begin() + 513, decoded.begin() + 768, 0.0F) == 255);
  });
}

struct Problem {
  std::size_t count;
  Floats parameters, target, curvature;

  // Curvatures differ between blocks more than within them. The second half's gradients come rarely, as those of rare
  // words' embeddings do.
  explicit Problem(std::size_t size)
      : count(size), parameters(random_floats(size, 1.0, 1)), target(random_floats(size, 1.0, 2)), curvature(size) {
    const Floats exponents = random_floats(size, 0.5, 3);
    for (std::size_t i = 0; i < size; ++i) {
      curvature[i] = std::exp(exponents[i] + 3.0F * exponents[i / kMomentBlock]);
    }
  }
  double loss() const {
    double sum = 0.0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto distance = static_cast<double>(parameters[i] - target[i]);
      sum += 0.5 * static_cast<double>(curvature[i]) * distance * distance;
    }
    return sum / static_cast<double>(count);
  }
  Floats gradients(int step) const {
    Floats values = random_floats(count, 0.2, static_cast<std::uint32_t>(100 + step));
    for (std::size_t i = 0; i < count; ++i) {
      const bool is_seen = i < count / 2 || (i / 64 + static_cast<std::size_t>(step)) % 20 == 0;
      values[i] = is_seen ? curvature[i] * (parameters[i] - target[i] + values[i]) : 0.0F;
    }
    return values;
  }
};

DecoupledAdamWOptions some_options() {
  DecoupledAdamWOptions options;
  options.learning_rate = 2e-2;
  options.weight_decay = 1e-4;
  return options;
}

void compare_trajectories(const BackendUnderTest& under_test) {
  const auto backend = under_test.create(3);
  Problem exact(3000), blocks(3000);
  const double before = exact.loss();
  Floats first(exact.count), second(exact.count);
  Encoded first_blocks(exact.count), second_blocks(exact.count);
  const std::vector<AdamWSegment> segments = {{0, 1500, true}, {1536, 1464, false}};
  double largest_distance = 0.0;
  for (int step = 1; step <= 200; ++step) {
    AdamWStep call = adamw_scalars(some_options(), step, 2e-2, 1.0);
    call.segments = segments;
    Floats gradients = exact.gradients(step);
    call.parameters = exact.parameters.data();
    call.gradients = gradients.data();
    call.first_moment = first.data();
    call.second_moment = second.data();
    backend->adamw_step(call);
    gradients = blocks.gradients(step);
    call.parameters = blocks.parameters.data();
    call.gradients = gradients.data();
    call.first_moment = first_blocks.scales.data();
    call.second_moment = second_blocks.scales.data();
    call.first_codes = first_blocks.codes.data();
    call.second_codes = second_blocks.codes.data();
    backend->adamw_step(call);
    for (std::size_t i = 0; i < exact.count; ++i) {
      largest_distance =
          std::max(largest_distance, static_cast<double>(std::fabs(exact.parameters[i] - blocks.parameters[i])));
    }
  }
  // Both come down a long way and to the same place; no parameter is ever thrown off.
  CHECK(exact.loss() < 0.4 * before);
  CHECK(std::fabs(blocks.loss() - exact.loss()) < 0.002 * before);
  CHECK(largest_distance < 0.4);
}

// One step from the same 8-bit state: the parameters follow the definition to float, the new state to its own
// resolution.
void compare_step(const BackendUnderTest& under_test) {
  const auto backend = under_test.create(3);
  const std::size_t count = 1300;
  const std::vector<AdamWSegment> segments = {{0, 37, true}, {256, 1000, false}};
  Encoded first(Moment::kFirst, some_moments(Moment::kFirst, count, 3));
  Encoded second(Moment::kSecond, some_moments(Moment::kSecond, count, 3));
  const Encoded first_before = first, second_before = second;
  const Floats old_first = first.decoded(Moment::kFirst), old_second = second.decoded(Moment::kSecond);
  Floats parameters = random_floats(count, 1.0, 1);
  const Floats before = parameters, gradients = random_floats(count, 0.01, 2);
  std::vector<std::uint16_t> copy(count, 7);
  DecoupledAdamWOptions options = some_options();
  options.epsilon = 1e-4;
  AdamWStep call = adamw_scalars(options, 5, 1e-2, 0.5);
  call.segments = segments;
  call.parameters = parameters.data();
  call.gradients = gradients.data();
  call.first_moment = first.scales.data();
  call.second_moment = second.scales.data();
  call.first_codes = first.codes.data();
  call.second_codes = second.codes.data();
  call.bf16_parameters = copy.data();
  backend->adamw_step(call);
  auto p = doubled(before);
  Floats new_first = old_first, new_second = old_second;
  for (const AdamWSegment& segment : segments) {
    for (std::int64_t i = segment.offset; i < segment.offset + segment.count; ++i) {
      const double gradient = 0.5 * static_cast<double>(gradients[i]);
      const double m = options.beta1 * static_cast<double>(old_first[i]) + (1 - options.beta1) * gradient;
      const double v = options.beta2 * static_cast<double>(old_second[i]) + (1 - options.beta2) * gradient * gradient;
      p[i] *= segment.decays ? static_cast<double>(call.decay_factor) : 1.0;
      p[i] -= 1e-2 * m / (1 - std::pow(options.beta1, 5)) /
              (std::sqrt(v / (1 - std::pow(options.beta2, 5))) + options.epsilon);
      new_first[i] = static_cast<float>(m);
      new_second[i] = static_cast<float>(v);
    }
  }
  check_close("parameters", p, parameters, 2e-6);
  for (const AdamWSegment& segment : segments) {
    const auto run = [&](const Floats& all) {
      return Floats(all.begin() + segment.offset, all.begin() + segment.offset + segment.count);
    };
    for (const Moment moment : {Moment::kFirst, Moment::kSecond}) {
      const Floats exact = run(moment == Moment::kFirst ? new_first : new_second);
      const Floats found = run((moment == Moment::kFirst ? first : second).decoded(moment));
      const Encoded expected(moment, exact);
      const Floats nearest = expected.decoded(moment);
      int different = 0;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        // A value midway between two may go either way.
        const float scale = std::fabs(expected.scales[i / kMomentBlock]);
        CHECK(std::fabs(found[i] - exact[i]) <= std::fabs(nearest[i] - exact[i]) + 1e-6F * scale);
        different += std::fabs(found[i] - nearest[i]) > 1e-5F * std::fabs(nearest[i]) ? 1 : 0;
      }
      CHECK(different <= 3);
    }
  }
  // Between the segments and behind them nothing changes.
  for (std::size_t i = 0; i < count; ++i) {
    const bool is_inside = i < 37 || (i >= 256 && i < 1256);
    if (!is_inside) {
      CHECK(parameters[i] == before[i] && copy[i] == 7);
      CHECK(first.codes[i] == first_before.codes[i] && second.codes[i] == second_before.codes[i]);
    }
  }
}

void compare_copy(const BackendUnderTest& under_test) {
  const auto backend = under_test.create(2);
  Floats parameters = random_floats(1000, 1.0, 1), plain = parameters, first(1000), second(1000);
  const Floats gradients = random_floats(1000, 1.0, 2);
  std::vector<std::uint16_t> copy(1000, 7), expected(1000);
  const std::vector<AdamWSegment> segments = {{0, 301, true}, {304, 690, false}};
  AdamWStep call = adamw_scalars(some_options(), 1, 1e-2, 1.0);
  call.segments = segments;
  call.gradients = gradients.data();
  call.first_moment = first.data();
  call.second_moment = second.data();
  call.parameters = plain.data();
  backend->adamw_step(call);
  std::fill(first.begin(), first.end(), 0.0F);
  std::fill(second.begin(), second.end(), 0.0F);
  call.parameters = parameters.data();
  call.bf16_parameters = copy.data();
  backend->adamw_step(call);
  check_close("parameters with a copy", doubled(plain), parameters, 1e-7);
  backend->convert(parameters.data(), {expected.data(), DataType::kBf16}, 1000);
  for (std::size_t i = 0; i < copy.size(); ++i) {
    const bool is_inside = i < 301 || (i >= 304 && i < 994);
    CHECK_EQ(copy[i], is_inside ? expected[i] : 7);
  }
}

} // namespace

int main() {
  add_format_cases(Moment::kFirst);
  add_format_cases(Moment::kSecond);
  add_backend_cases("a step with moments in blocks follows the definition, gaps and short blocks included",
                    compare_step);
  add_backend_cases("200 steps with moments in blocks stay beside those in floats, rare gradients included",
                    compare_trajectories);
  add_backend_cases("blocks give the same bits on any number of threads", [](const BackendUnderTest& under_test) {
    const auto run = [&](int threads) {
      Problem problem(3000);
      Encoded first(problem.count), second(problem.count);
      const auto backend = under_test.create(threads);
      const std::vector<AdamWSegment> segments = {{0, 2900, true}};
      for (int step = 1; step <= 3; ++step) {
        const Floats gradients = problem.gradients(step);
        AdamWStep call = adamw_scalars(some_options(), step, 2e-2, 1.0);
        call.segments = segments;
        call.parameters = problem.parameters.data();
        call.gradients = gradients.data();
        call.first_moment = first.scales.data();
        call.second_moment = second.scales.data();
        call.first_codes = first.codes.data();
        call.second_codes = second.codes.data();
        backend->adamw_step(call);
      }
      return std::pair(problem.parameters, first.codes);
    };
    const auto alone = run(1);
    CHECK(run(3) == alone);
    CHECK(run(16) == alone);
  });
  add_backend_cases("a step writes its parameters in bf16 too", compare_copy);
  add_backend_cases("blocks that two segments would share are refused", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(1);
    Floats parameters(512), gradients(512);
    Encoded first(512), second(512);
    const std::vector<AdamWSegment> segments = {{0, 100, true}, {128, 300, true}};
    AdamWStep call = adamw_scalars(some_options(), 1, 1e-2, 1.0);
    call.segments = segments;
    call.parameters = parameters.data();
    call.gradients = gradients.data();
    call.first_moment = first.scales.data();
    call.second_moment = second.scales.data();
    call.first_codes = first.codes.data();
    call.second_codes = second.codes.data();
    try {
      backend->adamw_step(call);
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("BAD_ARGUMENT"));
    }
  });
  return run_cases();
}
