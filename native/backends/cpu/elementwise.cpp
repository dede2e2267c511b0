// Embedding, layer norm with its residual and dropout, and the optimizer's passes: one thread a run of rows (or of
// columns, where rows would collide), each limited by memory.
#include "backends/cpu/cpu-backend-class.h"

#include "engine/base/error.h"
#include "engine/optim/stochastic-rounding.h"

#include <cstring>
#include <string>

namespace assay {

void CpuBackend::embedding_forward(const EmbeddingForward& call) {
  float* const outputs = floats(call.output);
  const std::int64_t channels = call.channels;
  parallel(call.batch * call.seq_len * channels, [&](int part) {
    const Range rows = share(call.batch * call.seq_len, threads_, part);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const std::int64_t position = row % call.seq_len;
      float* output = outputs + row * channels;
      const std::int64_t place = call.positions != nullptr ? call.positions[row] : call.first_position + position;
      const float* place_row = call.position_weight + place * channels;
      const std::int64_t at = call.tokens[row] * channels;
      if (call.token_weight.type == DataType::kF32) {
        kernels_.add(output, call.token_weight.f32() + at, place_row, channels);
      } else {
        if (call.token_weight.type == DataType::kBf16) {
          kernels_.widen_bf16(output, call.token_weight.bf16() + at, channels);
        } else {
          kernels_.widen_int8(output, call.token_weight.int8() + at, call.token_weight.scales[call.tokens[row]],
                              channels);
        }
        kernels_.add_to(output, place_row, channels);
      }
      if (call.token_types != nullptr) {
        kernels_.add_to(output, call.token_type_weight + call.token_types[row] * channels, channels);
      }
      if (call.dropout.probability > 0.0F) {
        kernels_.dropout(output, output, static_cast<std::uint64_t>(position * channels), channels,
                         dropout_row(call.dropout, row / call.seq_len));
      }
    }
  });
}

void CpuBackend::embedding_backward(const EmbeddingBackward& call) {
  // Several rows may hold the same token: a thread owns columns, and takes the rows in order.
  const std::int64_t channels = call.channels;
  const float* const d_output = floats(call.d_output);
  float* masked = operation_workspace(threads_ * channels);
  parallel(call.batch * call.seq_len * channels, [&](int part) {
    const Range columns = share(channels, threads_, part, 16);
    for (std::int64_t row = 0; row < call.batch * call.seq_len && columns.count() > 0; ++row) {
      const std::int64_t position = row % call.seq_len;
      const float* gradient = d_output + row * channels + columns.begin;
      if (call.dropout.probability > 0.0F) {
        float* own = masked + part * channels;
        kernels_.dropout(own, gradient, static_cast<std::uint64_t>(position * channels + columns.begin),
                         columns.count(), dropout_row(call.dropout, row / call.seq_len));
        gradient = own;
      }
      const auto add_to = [&](float* table, std::int64_t index) {
        if (table != nullptr) {
          kernels_.add_to(table + index * channels + columns.begin, gradient, columns.count());
        }
      };
      add_to(call.d_token_weight, call.tokens[row]);
      add_to(call.d_position_weight, call.positions != nullptr ? call.positions[row] : position);
      if (call.token_types != nullptr) {
        add_to(call.d_token_type_weight, call.token_types[row]);
      }
    }
  });
}

void CpuBackend::layer_norm_forward(const LayerNormForward& call) {
  const std::int64_t channels = call.channels;
  const float* const residuals = floats(call.residual);
  const float* const branches = floats(call.branch);
  float* const sums = floats(call.residual_output);
  float* const outputs = floats(call.output);
  parallel(call.rows * channels, [&](int part) {
    const Range rows = share(call.rows, threads_, part);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const float* input = residuals + row * channels;
      float* output = outputs + row * channels;
      if (branches != nullptr) {
        const float* branch = branches + row * channels;
        float* sum = sums + row * channels;
        if (call.dropout.probability > 0.0F) {
          // `output` holds the masked branch until the norm overwrites it.
          kernels_.dropout(output, branch, static_cast<std::uint64_t>(row % call.rows_per_sample * channels), channels,
                           dropout_row(call.dropout, row / call.rows_per_sample));
          branch = output;
        }
        kernels_.add(sum, input, branch, channels);
        input = sum;
      }
      kernels_.layer_norm_forward(output, call.mean != nullptr ? call.mean + row : nullptr,
                                  call.mean != nullptr ? call.inverse_deviation + row : nullptr, input, call.weight,
                                  call.bias, channels, call.epsilon);
    }
  });
}

