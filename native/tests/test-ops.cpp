// The operations on single values and rows, conversion between number formats, dropout masks, and memory.
#include "test-support-operations.h"

#include "engine/base/error.h"

using namespace assay;
using namespace assay::test;

namespace {

OpCase add_case_of(std::int64_t count) {
  OpCase op;
  op.title = "add " + std::to_string(count);
  op.inputs = {{"target", count}, {"values", count}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles sum = in[0];
    std::transform(sum.begin(), sum.end(), in[1].begin(), sum.begin(), std::plus<>());
    return sum;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats target = in[0];
    backend.add(target.data(), in[1].data(), count);
    return target;
  };
  op.tolerance = 1e-7;
  return op;
}

OpCase dropout_case(std::int64_t rows, std::int64_t rows_per_sample, std::int64_t channels, float probability) {
  const Dropout dropout = dropout_of(probability);
  const auto run = [=](Backend& backend, Floats values) {
    backend.dropout(values.data(), rows, channels, rows_per_sample, dropout);
    return values;
  };
  OpCase op;
  op.title = "dropout " + sizes({rows, channels}) + (probability > 0 ? "" : " of nothing");
  op.inputs = {{"values", rows * channels}};
  op.reference = [=](const std::vector<Doubles>& in) {
    return residual_reference(Doubles(in[0].size(), 0.0), in[0], rows_per_sample, channels, dropout);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) { return run(backend, in[0]); };
  op.backward = [=](Backend& backend, const std::vector<Floats>&, const Floats& upstream) {
    return std::vector<Floats>{run(backend, upstream)};
  };
  op.tolerance = 1e-6;
  return op;
}

// A block of columns of one matrix into, or onto, a block of columns of another.
OpCase copy_columns_case(std::int64_t rows, std::int64_t columns, bool add) {
  const std::int64_t source_stride = columns + 5, target_stride = columns + 2;
  OpCase op;
  op.title = std::string(add ? "add" : "copy") + " columns " + sizes({rows, columns});
  op.inputs = {{"target", rows * target_stride}, {"source", rows * source_stride}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles target = in[0];
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t c = 0; c < columns; ++c) {
        double& value = target[r * target_stride + 1 + c];
        value = in[1][r * source_stride + 3 + c] + (add ? value : 0.0);
      }
    }
    return target;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats target = in[0];
    backend.copy_columns(target.data() + 1, target_stride, in[1].data() + 3, source_stride, rows, columns, add);
    return target;
  };
  op.tolerance = 1e-7;
  return op;
}

// Some rows out of a matrix, and back onto one: each is the other's gradient.
std::vector<std::int32_t> distinct_rows(std::int64_t count, std::int64_t of) {
  std::vector<std::int32_t> rows(static_cast<std::size_t>(of));
  std::iota(rows.begin(), rows.end(), 0);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(31));
  rows.resize(static_cast<std::size_t>(count));
  return rows;
}

OpCase gather_case(std::int64_t count, std::int64_t of, std::int64_t channels) {
  const auto indices = distinct_rows(count, of);
  OpCase op;
  op.title = "gather " + std::to_string(count) + " rows of " + sizes({of, channels}) + ", and add them back";
  op.inputs = {{"source", of * channels}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles output;
    for (const std::int32_t row : indices) {
      output.insert(output.end(), in[0].begin() + row * channels, in[0].begin() + (row + 1) * channels);
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(count * channels), NAN);
    backend.gather_rows(in[0].data(), indices.data(), output.data(), count, channels);
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats gradient = added_to(in[0].size());
    backend.scatter_add_rows(upstream.data(), indices.data(), gradient.data(), count, channels);
    return std::vector<Floats>{without_start(gradient)};
  };
  op.tolerance = 1e-6;
  return op;
}

