// The backends that a test table runs on, and comparison of what they return.
#pragma once

#include "backends/cpu/cpu-backend.h"
#include "check.h"

#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace assay::test {

using Floats = std::vector<float>;

struct BackendUnderTest {
  std::string name;
  std::function<std::unique_ptr<Backend>(int threads)> create; // null: not on this machine
};

inline std::vector<BackendUnderTest> backends_under_test() {
  const auto cpu = [](GemmChoice gemm, KernelChoice kernels) {
    return [=](int threads) { return create_cpu_backend({threads, gemm, kernels}); };
  };
  std::vector<BackendUnderTest> all = {
      {"cpu, portable products", cpu(GemmChoice::kPortable, KernelChoice::kAutomatic)},
      {"cpu, portable products, AVX2", cpu(GemmChoice::kPortable, KernelChoice::kAvx2)},
      {"cpu, portable products, baseline", cpu(GemmChoice::kPortable, KernelChoice::kBaseline)},
      {"cpu, oneDNN", nullptr},
  };
  if (!find_onednn().path.empty()) {
    all.back().create = cpu(GemmChoice::kOneDnn, KernelChoice::kAutomatic);
  }
  return all;
}

// A case for each backend, or a visible skip.
inline void add_backend_cases(const std::string& title, const std::function<void(const BackendUnderTest&)>& body) {
  for (const BackendUnderTest& backend : backends_under_test()) {
    if (backend.create == nullptr) {
      add_case(title + " [" + backend.name + "] # SKIP libdnnl is not installed", [] {});
    } else {
      add_case(title + " [" + backend.name + "]", [=] { body(backend); });
    }
  }
}

inline Floats random_floats(std::size_t count, double deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, static_cast<float>(deviation));
  Floats values(count);
  for (float& value : values) {
    value = normal(random);
  }
  return values;
}

inline std::vector<double> doubled(const Floats& values) {
  return {values.begin(), values.end()};
}

// The largest difference must stay below `tolerance` of the largest expected magnitude (and of `floor`).
inline void check_close(const std::string& what, const std::vector<double>& expected, const Floats& found,
                        double tolerance, double floor = 1e-6) {
  CHECK_EQ(expected.size(), found.size());
  double largest = floor;
  for (const double value : expected) {
    largest = std::fmax(largest, std::fabs(value));
  }
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(std::fabs(expected[i] - static_cast<double>(found[i])) <= tolerance * largest)) {
      std::ostringstream message;
      message << what << '[' << i << "]: expected " << expected[i] << ", found " << found[i] << " (largest magnitude "
              << largest << ')';
      fail_check(__FILE__, __LINE__, message.str());
    }
  }
}

} // namespace assay::test
