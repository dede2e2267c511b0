// Matrix products of every kind against sums in double: fp32, operands rounded to bf16, bf16 and int8 weights; every
// transposition, sizes that no block divides and sizes beyond every block, and the few rows of decoding.
#include "test-support-backends.h"

#include "engine/ops/buffer.h"

#include <algorithm>
#include <cstring>

using namespace assay;
using namespace assay::test;

namespace {

std::uint16_t bf16_bits(float value) {
  std::uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}

float bf16_value(std::uint16_t half) {
  const std::uint32_t bits = static_cast<std::uint32_t>(half) << 16;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

float rounded(float value) {
  return bf16_value(bf16_bits(value));
}

// A weight in one of the storage formats, and the values it stands for.
struct StoredWeight {
  std::vector<std::byte> bytes;
  Floats scales;
  Floats values;
  DataType type;
  WeightView view() const { return {bytes.data(), type, scales.empty() ? nullptr : scales.data()}; }
};

StoredWeight stored_weight(std::int64_t rows, std::int64_t columns, DataType type, bool scales_by_row) {
  StoredWeight weight;
  weight.type = type;
  const auto count = static_cast<std::size_t>(rows * columns);
  weight.bytes.resize(count * size_of(type));
  weight.values = random_floats(count, 0.5, 21);
  if (type == DataType::kF32) {
    std::memcpy(weight.bytes.data(), weight.values.data(), weight.bytes.size());
  } else if (type == DataType::kBf16) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint16_t bits = bf16_bits(weight.values[i]);
      std::memcpy(weight.bytes.data() + 2 * i, &bits, 2);
      weight.values[i] = bf16_value(bits);
    }
  } else {
    weight.scales = random_floats(static_cast<std::size_t>(scales_by_row ? rows : columns), 0.02, 22);
    std::mt19937 random(23);
    for (std::size_t i = 0; i < count; ++i) {
      const auto code = static_cast<std::int8_t>(static_cast<int>(random() % 255) - 127);
      std::memcpy(weight.bytes.data() + i, &code, 1);
      const std::size_t channel =
          scales_by_row ? i / static_cast<std::size_t>(columns) : i % static_cast<std::size_t>(columns);
      weight.values[i] = static_cast<float>(code) * weight.scales[channel];
    }
  }
  return weight;
}

// One element of a product in double, and the sum of magnitudes that bounds what fp32 sums may differ by.
struct Exact {
  double value = 0, magnitude = 0;
};

template <class Left, class Right> Exact dot_of(std::int64_t k, const Left& left, const Right& right) {
  Exact exact;
  for (std::int64_t i = 0; i < k; ++i) {
    const double product = static_cast<double>(left(i)) * static_cast<double>(right(i));
    exact.value += product;
    exact.magnitude += std::fabs(product);
  }
  return exact;
}

void check_element(const std::string& what, std::int64_t row, std::int64_t column, double expected, double magnitude,
                   float found) {
  if (!(std::fabs(expected - static_cast<double>(found)) <= 2e-6 * magnitude + 1e-7)) {
    std::ostringstream message;
    message << what << " (" << row << ", " << column << "): expected " << expected << ", found " << found;
    fail_check(__FILE__, __LINE__, message.str());
  }
}

// All elements of small results, a sample of large ones; corners always.
template <class Body> void for_elements(std::int64_t rows, std::int64_t columns, const Body& body) {
  if (rows * columns <= 4096) {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      body(i / columns, i % columns);
    }
    return;
  }
  std::mt19937_64 random(31);
  for (int i = 0; i < 600; ++i) {
    body(static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(rows)),
         static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(columns)));
  }
  for (const std::int64_t row : {std::int64_t{0}, rows - 1}) {
    body(row, 0);
    body(row, columns - 1);
  }
}

std::unique_ptr<Backend> ready_backend(const BackendUnderTest& under_test, int threads) {
  auto backend = under_test.create(threads);
  WorkspaceRequest request;
  request.rows = request.seq_len = request.channels = request.inner_channels = request.heads = request.vocab_size = 1;
  backend->reserve_workspace(backend->workspace_bytes(request));
  return backend;
}

struct Size {
  std::int64_t rows, in, out;
};