OpCase activation_case(Activation activation, std::int64_t count) {
  OpCase op;
  op.title = name_of(activation) + " of " + std::to_string(count);
  op.inputs = {{"input", count, 2.0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles output;
    for (const double value : in[0]) {
      output.push_back(activation_reference(activation, value));
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(in[0].size(), NAN), in_place = in[0];
    backend.activation_forward(output.data(), in[0].data(), count, activation);
    backend.activation_forward(in_place.data(), in_place.data(), count, activation);
    CHECK(in_place == output);
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats gradient = upstream;
    backend.activation_backward(gradient.data(), in[0].data(), count, activation);
    return std::vector<Floats>{gradient};
  };
  op.tolerance = 5e-7;
  return op;
}

std::vector<OpCase> table() {
  return {
      add_case_of(1),
      add_case_of(40003),
      dropout_case(1, 1, 3, 0.5F),
      dropout_case(12, 4, 37, 0.25F),
      dropout_case(3, 3, 17, 0.0F),
      copy_columns_case(1, 1, false),
      copy_columns_case(13, 37, false),
      copy_columns_case(300, 70, true),
      gather_case(1, 1, 1),
      gather_case(5, 9, 37),
      gather_case(250, 300, 100),
      activation_case(Activation::kNone, 19),
      activation_case(Activation::kGeluNew, 1003),
      activation_case(Activation::kGelu, 1),
      activation_case(Activation::kGelu, 1003),
      activation_case(Activation::kTanh, 1),
      activation_case(Activation::kTanh, 1003),
  };
}

void add_dropout_cases() {
  add_backend_cases(
      "dropout drops the share it is asked to, and scales what it keeps", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        const std::int64_t rows = 64, channels = 1000;
        const Floats zeros(static_cast<std::size_t>(rows * channels), 0.0F), ones(zeros.size(), 1.0F);
        const Floats weight(channels, 1.0F), bias(channels, 0.0F);
        for (const float probability : {0.1F, 0.5F, 0.9F}) {
          Floats sum(zeros.size()), output(zeros.size());
          backend->layer_norm_forward({zeros.data(), ones.data(), sum.data(), weight.data(), bias.data(), output.data(),
                                       nullptr, nullptr, rows, channels, 16, 1e-5F, dropout_of(probability)});
          const auto dropped =
              static_cast<double>(std::count(sum.begin(), sum.end(), 0.0F)) / static_cast<double>(sum.size());
          // Five standard deviations of a fair draw.
          CHECK(std::fabs(dropped - probability) <
                5 * std::sqrt(probability * (1 - probability) / static_cast<double>(sum.size())));
          for (const float value : sum) {
            CHECK(value == 0.0F || std::fabs(value - 1.0F / (1.0F - probability)) < 1e-5F);
          }
        }
      });
  add_backend_cases(
      "dropout's mask differs between samples, steps, sites and seeds, and not between microbatches",
      [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        const std::int64_t channels = 256;
        const Floats weight(channels, 1.0F), bias(channels, 0.0F);
        const auto mask = [&](const Dropout& dropout, std::int64_t samples) {
          const Floats zeros(static_cast<std::size_t>(samples * channels), 0.0F), ones(zeros.size(), 1.0F);
          Floats sum(zeros.size()), output(zeros.size());
          backend->layer_norm_forward({zeros.data(), ones.data(), sum.data(), weight.data(), bias.data(), output.data(),
                                       nullptr, nullptr, samples, channels, 1, 1e-5F, dropout});
          return sum;
        };
        const Dropout base = dropout_of(0.5F);
        const Floats both = mask(base, 2);
        const Floats first(both.begin(), both.begin() + channels), second(both.begin() + channels, both.end());
        CHECK(first != second);
        Dropout other = base;
        other.first_sample += 1;
        CHECK(mask(other, 1) == second);
        for (auto change : {+[](Dropout& d) { ++d.step; }, +[](Dropout& d) { ++d.site; }, +[](Dropout& d) { ++d.seed; },
                            +[](Dropout& d) { d.seed ^= std::uint64_t{1} << 40; }}) {
          Dropout changed = base;
          change(changed);
          CHECK(mask(changed, 1) != first);
        }
      });
}

void add_memory_cases() {
  add_case("memory that no machine has is refused with its size", [] {
    const auto backend = create_cpu_backend({1});
    try {
      backend->allocate(std::size_t{1} << 60);
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("OUT_OF_MEMORY"));
      CHECK(std::string(error.what()).find("1152921504606846976") != std::string::npos);
    }
  });
  add_case("a thread count below zero is refused", [] {
    try {
      create_cpu_backend({-1});
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("THREADS_INVALID"));
    }
  });
  add_case("an operation that finds its workspace too small says so instead of writing past it", [] {
    const auto backend = create_cpu_backend({2, GemmChoice::kPortable});
    const Floats hidden(4 * 8), weight(1000 * 8);
    const std::vector<std::int32_t> targets(4, 1);
    try {
      loss_of(*backend, &Backend::classifier_evaluate,
              Classifier{hidden.data(), weight.data(), targets.data(), 4, 8, 1000});
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("WORKSPACE_TOO_SMALL"));
    }
  });
}