void CpuBackend::layer_norm_backward(const LayerNormBackward& call) {
  const std::int64_t channels = call.channels;
  const float* const d_output = floats(call.d_output);
  const float* const d_output_2 = floats(call.d_output_2);
  const float* const input = floats(call.input);
  const float* const d_residual = floats(call.d_residual);
  float* const d_residual_output = floats(call.d_residual_output);
  float* const d_branch = floats(call.d_branch);
  const bool is_frozen = call.d_weight == nullptr;
  float* partials = is_frozen ? nullptr : operation_workspace(2 * threads_ * channels);
  parallel(call.rows * channels, [&](int part) {
    float* d_weight = is_frozen ? nullptr : partials + 2 * part * channels;
    float* d_bias = is_frozen ? nullptr : d_weight + channels;
    if (!is_frozen) {
      std::memset(d_weight, 0, static_cast<std::size_t>(2 * channels) * sizeof(float));
    }
    const Range rows = share(call.rows, threads_, part);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const std::int64_t at = row * channels;
      kernels_.layer_norm_backward({d_residual_output + at, d_residual != nullptr ? d_residual + at : nullptr, d_weight,
                                    d_bias, d_output + at, d_output_2 != nullptr ? d_output_2 + at : nullptr,
                                    input + at, call.weight, call.mean[row], call.inverse_deviation[row]},
                                   channels);
      if (d_branch == nullptr) {
        continue;
      }
      if (call.dropout.probability > 0.0F) {
        kernels_.dropout(d_branch + at, d_residual_output + at,
                         static_cast<std::uint64_t>(row % call.rows_per_sample * channels), channels,
                         dropout_row(call.dropout, row / call.rows_per_sample));
      } else {
        std::memcpy(d_branch + at, d_residual_output + at, static_cast<std::size_t>(channels) * sizeof(float));
      }
    }
  });
  if (is_frozen) {
    return;
  }
  if (!call.accumulate) {
    std::memset(call.d_weight, 0, static_cast<std::size_t>(channels) * sizeof(float));
    std::memset(call.d_bias, 0, static_cast<std::size_t>(channels) * sizeof(float));
  }
  for (int part = 0; part < threads_; ++part) {
    kernels_.add_to(call.d_weight, partials + 2 * part * channels, channels);
    kernels_.add_to(call.d_bias, partials + (2 * part + 1) * channels, channels);
  }
}

ActivationKernels activation_kernels(const KernelTable& kernels, Activation activation) {
  switch (activation) {
  case Activation::kGeluNew:
    return {kernels.gelu, kernels.gelu_backward};
  case Activation::kGelu:
    return {kernels.gelu_erf, kernels.gelu_erf_backward};
  case Activation::kTanh:
    return {kernels.tanh, kernels.tanh_backward};
  case Activation::kNone:
    break;
  }
  return {nullptr, nullptr};
}

void CpuBackend::add(Values target, ConstValues values, std::int64_t count) {
  float* const to = floats(target);
  const float* const from = floats(values);
  parallel(count, [&](int part) {
    const Range range = share(count, threads_, part, 16);
    kernels_.add_to(to + range.begin, from + range.begin, range.count());
  });
}

void CpuBackend::dropout(Values values, std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample,
                         const Dropout& dropout) {
  if (dropout.probability <= 0.0F) {
    return;
  }
  float* const all = floats(values);
  parallel(rows * channels, [&](int part) {
    const Range own = share(rows, threads_, part);
    for (std::int64_t row = own.begin; row < own.end; ++row) {
      kernels_.dropout(all + row * channels, all + row * channels,
                       static_cast<std::uint64_t>(row % rows_per_sample * channels), channels,
                       dropout_row(dropout, row / rows_per_sample));
    }
  });
}

void CpuBackend::activation_backward(Values gradient, ConstValues pre_activation, std::int64_t count,
                                     Activation activation) {
  const auto backward = activation_kernels(kernels_, activation).backward;
  if (backward == nullptr) {
    return;
  }
  float* const to = floats(gradient);
  const float* const sums = floats(pre_activation);
  parallel(count, [&](int part) {
    const Range range = share(count, threads_, part, 16);
    backward(to + range.begin, sums + range.begin, range.count());
  });
}