// Forward with bias, both gradients, and output += scale · product.
void check_products(const BackendUnderTest& under_test, const Size& s, bool bf16) {
  const auto backend = ready_backend(under_test, 2);
  const auto stored = [&](float value) { return bf16 ? rounded(value) : value; };
  const Floats input = random_floats(static_cast<std::size_t>(s.rows * s.in), 1.0, 1);
  const Floats weight = random_floats(static_cast<std::size_t>(s.in * s.out), 1.0, 2);
  const Floats bias = random_floats(static_cast<std::size_t>(s.out), 1.0, 3);
  const Floats d_output = random_floats(static_cast<std::size_t>(s.rows * s.out), 1.0, 4);
  const auto at = [](const Floats& values, std::int64_t index) { return values[static_cast<std::size_t>(index)]; };

  LinearForward forward = {};
  Floats output(d_output.size(), NAN);
  forward.input = input.data();
  forward.weight = weight.data();
  forward.bias = bias.data();
  forward.output = output.data();
  forward.rows = s.rows;
  forward.in = s.in;
  forward.out = s.out;
  forward.bf16 = bf16;
  backend->linear_forward(forward);
  Floats added = d_output;
  forward.bias = nullptr;
  forward.output = added.data();
  forward.add = true;
  forward.scale = -0.5F;
  backend->linear_forward(forward);
  for_elements(s.rows, s.out, [&](std::int64_t row, std::int64_t column) {
    const Exact exact = dot_of(
        s.in, [&](std::int64_t i) { return stored(at(input, row * s.in + i)); },
        [&](std::int64_t i) { return stored(at(weight, i * s.out + column)); });
    const double shift = static_cast<double>(at(bias, column));
    const double before = static_cast<double>(at(d_output, row * s.out + column));
    check_element("output", row, column, exact.value + shift, exact.magnitude + std::fabs(shift),
                  at(output, row * s.out + column));
    check_element("added output", row, column, before - 0.5 * exact.value, exact.magnitude + std::fabs(before),
                  at(added, row * s.out + column));
  });

  Floats d_input(input.size(), NAN);
  Floats d_weight = weight;
  LinearBackward backward = {};
  backward.d_output = d_output.data();
  backward.input = input.data();
  backward.weight = weight.data();
  backward.d_input = d_input.data();
  backward.d_weight = d_weight.data();
  backward.rows = s.rows;
  backward.in = s.in;
  backward.out = s.out;
  backward.scale = 2.0F;
  backward.bf16 = bf16;
  backend->linear_backward(backward);
  for_elements(s.rows, s.in, [&](std::int64_t row, std::int64_t column) {
    const Exact exact = dot_of(
        s.out, [&](std::int64_t i) { return stored(at(d_output, row * s.out + i)); },
        [&](std::int64_t i) { return stored(at(weight, column * s.out + i)); });
    check_element("d_input", row, column, 2 * exact.value, 2 * exact.magnitude, at(d_input, row * s.in + column));
  });
  for_elements(s.in, s.out, [&](std::int64_t row, std::int64_t column) {
    const Exact exact = dot_of(
        s.rows, [&](std::int64_t i) { return stored(at(input, i * s.in + row)); },
        [&](std::int64_t i) { return stored(at(d_output, i * s.out + column)); });
    const double before = static_cast<double>(at(weight, row * s.out + column));
    check_element("d_weight", row, column, before + 2 * exact.value, 2 * exact.magnitude + std::fabs(before),
                  at(d_weight, row * s.out + column));
  });
}

// A linear weight (in, out) and an embedding (out, in). With more than a few rows operands are rounded to bf16.
void check_stored(const BackendUnderTest& under_test, const Size& s, DataType type) {
  const auto backend = ready_backend(under_test, 2);
  const Floats input = random_floats(static_cast<std::size_t>(s.rows * s.in), 1.0, 5);
  const Floats bias = random_floats(static_cast<std::size_t>(s.out), 1.0, 6);
  const bool is_rounded = s.rows > 32 && type != DataType::kF32;
  const auto seen = [&](float value) { return is_rounded ? rounded(value) : value; };
  for (const bool is_embedding : {false, true}) {
    const StoredWeight weight =
        is_embedding ? stored_weight(s.out, s.in, type, true) : stored_weight(s.in, s.out, type, false);
    Floats output(static_cast<std::size_t>(s.rows * s.out), NAN);
    const auto run = [&](std::int64_t rows, float* target) {
      if (is_embedding) {
        backend->logits(input.data(), weight.view(), bias.data(), target, rows, s.in, s.out, false);
        return;
      }
      LinearForward forward = {};
      forward.input = input.data();
      forward.weight = weight.view();
      forward.bias = bias.data();
      forward.output = target;
      forward.rows = rows;
      forward.in = s.in;
      forward.out = s.out;
      backend->linear_forward(forward);
    };
    run(s.rows, output.data());
    for_elements(s.rows, s.out, [&](std::int64_t row, std::int64_t column) {
      const Exact exact = dot_of(
          s.in, [&](std::int64_t i) { return seen(input[static_cast<std::size_t>(row * s.in + i)]); },
          [&](std::int64_t i) {
            return seen(weight.values[static_cast<std::size_t>(is_embedding ? column * s.in + i : i * s.out + column)]);
          });
      const double shift = static_cast<double>(bias[static_cast<std::size_t>(column)]);
      check_element(is_embedding ? "logits" : "linear", row, column, exact.value + shift,
                    exact.magnitude + std::fabs(shift), output[static_cast<std::size_t>(row * s.out + column)]);
    });
    if (s.rows <= 16) {
      Floats alone(static_cast<std::size_t>(s.out), NAN);
      run(1, alone.data());
      CHECK(std::equal(alone.begin(), alone.end(), output.begin()));
    }
  }
}

