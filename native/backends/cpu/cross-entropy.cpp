// Cross-entropy of the small heads. Their logits are few (rows times classes, strided where a head's columns mean
// different things), so plain arithmetic in double serves; the sum over rows is taken in order.
#include "backends/cpu/cpu-backend-class.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

// Turns a row of logits into its loss and, where wanted, its gradient: with p the softmax over the `classes` that
// count, y the target, ε the smoothing and w the class weights,
//   loss = (1 − ε) w_y nll_y + ε/classes Σ_k w_k nll_k,
//   d loss / d logit_k = p_k ((1 − ε) w_y + ε/classes Σ_j w_j) − ε/classes w_k − (1 − ε) w_y [k = y].
double row_loss(const CrossEntropy& call, std::int64_t row, std::int64_t classes) {
  const float* logits = call.logits.f32() + row * call.row_stride;
  const std::int64_t target = call.targets[row];
  const auto logit = [&](std::int64_t k) { return static_cast<double>(logits[k * call.class_stride]); };
  const auto weight = [&](std::int64_t k) {
    return call.class_weights != nullptr ? static_cast<double>(call.class_weights[k]) : 1.0;
  };
  double highest = logit(0);
  for (std::int64_t k = 1; k < classes; ++k) {
    highest = std::max(highest, logit(k));
  }
  double sum = 0.0;
  for (std::int64_t k = 0; k < classes; ++k) {
    sum += std::exp(logit(k) - highest);
  }
  const double log_sum_exp = highest + std::log(sum);
  const double share = static_cast<double>(call.label_smoothing) / static_cast<double>(classes);
  const double target_weight = (1.0 - static_cast<double>(call.label_smoothing)) * weight(target);
  double loss = target_weight * (log_sum_exp - logit(target));
  double factor = target_weight;
  for (std::int64_t k = 0; k < classes && share > 0.0; ++k) {
    loss += share * weight(k) * (log_sum_exp - logit(k));
    factor += share * weight(k);
  }
  if (call.d_logits != nullptr) {
    float* gradient = call.d_logits.f32() + row * call.row_stride;
    for (std::int64_t k = 0; k < classes; ++k) {
      const double slope =
          factor * std::exp(logit(k) - log_sum_exp) - share * weight(k) - (k == target ? target_weight : 0.0);
      gradient[k * call.class_stride] = static_cast<float>(slope * static_cast<double>(call.gradient_scale));
    }
  }
  return loss;
}

} // namespace

// A double a row.
std::int64_t cross_entropy_workspace_count(std::int64_t rows) {
  return 2 * rows;
}

void CpuBackend::cross_entropy(const CrossEntropy& call) {
  float* const d_logits = floats(call.d_logits);
  floats(call.logits);
  auto* losses = reinterpret_cast<double*>(operation_workspace(cross_entropy_workspace_count(call.rows)));
  parallel(4 * call.rows * call.classes, [&](int part) {
    const Range rows = share(call.rows, threads_, part);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const std::int64_t classes =
          call.valid != nullptr ? std::clamp<std::int64_t>(call.valid[row], 0, call.classes) : call.classes;
      // A target among the classes that do not count is not scored either.
      const bool is_scored = call.targets[row] >= 0 && call.targets[row] < classes;
      losses[row] = is_scored ? row_loss(call, row, classes) : 0.0;
      if (d_logits != nullptr) {
        for (std::int64_t k = is_scored ? classes : 0; k < call.classes; ++k) {
          d_logits[row * call.row_stride + k * call.class_stride] = 0.0F;
        }
      }
    }
  });
  double total = 0.0;
  for (std::int64_t row = 0; row < call.rows; ++row) {
    total += losses[row];
  }
  *call.loss += total;
}

} // namespace assay
