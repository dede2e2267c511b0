// What tests of CUDA kernels share: activations of both types on the device, a context with a workspace, the CPU
// backend to compare with, and the run in another order of threads that must give the same bits.
#pragma once

#include "backends/cpu/cpu-backend.h"
#include "backends/cuda/kernels.h"
#if defined(ASSAY_CUDA_EMULATION)
#include "backends/cuda/emulation/block.h"
#endif
#include "check.h"
#include "cuda-memory.h"
#include "test-support-backends.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace assay::test {

using Bytes = std::vector<std::uint8_t>;

inline std::uint16_t bf16_bits(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return static_cast<std::uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16);
}
inline float bf16_value(std::uint16_t bits) {
  return std::bit_cast<float>(std::uint32_t{bits} << 16);
}

// The values as they are after being stored in `type`.
inline Floats stored_as(Floats values, DataType type) {
  for (float& value : values) {
    value = type == DataType::kBf16 ? bf16_value(bf16_bits(value)) : value;
  }
  return values;
}

// Activations on the device. `shift` values too many before them put them out of alignment.
class DeviceValues {
public:
  DeviceValues(const Floats& values, DataType type, std::size_t shift = 0)
      : type_(type), shift_(shift), count_(values.size()), memory_(encoded(values, type, shift)) {}

  Values values() const { return Values(memory_.data() + shift_ * size_of(type_), type_); }
  operator Values() const { return values(); }
  operator ConstValues() const { return values(); }
  Bytes bytes() const { return memory_.to_host(); }
  Floats floats() const {
    const Bytes all = bytes();
    Floats result(count_);
    for (std::size_t i = 0; i < count_; ++i) {
      const std::uint8_t* source = all.data() + (shift_ + i) * size_of(type_);
      if (type_ == DataType::kBf16) {
        std::uint16_t bits = 0;
        std::memcpy(&bits, source, sizeof bits);
        result[i] = bf16_value(bits);
      } else {
        std::memcpy(&result[i], source, sizeof(float));
      }
    }
    return result;
  }

private:
  static Bytes encoded(const Floats& values, DataType type, std::size_t shift) {
    Bytes bytes(std::max<std::size_t>((shift + values.size()) * size_of(type), 1));
    for (std::size_t i = 0; i < values.size(); ++i) {
      std::uint8_t* target = bytes.data() + (shift + i) * size_of(type);
      const std::uint16_t half = bf16_bits(values[i]);
      type == DataType::kBf16 ? std::memcpy(target, &half, sizeof half)
                              : std::memcpy(target, &values[i], sizeof(float));
    }
    return bytes;
  }

  DataType type_;
  std::size_t shift_;
  std::size_t count_;
  DeviceArray<std::uint8_t> memory_;
};

// A context whose workspace holds exactly what was asked for, filled with bytes that are no numbers.
class TestContext {
public:
  explicit TestContext(std::size_t workspace_bytes = 0)
      : workspace_(Bytes(std::max<std::size_t>(workspace_bytes, 1), 0xFF)) {
    context_.multiprocessors = kMultiprocessors;
    context_.compute_capability = 80;
    context_.workspace = workspace_.data();
    context_.workspace_bytes = workspace_bytes;
  }
  operator const KernelContext&() const { return context_; }
  static constexpr int kMultiprocessors = 3;

private:
  DeviceArray<std::uint8_t> workspace_;
  KernelContext context_;
};

// Runs twice, the second time with the threads in another order, and wants the same bits.
template <class Body> auto run_twice(const Body& body) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::set_order(0);
#endif
  auto first = body();
#if defined(ASSAY_CUDA_EMULATION)
  emulation::set_order(0x5EED);
#endif
  const auto second = body();
#if defined(ASSAY_CUDA_EMULATION)
  emulation::set_order(0);
#endif
  CHECK(first == second);
  return first;
}

// What a result of this type may be off by: its own rounding, and a little of the largest value for the order of sums.
inline void check_values(const std::string& what, const Floats& expected, const Floats& found, DataType type,
                         double of_largest = 2e-5) {
  CHECK_EQ(expected.size(), found.size());
  double largest = 1e-6;
  for (const float value : expected) {
    largest = std::fmax(largest, std::fabs(static_cast<double>(value)));
  }
  const double of_value = type == DataType::kBf16 ? 0x1.0p-7 : 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double want = static_cast<double>(expected[i]);
    if (!(std::fabs(want - static_cast<double>(found[i])) <= of_largest * largest + of_value * std::fabs(want))) {
      std::ostringstream message;
      message << what << '[' << i << "]: expected " << want << ", found " << found[i] << " (largest magnitude "
              << largest << ')';
      fail_check(__FILE__, __LINE__, message.str());
    }
  }
}

inline std::unique_ptr<Backend> reference_backend(const WorkspaceRequest& request = {}) {
  auto backend = create_cpu_backend({2, GemmChoice::kPortable, KernelChoice::kAutomatic});
  backend->reserve_workspace(backend->workspace_bytes(request));
  return backend;
}

inline const char* name_of_type(DataType type) {
  return type == DataType::kBf16 ? "bf16" : type == DataType::kF32 ? "fp32" : "int8";
}

// A case for activations of each type.
inline void add_typed_cases(const std::string& title, const std::function<void(DataType)>& body) {
  for (const DataType type : {DataType::kF32, DataType::kBf16}) {
    add_case(title + " [" + name_of_type(type) + "]", [=] { body(type); });
  }
}

inline std::vector<std::int32_t> some_numbers(std::size_t count, std::int64_t below, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> numbers(count);
  for (std::int32_t& number : numbers) {
    number = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(below));
  }
  return numbers;
}

// A weight of any type on the device and on the host.
struct TestWeight {
  DataType type;
  Floats f32;
  std::vector<std::uint16_t> bf16;
  std::vector<std::int8_t> int8;
  Floats scales;
  Floats stands_for;
  std::unique_ptr<DeviceArray<std::uint8_t>> device;
  std::unique_ptr<DeviceArray<float>> device_scales;

  TestWeight(DataType weight_type, std::int64_t rows, std::int64_t columns, bool scales_by_row)
      : type(weight_type), f32(random_floats(static_cast<std::size_t>(rows * columns), 0.5, 41)),
        scales(random_floats(static_cast<std::size_t>(scales_by_row ? rows : columns), 0.01, 43)), stands_for(f32) {
    for (std::int64_t i = 0; i < rows * columns; ++i) {
      float& value = stands_for[static_cast<std::size_t>(i)];
      bf16.push_back(bf16_bits(value));
      int8.push_back(static_cast<std::int8_t>(std::fmax(-128.0F, std::fmin(127.0F, std::round(100 * value)))));
      value = type == DataType::kF32 ? value
              : type == DataType::kBf16
                  ? bf16_value(bf16.back())
                  : static_cast<float>(int8.back()) *
                        scales[static_cast<std::size_t>(scales_by_row ? i / columns : i % columns)];
    }
    const void* source = host().values;
    Bytes bytes(f32.size() * size_of(type));
    std::memcpy(bytes.data(), source, bytes.size());
    device = std::make_unique<DeviceArray<std::uint8_t>>(bytes);
    device_scales = std::make_unique<DeviceArray<float>>(scales);
  }
  WeightView host() const {
    return type == DataType::kF32    ? WeightView(f32.data())
           : type == DataType::kBf16 ? WeightView(bf16.data(), type, nullptr)
                                     : WeightView(int8.data(), type, scales.data());
  }
  WeightView view() const {
    return WeightView(device->data(), type, type == DataType::kInt8 ? device_scales->data() : nullptr);
  }
};

} // namespace assay::test
