// Every operation once more, in double and as plainly as it can be written: what the backends are compared with. Shares
// nothing with them but the definition of a dropout mask (engine/ops/backend.h) and Philox itself.
#pragma once

#include "engine/base/philox.h"
#include "engine/ops/backend.h"

#include <cmath>
#include <cstdint>
#include <vector>

namespace assay::test {

using Doubles = std::vector<double>;

// 0, or 1 / (1 − probability).
inline double dropout_factor(const Dropout& dropout, std::int64_t sample, std::uint64_t element) {
  if (dropout.probability == 0.0F) {
    return 1.0;
  }
  const PhiloxCounter words =
      philox4x32({static_cast<std::uint32_t>(element / 4), dropout.first_sample + static_cast<std::uint32_t>(sample),
                  dropout.step, dropout.site},
                 {static_cast<std::uint32_t>(dropout.seed), static_cast<std::uint32_t>(dropout.seed >> 32)});
  const bool is_kept = words[element % 4] >= static_cast<double>(dropout.probability) * 0x1.0p32;
  return is_kept ? 1.0 / (1.0 - static_cast<double>(dropout.probability)) : 0.0;
}

// The nearest bf16 number, to even where two are as near: 8 significant bits.
inline double bf16_rounded(double x) {
  int exponent = 0;
  const double fraction = std::frexp(x, &exponent);
  return std::ldexp(std::nearbyint(std::ldexp(fraction, 8)), exponent - 8);
}

inline Doubles bf16_rounded(Doubles values) {
  for (double& value : values) {
    value = bf16_rounded(value);
  }
  return values;
}

// (rows, columns) to (columns, rows).
inline Doubles transposed(const Doubles& matrix, std::int64_t rows, std::int64_t columns) {
  Doubles result(matrix.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) {
      result[c * rows + r] = matrix[r * columns + c];
    }
  }
  return result;
}

inline double gelu_reference(double x) {
  return 0.5 * x * (1.0 + std::tanh(std::sqrt(2.0 / 3.14159265358979323846) * (x + 0.044715 * x * x * x)));
}

inline double activation_reference(Activation activation, double x) {
  switch (activation) {
  case Activation::kGeluNew:
    return gelu_reference(x);
  case Activation::kGelu:
    return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  case Activation::kTanh:
    return std::tanh(x);
  case Activation::kNone:
    break;
  }
  return x;
}

inline Doubles linear_reference(const Doubles& input, const Doubles& weight, const Doubles& bias, std::int64_t rows,
                                std::int64_t in, std::int64_t out) {
  Doubles output(static_cast<std::size_t>(rows * out));
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t o = 0; o < out; ++o) {
      double sum = bias.empty() ? 0.0 : bias[o];
      for (std::int64_t i = 0; i < in; ++i) {
        sum += input[r * in + i] * weight[i * out + o];
      }
      output[r * out + o] = sum;
    }
  }
  return output;
}

// positions: (B, T). types: (B, T), or empty.
inline Doubles embedding_reference(const std::vector<std::int32_t>& tokens, const std::vector<std::int32_t>& positions,
                                   const std::vector<std::int32_t>& types, const Doubles& token_weight,
                                   const Doubles& position_weight, const Doubles& type_weight, std::int64_t batch,
                                   std::int64_t seq_len, std::int64_t channels, const Dropout& dropout) {
  Doubles output;
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < seq_len; ++t) {
      const std::int64_t row = b * seq_len + t;
      for (std::int64_t c = 0; c < channels; ++c) {
        const double sum = token_weight[tokens[row] * channels + c] + position_weight[positions[row] * channels + c] +
                           (types.empty() ? 0.0 : type_weight[types[row] * channels + c]);
        output.push_back(sum * dropout_factor(dropout, b, static_cast<std::uint64_t>(t * channels + c)));
      }
    }
  }
  return output;
}

// residual + dropout(branch); branch may be empty.
inline Doubles residual_reference(const Doubles& residual, const Doubles& branch, std::int64_t rows_per_sample,
                                  std::int64_t channels, const Dropout& dropout) {
  Doubles sum = residual;
  for (std::size_t i = 0; i < branch.size(); ++i) {
    const std::int64_t per_sample = rows_per_sample * channels;
    const auto at = static_cast<std::int64_t>(i);
    sum[i] += branch[i] * dropout_factor(dropout, at / per_sample, static_cast<std::uint64_t>(at % per_sample));
  }
  return sum;
}

