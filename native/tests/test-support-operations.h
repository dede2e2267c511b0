// The driver of the operations table. A program of the table declares each operation once: how to run it, its
// double-precision reference, and its inputs. On every backend the driver compares values with the reference, gradients
// with finite differences of the reference, and two runs bit for bit. Odd sizes throughout: single rows, sizes that no
// vector, block or chunk divides.
#pragma once

#include "test-support-backends.h"
#include "test-support-reference.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace assay::test {

struct Input {
  std::string name;
  std::int64_t count;
  double deviation = 1.0;
};

struct OpCase {
  std::string title;
  std::vector<Input> inputs;
  std::function<Doubles(const std::vector<Doubles>&)> reference;
  std::function<Floats(Backend&, const std::vector<Floats>&)> forward;
  // Gradients of Σ output · upstream, by input; null where the operation has none.
  std::function<std::vector<Floats>(Backend&, const std::vector<Floats>&, const Floats& upstream)> backward;
  double tolerance = 2e-5;
  double smallest_scale = 1e-6; // outputs below it are compared absolutely: a loss is a difference of larger numbers
  WorkspaceRequest workspace = {};
};

// What an operation adds to a loss.
template <class Call> double loss_of(Backend& backend, void (Backend::*operation)(const Call&), Call call) {
  double loss = 0.0;
  call.loss = &loss;
  (backend.*operation)(call);
  return loss;
}

inline constexpr int kThreads = 3; // more than divides anything, and uneven

inline void run_case(const OpCase& op, const BackendUnderTest& under_test) {
  const auto backend = under_test.create(kThreads);
  WorkspaceRequest request = op.workspace;
  for (const bool training : {false, true}) {
    request.training = training;
    backend->reserve_workspace(backend->workspace_bytes(request));
  }
  std::vector<Floats> inputs;
  std::vector<Doubles> exact;
  std::uint32_t seed = 100;
  for (const Input& input : op.inputs) {
    inputs.push_back(random_floats(static_cast<std::size_t>(input.count), input.deviation, ++seed));
    exact.push_back(doubled(inputs.back()));
  }
  const Doubles expected = op.reference(exact);
  const Floats output = op.forward(*backend, inputs);
  check_close("output", expected, output, op.tolerance, op.smallest_scale);
  CHECK(op.forward(*backend, inputs) == output);
  if (!op.backward) {
    return;
  }

  const Floats upstream = random_floats(output.size(), 1.0, 7);
  const std::vector<Floats> gradients = op.backward(*backend, inputs, upstream);
  CHECK(op.backward(*backend, inputs, upstream) == gradients);
  CHECK_EQ(gradients.size(), inputs.size());
  const auto objective = [&] {
    const Doubles values = op.reference(exact);
    return std::inner_product(values.begin(), values.end(), upstream.begin(), 0.0);
  };
  std::mt19937 random(11);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CHECK_EQ(gradients[i].size(), inputs[i].size());
    // A sample of the elements where there are many: each costs two runs of the reference.
    std::vector<std::size_t> elements(inputs[i].size());
    std::iota(elements.begin(), elements.end(), std::size_t{0});
    std::shuffle(elements.begin(), elements.end(), random);
    elements.resize(std::min<std::size_t>(elements.size(), 24));
    double largest = 0.0;
    for (const float gradient : gradients[i]) {
      largest = std::max(largest, std::fabs(static_cast<double>(gradient)));
    }
    for (const std::size_t element : elements) {
      constexpr double kStep = 1e-5;
      const double before = exact[i][element];
      exact[i][element] = before + kStep;
      const double above = objective();
      exact[i][element] = before - kStep;
      const double below = objective();
      exact[i][element] = before;
      const double slope = (above - below) / (2 * kStep);
      if (!(std::fabs(slope - static_cast<double>(gradients[i][element])) <=
            5 * op.tolerance * std::max(largest, op.smallest_scale) + 1e-7)) {
        std::ostringstream message;
        message << "gradient of " << op.inputs[i].name << '[' << element << "]: finite difference " << slope
                << ", backward " << gradients[i][element];
        fail_check(__FILE__, __LINE__, message.str());
      }
    }
  }
}

// Gradient buffers that an operation adds to start at this, so that forgetting to add shows; it is taken off
// afterwards.
inline constexpr float kAlreadyThere = 0.5F;

inline Floats added_to(std::size_t count) {
  return Floats(count, kAlreadyThere);
}

inline Floats without_start(Floats values) {
  for (float& value : values) {
    value -= kAlreadyThere;
  }
  return values;
}

inline Dropout dropout_of(float probability) {
  return {probability, 0x123456789ABCDEFULL, 9, 4, 2};
}

inline std::vector<std::int32_t> some_tokens(std::int64_t count, std::int64_t vocab_size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab_size));
  }
  return tokens;
}

inline std::string sizes(std::initializer_list<std::int64_t> values) {
  std::string text;
  for (const std::int64_t value : values) {
    text += (text.empty() ? "" : "×") + std::to_string(value);
  }
  return text;
}

// The tables' values as they are stored, and what they stand for.
struct StoredWeight {
  DataType type;
  std::vector<std::uint16_t> bf16;
  std::vector<std::int8_t> int8;
  Floats scales;
  Floats stands_for;

  WeightView view(const Floats& f32) const {
    return type == DataType::kF32    ? WeightView(f32.data())
           : type == DataType::kBf16 ? WeightView(bf16.data(), type, nullptr)
                                     : WeightView(int8.data(), type, scales.data());
  }
};

// Random values of a narrow type; scales by row, or by column as linear layers have them.
inline StoredWeight random_weight(DataType type, std::int64_t rows, std::int64_t columns, bool scales_by_row) {
  StoredWeight weight{type, {}, {}, {}, random_floats(static_cast<std::size_t>(rows * columns), 1.0, 41)};
  weight.scales = random_floats(static_cast<std::size_t>(scales_by_row ? rows : columns), 0.01, 43);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    float& value = weight.stands_for[i];
    weight.bf16.push_back(static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16));
    weight.int8.push_back(static_cast<std::int8_t>(std::clamp(std::lround(40 * value), -127L, 127L)));
    value = type == DataType::kBf16
                ? std::bit_cast<float>(std::uint32_t{weight.bf16.back()} << 16)
                : static_cast<float>(weight.int8.back()) * weight.scales[scales_by_row ? i / columns : i % columns];
  }
  return weight;
}

inline std::string name_of(DataType type) {
  return type == DataType::kF32 ? "fp32" : type == DataType::kBf16 ? "bf16" : "int8";
}

inline std::string name_of(Activation activation) {
  constexpr const char* kNames[] = {"no activation", "gelu_new", "gelu", "tanh"};
  return kNames[static_cast<int>(activation)];
}

inline void add_operations(const std::vector<OpCase>& table) {
  for (const OpCase& op : table) {
    add_backend_cases(op.title, [op](const BackendUnderTest& under_test) { run_case(op, under_test); });
  }
}

} // namespace assay::test
