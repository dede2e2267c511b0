// DecoupledAdamW as Composer defines it: the decay is decoupled from the learning rate's value but follows its
// schedule, p *= 1 − weight_decay · lr_t / lr_0 with lr_0 the configured rate; ε is added after the square root.
// `no_decay` patterns exempt tensors by name. This file decides (factors, segments); the backend does the one pass over
// memory.
#pragma once

#include "engine/ops/backend.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

struct DecoupledAdamWOptions {
  double learning_rate = 1e-3; // lr_0
  double beta1 = 0.9;
  double beta2 = 0.95;
  double epsilon = 1e-8;
  double weight_decay = 1e-5;
  std::vector<std::string> no_decay;
};

// Throws OPTIMIZER_OPTIONS_INVALID naming the option.
void validate(const DecoupledAdamWOptions& options);

// `*` stands for any run of characters, `?` for one; everything else for itself.
bool matches_pattern(std::string_view name, std::string_view pattern);

// The scalars of update number `step` (1-based) at rate `learning_rate`; pointers and segments are the caller's to
// fill.
AdamWStep adamw_scalars(const DecoupledAdamWOptions& options, std::int64_t step, double learning_rate,
                        double gradient_scale);

// What gradients are multiplied by so that their norm is at most `limit` (PyTorch's clip_grad_norm_: limit / (norm +
// 1e-6)).
double clipping_scale(double gradient_norm, double limit);

} // namespace assay