void add_conversion_cases() {
  add_backend_cases(
      "bf16 is the nearest, to even where two are as near, and NaN stays NaN", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        std::vector<std::uint32_t> bits = {0x3F800000, 0x3F808000, 0x3F818000, 0x3F808001, 0x3F807FFF,
                                           0x80000000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7F800001,
                                           0xFFFFFFFF, 0x00000001, 0x00018000, 0x3FFF8000};
        const std::vector<std::uint16_t> expected = {0x3F80, 0x3F80, 0x3F82, 0x3F81, 0x3F80, 0x8000, 0x7F80,
                                                     0x7F80, 0xFF80, 0x7FC0, 0xFFFF, 0x0000, 0x0002, 0x4000};
        Floats source;
        for (const std::uint32_t each : bits) {
          source.push_back(std::bit_cast<float>(each));
        }
        std::vector<std::uint16_t> found(source.size());
        backend->convert(source.data(), {found.data(), DataType::kBf16}, static_cast<std::int64_t>(source.size()));
        CHECK(found == expected);
        source = random_floats(40001, 3.0, 5);
        found.assign(source.size(), 0);
        backend->convert(source.data(), {found.data(), DataType::kBf16}, 40001);
        Floats widened(source.size());
        backend->convert({found.data(), DataType::kBf16}, widened.data(), 40001);
        std::vector<std::uint16_t> copied_narrow(found.size());
        backend->convert({found.data(), DataType::kBf16}, {copied_narrow.data(), DataType::kBf16}, 40001);
        CHECK(copied_narrow == found);
        for (std::size_t i = 0; i < source.size(); ++i) {
          const float value = std::bit_cast<float>(std::uint32_t{found[i]} << 16);
          CHECK_EQ(widened[i], value);
          CHECK(std::fabs(value - source[i]) <= std::fabs(source[i]) * 0x1.0p-8F);
        }
        Floats copied(source.size());
        backend->convert(source.data(), copied.data(), 40001);
        CHECK(copied == source);
        try {
          backend->convert(source.data(), {found.data(), DataType::kInt8}, 1);
          CHECK(false);
        } catch (const Error& error) {
          CHECK_EQ(error.code(), std::string("NOT_SUPPORTED"));
        }
      });
}

// Doubles far out and near zero, each to the last few units of its own magnitude: a table entry compares with the
// largest.
void add_activation_cases() {
  add_backend_cases("activations are right in their tails and near zero", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(1);
    Floats input;
    for (float size = 1e-20F; size < 12.0F; size *= 1.05F) {
      input.push_back(size);
      input.push_back(-size);
    }
    for (const Activation activation : {Activation::kGelu, Activation::kTanh}) {
      Floats output(input.size());
      backend->activation_forward(output.data(), input.data(), static_cast<std::int64_t>(input.size()), activation);
      for (std::size_t i = 0; i < input.size(); ++i) {
        const double expected = activation_reference(activation, static_cast<double>(input[i]));
        CHECK(std::fabs(static_cast<double>(output[i]) - expected) <= 5e-6 * std::fabs(expected) + 1e-33);
      }
    }
    input = {INFINITY, -INFINITY, NAN, 100.0F, -100.0F};
    Floats output(input.size()), slope(input.size(), 1.0F);
    backend->activation_forward(output.data(), input.data(), 5, Activation::kTanh);
    backend->activation_backward(slope.data(), input.data(), 5, Activation::kTanh);
    CHECK(output[0] == 1.0F && output[1] == -1.0F && std::isnan(output[2]) && slope[0] == 0.0F && std::isnan(slope[2]));
    slope.assign(5, 1.0F);
    backend->activation_forward(output.data(), input.data(), 5, Activation::kGelu);
    backend->activation_backward(slope.data(), input.data(), 5, Activation::kGelu);
    CHECK(std::isnan(output[2]) && output[3] == 100.0F && output[4] == 0.0F && slope[3] == 1.0F && slope[4] == 0.0F);
  });
}

} // namespace

int main() {
  add_operations(table());
  add_dropout_cases();
  add_memory_cases();
  add_conversion_cases();
  add_activation_cases();
  return run_cases();
}