inline Doubles layer_norm_reference(const Doubles& input, const Doubles& weight, const Doubles& bias, std::int64_t rows,
                                    std::int64_t channels, double epsilon) {
  Doubles output(input.size());
  for (std::int64_t r = 0; r < rows; ++r) {
    const double* x = input.data() + r * channels;
    double mean = 0.0;
    for (std::int64_t c = 0; c < channels; ++c) {
      mean += x[c] / static_cast<double>(channels);
    }
    double variance = 0.0;
    for (std::int64_t c = 0; c < channels; ++c) {
      variance += (x[c] - mean) * (x[c] - mean) / static_cast<double>(channels);
    }
    for (std::int64_t c = 0; c < channels; ++c) {
      output[r * channels + c] = (x[c] - mean) / std::sqrt(variance + epsilon) * weight[c] + bias[c];
    }
  }
  return output;
}

// Which keys a query sees: those in its range (all, where there are no ranges), and with `causal` none after itself.
struct Visibility {
  bool causal = true;
  std::vector<std::int32_t> key_begin, key_end; // (B, T), or empty

  bool sees(std::int64_t row, std::int64_t query, std::int64_t key) const {
    const bool is_in_range = key_begin.empty() || (key >= key_begin[row] && key < key_end[row]);
    return is_in_range && (!causal || key <= query);
  }
};

inline Doubles attention_reference(const Doubles& qkv, std::int64_t batch, std::int64_t seq_len, std::int64_t heads,
                                   std::int64_t head_size, const Dropout& dropout, const Visibility& visibility = {}) {
  const std::int64_t channels = heads * head_size;
  Doubles output(static_cast<std::size_t>(batch * seq_len * channels));
  const auto element = [&](std::int64_t b, std::int64_t t, std::int64_t part, std::int64_t h) {
    return qkv.data() + (b * seq_len + t) * 3 * channels + part * channels + h * head_size;
  };
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t h = 0; h < heads; ++h) {
      for (std::int64_t t = 0; t < seq_len; ++t) {
        Doubles weights;
        double largest = -INFINITY;
        std::vector<std::int64_t> keys;
        for (std::int64_t k = 0; k < seq_len; ++k) {
          if (!visibility.sees(b * seq_len + t, t, k)) {
            continue;
          }
          keys.push_back(k);
          double score = 0.0;
          for (std::int64_t d = 0; d < head_size; ++d) {
            score += element(b, t, 0, h)[d] * element(b, k, 1, h)[d];
          }
          weights.push_back(score / std::sqrt(static_cast<double>(head_size)));
          largest = std::fmax(largest, weights.back());
        }
        double sum = 0.0;
        for (double& weight : weights) {
          weight = std::exp(weight - largest);
          sum += weight;
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
          const std::int64_t k = keys[i];
          const double factor = dropout_factor(dropout, b, static_cast<std::uint64_t>((h * seq_len + t) * seq_len + k));
          for (std::int64_t d = 0; d < head_size; ++d) {
            output[(b * seq_len + t) * channels + h * head_size + d] +=
                weights[i] / sum * factor * element(b, k, 2, h)[d];
          }
        }
      }
    }
  }
  return output;
}

// The row's loss as torch.nn.CrossEntropyLoss(weight, label_smoothing, reduction="none") has it; `logits` are those of
// the classes that count.
inline double cross_entropy_reference(const Doubles& logits, std::int64_t target, const Doubles& class_weights,
                                      double smoothing) {
  const auto classes = static_cast<double>(logits.size());
  double largest = -INFINITY;
  for (const double logit : logits) {
    largest = std::fmax(largest, logit);
  }
  double sum = 0.0;
  for (const double logit : logits) {
    sum += std::exp(logit - largest);
  }
  double loss = 0.0;
  for (std::size_t k = 0; k < logits.size(); ++k) {
    const double nll = largest + std::log(sum) - logits[k];
    const double wanted = (static_cast<std::int64_t>(k) == target ? 1.0 - smoothing : 0.0) + smoothing / classes;
    loss += wanted * (class_weights.empty() ? 1.0 : class_weights[k]) * nll;
  }
  return loss;
}

// The loss of each row, with smoothing over the whole vocabulary; 0 where the target is negative. `bias` may be empty.
inline Doubles classifier_reference(const Doubles& hidden, const Doubles& weight, const Doubles& bias,
                                    const std::vector<std::int32_t>& targets, std::int64_t channels,
                                    std::int64_t vocab_size, double smoothing) {
  const auto rows = static_cast<std::int64_t>(targets.size());
  const Doubles logits =
      linear_reference(hidden, transposed(weight, vocab_size, channels), bias, rows, channels, vocab_size);
  Doubles losses;
  for (std::int64_t row = 0; row < rows; ++row) {
    const Doubles own(logits.begin() + row * vocab_size, logits.begin() + (row + 1) * vocab_size);
    losses.push_back(targets[row] < 0 ? 0.0 : cross_entropy_reference(own, targets[row], {}, smoothing));
  }
  return losses;
}

} // namespace assay::test