void CpuBackend::gather_rows(ConstValues source, const std::int32_t* indices, Values output, std::int64_t rows,
                             std::int64_t channels) {
  const float* const from = floats(source);
  float* const to = floats(output);
  parallel(rows * channels, [&](int part) {
    const Range own = share(rows, threads_, part);
    for (std::int64_t row = own.begin; row < own.end; ++row) {
      std::memcpy(to + row * channels, from + indices[row] * channels,
                  static_cast<std::size_t>(channels) * sizeof(float));
    }
  });
}

void CpuBackend::scatter_add_rows(ConstValues values, const std::int32_t* indices, Values target, std::int64_t rows,
                                  std::int64_t channels) {
  const float* const from = floats(values);
  float* const to = floats(target);
  parallel(rows * channels, [&](int part) {
    const Range own = share(rows, threads_, part);
    for (std::int64_t row = own.begin; row < own.end; ++row) {
      kernels_.add_to(to + indices[row] * channels, from + row * channels, channels);
    }
  });
}

void CpuBackend::convert(ConstValues source, Values target, std::int64_t count) {
  if (source.type == DataType::kInt8 || target.type == DataType::kInt8) {
    throw Error("NOT_SUPPORTED", "Values cannot be converted to int8 without scales; quantize them by channel.");
  }
  parallel(count, [&](int part) {
    const Range range = share(count, threads_, part, 32);
    const ConstValues from = source + range.begin;
    const Values to = target + range.begin;
    if (source.type == target.type) {
      std::memcpy(to.data, from.data, static_cast<std::size_t>(range.count()) * size_of(source.type));
    } else if (target.type == DataType::kBf16) {
      kernels_.narrow_bf16(to.bf16(), from.f32(), range.count());
    } else {
      kernels_.widen_bf16(to.f32(), from.bf16(), range.count());
    }
  });
}

void CpuBackend::square_sum(const float* values, std::int64_t count, double* sum) {
  parallel(count, [&](int part) {
    const Range range = share(count, threads_, part, 4096);
    partial_sums_[static_cast<std::size_t>(part)] = kernels_.square_sum(values + range.begin, range.count());
  });
  double total = 0.0;
  for (const double partial : partial_sums_) {
    total += partial;
  }
  *sum += total;
}

void CpuBackend::adamw_step(const AdamWStep& call) {
  AdamWScalars scalars;
  scalars.beta1 = call.beta1;
  scalars.beta2 = call.beta2;
  scalars.epsilon = call.epsilon;
  scalars.gradient_scale = call.gradient_scale;
  scalars.step_size = call.learning_rate / call.first_correction;
  scalars.inverse_root_correction = 1.0F / __builtin_sqrtf(call.second_correction);
  const bool has_blocks = call.first_codes != nullptr;
  std::int64_t elements = 0;
  for (const AdamWSegment& segment : call.segments) {
    elements += segment.count;
    if (has_blocks && segment.offset % kMomentBlock != 0) {
      throw Error("BAD_ARGUMENT", "Parameters with moments in 8-bit blocks begin at " + std::to_string(segment.offset) +
                                      ", which is no multiple of a block's " + std::to_string(kMomentBlock) + ".");
    }
  }
  parallel(elements, [&](int part) {
    AdamWScalars own = scalars;
    for (const AdamWSegment& segment : call.segments) {
      const Range range = share(segment.count, threads_, part, has_blocks ? kMomentBlock : 16);
      const std::int64_t at = segment.offset + range.begin;
      own.decay_factor = segment.decays ? call.decay_factor : 1.0F;
      std::uint16_t* copy = call.bf16_parameters != nullptr ? call.bf16_parameters + at : nullptr;
      if (has_blocks) {
        const std::int64_t block = at / kMomentBlock;
        kernels_.adamw_blocks(
            call.parameters + at, call.gradients + at,
            {call.first_codes + at, call.second_codes + at, call.first_moment + block, call.second_moment + block},
            copy, range.count(), own);
      } else {
        kernels_.adamw(call.parameters + at, call.gradients + at, call.first_moment + at, call.second_moment + at, copy,
                       range.count(), own);
      }
      if (copy != nullptr && call.stochastic_rounding) {
        const auto count = static_cast<std::size_t>(range.count());
        round_stochastically({call.parameters + at, count}, {copy, count}, call.first_parameter + at, call.seed,
                             call.step);
      }
    }
  });
}

} // namespace assay