const bool kRegistered = [] {
  for (const Size& s : {Size{1, 1, 1}, Size{3, 5, 7}, Size{13, 31, 33}, Size{29, 17, 47}, Size{12, 32, 64}}) {
    for (const bool bf16 : {false, true}) {
      add_backend_cases(std::string("small products are exact: ") + (bf16 ? "bf16 " : "fp32 ") +
                            std::to_string(s.rows) + "×" + std::to_string(s.in) + "×" + std::to_string(s.out),
                        [=](const BackendUnderTest& backend) { check_products(backend, s, bf16); });
    }
  }
  for (const Size& s : {Size{401, 811, 97}, Size{65, 130, 1667}}) {
    for (const bool bf16 : {false, true}) {
      add_backend_cases(std::string("products beyond every block are exact: ") + (bf16 ? "bf16 " : "fp32 ") +
                            std::to_string(s.rows) + "×" + std::to_string(s.in) + "×" + std::to_string(s.out),
                        [=](const BackendUnderTest& backend) { check_products(backend, s, bf16); });
    }
  }
  for (const std::int64_t rows : {1, 2, 3, 5, 8, 15, 16, 17, 32, 33, 40}) {
    for (const DataType type : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
      const char* name = type == DataType::kF32 ? "fp32" : type == DataType::kBf16 ? "bf16" : "int8";
      add_backend_cases(std::to_string(rows) + " rows meet " + name + " weights as each row alone does",
                        [=](const BackendUnderTest& backend) {
                          check_stored(backend, {rows, 45, 131}, type);
                          check_stored(backend, {rows, 64, 4130}, type);
                        });
    }
  }
  add_backend_cases("operands are rounded to the nearest bf16, ties to even", [](const BackendUnderTest& under_test) {
    // With one term a product of rounded operands is exact in fp32.
    const auto backend = ready_backend(under_test, 1);
    const Floats input = {1.0F,          1.00390625F, 1.01171875F, -1.00390625F, 0x1.017p0F, 0x1.018p0F, 0x1.019p0F,
                          0x1.FFFFFEp0F, 3.3e38F,     -0.1F,       0x1.0p-100F,  0.0F,       12345.678F, -7e-5F};
    const Floats weight = {1.0F, 0x1.03p0F, -0x1.05p0F};
    Floats output(input.size() * weight.size());
    LinearForward forward = {};
    forward.input = input.data();
    forward.weight = weight.data();
    forward.output = output.data();
    forward.rows = static_cast<std::int64_t>(input.size());
    forward.in = 1;
    forward.out = 3;
    forward.bf16 = true;
    backend->linear_forward(forward);
    for (std::size_t row = 0; row < input.size(); ++row) {
      for (std::size_t column = 0; column < 3; ++column) {
        CHECK_EQ(output[row * 3 + column], rounded(input[row]) * rounded(weight[column]));
      }
    }
  });
  add_backend_cases("equal products give equal bits", [](const BackendUnderTest& under_test) {
    const auto backend = ready_backend(under_test, 3);
    const Floats input = random_floats(150 * 210, 1.0, 8);
    const Floats weight = random_floats(210 * 330, 1.0, 9);
    for (const bool bf16 : {false, true}) {
      Floats outputs[2];
      for (Floats& output : outputs) {
        output.resize(150 * 330);
        LinearForward forward = {};
        forward.input = input.data();
        forward.weight = weight.data();
        forward.output = output.data();
        forward.rows = 150;
        forward.in = 210;
        forward.out = 330;
        forward.activation = Activation::kGeluNew;
        forward.bf16 = bf16;
        backend->linear_forward(forward);
      }
      CHECK(outputs[0] == outputs[1]);
    }
  });
  return true;
}();

} // namespace

int main() {
  return kRegistered ? run_cases() : 1;
}
