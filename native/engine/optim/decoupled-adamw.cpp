#include "engine/optim/decoupled-adamw.h"

#include "engine/base/error.h"

#include <cmath>

namespace assay {

namespace {

void check_option(bool is_valid, const char* name, double value, const char* wanted) {
  if (!is_valid) {
    throw Error("OPTIMIZER_OPTIONS_INVALID", std::string("The optimizer option ") + name + " is " +
                                                 std::to_string(value) + "; it must be " + wanted + ".");
  }
}

} // namespace

void validate(const DecoupledAdamWOptions& options) {
  check_option(std::isfinite(options.learning_rate) && options.learning_rate >= 0, "lr", options.learning_rate,
               "a finite number of at least 0");
  check_option(options.beta1 >= 0 && options.beta1 < 1, "betas[0]", options.beta1, "at least 0 and below 1");
  check_option(options.beta2 >= 0 && options.beta2 < 1, "betas[1]", options.beta2, "at least 0 and below 1");
  check_option(std::isfinite(options.epsilon) && options.epsilon >= 0, "eps", options.epsilon,
               "a finite number of at least 0");
  check_option(std::isfinite(options.weight_decay) && options.weight_decay >= 0, "weight_decay", options.weight_decay,
               "a finite number of at least 0");
}

bool matches_pattern(std::string_view name, std::string_view pattern) {
  std::size_t at_name = 0;
  std::size_t at_pattern = 0;
  // Where the last star stood, and how much of the name it has swallowed so far.
  std::size_t star = std::string_view::npos;
  std::size_t swallowed_to = 0;
  while (at_name < name.size()) {
    if (at_pattern < pattern.size() && pattern[at_pattern] == '*') {
      star = at_pattern++;
      swallowed_to = at_name;
    } else if (at_pattern < pattern.size() && (pattern[at_pattern] == '?' || pattern[at_pattern] == name[at_name])) {
      ++at_name;
      ++at_pattern;
    } else if (star != std::string_view::npos) {
      at_pattern = star + 1;
      at_name = ++swallowed_to;
    } else {
      return false;
    }
  }
  while (at_pattern < pattern.size() && pattern[at_pattern] == '*') {
    ++at_pattern;
  }
  return at_pattern == pattern.size();
}

AdamWStep adamw_scalars(const DecoupledAdamWOptions& options, std::int64_t step, double learning_rate,
                        double gradient_scale) {
  const double schedule = options.learning_rate > 0 ? learning_rate / options.learning_rate : 1.0;
  const auto exponent = static_cast<double>(step);
  AdamWStep scalars{};
  scalars.learning_rate = static_cast<float>(learning_rate);
  scalars.beta1 = static_cast<float>(options.beta1);
  scalars.beta2 = static_cast<float>(options.beta2);
  scalars.epsilon = static_cast<float>(options.epsilon);
  scalars.decay_factor = static_cast<float>(1.0 - options.weight_decay * schedule);
  scalars.gradient_scale = static_cast<float>(gradient_scale);
  scalars.first_correction = static_cast<float>(1.0 - std::pow(options.beta1, exponent));
  scalars.second_correction = static_cast<float>(1.0 - std::pow(options.beta2, exponent));
  return scalars;
}

double clipping_scale(double gradient_norm, double limit) {
  const double scale = limit / (gradient_norm + 1e-6);
  return scale < 1.0 ? scale : 1.0;
}

} // namespace assay
