// The tied output layer with its loss. Rows go through in chunks: the logits of one chunk become probabilities, then
// their own gradient, in place, and are used up before the next chunk is computed.
#include "backends/cpu/cpu-backend-class.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace assay {

// At most a quarter of the rows and 64 MiB, so that logits stay small beside everything else; beyond 256 rows nothing
// is gained: reading and writing d_weight (V·C) once a chunk is hidden behind the products by then.
std::int64_t classifier_chunk_rows(std::int64_t rows, std::int64_t vocab_size) {
  constexpr std::int64_t kLogitCount = std::int64_t{16} << 20;
  const std::int64_t fitting = kLogitCount / std::max<std::int64_t>(vocab_size, 1) / 16 * 16;
  const std::int64_t quarter = (rows + 63) / 64 * 16;
  return std::min(rows, std::clamp<std::int64_t>(std::min(fitting, quarter), 16, 256));
}

namespace {

// (1 − ε) · nll + ε · mean nll over the vocabulary.
float loss_of(const float* logits, std::int32_t target, const Classifier& call, float log_sum_exp) {
  const float nll = log_sum_exp - logits[target];
  if (call.label_smoothing <= 0.0F) {
    return nll;
  }
  double sum = 0.0;
  for (std::int64_t word = 0; word < call.vocab_size; ++word) {
    sum += static_cast<double>(logits[word]);
  }
  const auto mean = static_cast<float>(sum / static_cast<double>(call.vocab_size));
  return (1.0F - call.label_smoothing) * nll + call.label_smoothing * (log_sum_exp - mean);
}

} // namespace

std::int64_t classifier_workspace_count(std::int64_t rows, std::int64_t vocab_size) {
  const std::int64_t chunk = classifier_chunk_rows(rows, vocab_size);
  return chunk * vocab_size + (chunk + 15) / 16 * 16;
}

void CpuBackend::logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output,
                        std::int64_t rows, std::int64_t channels, std::int64_t vocab_size, bool bf16) {
  Product product;
  product.transpose_b = true;
  product.m = rows;
  product.n = vocab_size;
  product.k = channels;
  product.a = floats(hidden);
  product.a_stride = channels;
  set_weight(product, weight, true);
  product.bf16 = bf16;
  product.b_stride = channels;
  product.c = output;
  product.c_stride = vocab_size;
  product.bias = bias;
  if (is_few_rows(rows, weight, bf16)) {
    parallel(vocab_size * channels, [&](int part) { multiply_few(product, share(vocab_size, threads_, part, 16)); });
    return;
  }
  parallel(work_of(product), [&](int part) { multiply(tile_of(product, part).product); });
}

void CpuBackend::classifier_evaluate(const Classifier& call) {
  const std::int64_t chunk = classifier_chunk_rows(call.rows, call.vocab_size);
  float* chunk_logits = operation_workspace(classifier_workspace_count(call.rows, call.vocab_size));
  float* losses = chunk_logits + chunk * call.vocab_size;
  double total = 0.0;
  for (std::int64_t first = 0; first < call.rows; first += chunk) {
    const std::int64_t rows = std::min(chunk, call.rows - first);
    logits(call.hidden + first * call.channels, call.weight, call.bias, chunk_logits, rows, call.channels,
           call.vocab_size, call.bf16);
    parallel_items(rows * call.vocab_size, rows, [&](std::int64_t row, int) {
      const std::int32_t target = call.targets[first + row];
      const float* own = chunk_logits + row * call.vocab_size;
      losses[row] = target < 0 ? 0.0F : loss_of(own, target, call, kernels_.log_sum_exp(own, call.vocab_size));
    });
    for (std::int64_t row = 0; row < rows; ++row) {
      total += static_cast<double>(losses[row]);
    }
  }
  *call.loss += total;
}

void CpuBackend::classifier_train(const Classifier& call) {
  const std::int64_t vocab_size = call.vocab_size;
  const std::int64_t channels = call.channels;
  const std::int64_t chunk = classifier_chunk_rows(call.rows, vocab_size);
  float* chunk_logits = operation_workspace(classifier_workspace_count(call.rows, vocab_size));
  float* losses = chunk_logits + chunk * vocab_size;
  double total = 0.0;
  for (std::int64_t first = 0; first < call.rows; first += chunk) {
    const std::int64_t rows = std::min(chunk, call.rows - first);
    const float* hidden = floats(call.hidden) + first * channels;
    logits(hidden, call.weight, call.bias, chunk_logits, rows, channels, vocab_size, call.bf16);
    parallel_items(rows * vocab_size, rows, [&](std::int64_t row, int) {
      const std::int32_t target = call.targets[first + row];
      float* own = chunk_logits + row * vocab_size;
      if (target < 0) {
        losses[row] = 0.0F;
        std::memset(own, 0, static_cast<std::size_t>(vocab_size) * sizeof(float));
        return;
      }
      const float log_sum_exp = kernels_.log_sum_exp(own, vocab_size);
      losses[row] = loss_of(own, target, call, log_sum_exp);
      kernels_.scaled_probabilities(own, vocab_size, log_sum_exp, call.gradient_scale);
      own[target] -= call.gradient_scale * (1.0F - call.label_smoothing);
      if (call.label_smoothing > 0.0F) {
        const float share = call.gradient_scale * call.label_smoothing / static_cast<float>(vocab_size);
        for (std::int64_t word = 0; word < vocab_size; ++word) {
          own[word] -= share;
        }
      }
    });
    for (std::int64_t row = 0; row < rows; ++row) {
      total += static_cast<double>(losses[row]);
    }

    Product to_hidden;
    to_hidden.m = rows;
    to_hidden.n = channels;
    to_hidden.k = vocab_size;
    to_hidden.a = chunk_logits;
    to_hidden.a_stride = vocab_size;
    set_weight(to_hidden, call.weight, true);
    to_hidden.bf16 = call.bf16;
    to_hidden.b_stride = channels;
    to_hidden.c = floats(call.d_hidden) + first * channels;
    to_hidden.c_stride = channels;

    Product to_weight;
    to_weight.transpose_a = true;
    to_weight.m = vocab_size;
    to_weight.n = channels;
    to_weight.k = rows;
    to_weight.a = chunk_logits;
    to_weight.a_stride = vocab_size;
    to_weight.b = hidden;
    to_weight.bf16 = call.bf16;
    to_weight.b_stride = channels;
    to_weight.beta = first > 0 || call.accumulate ? 1.0F : 0.0F;
    to_weight.c = call.d_weight;
    to_weight.c_stride = channels;
    parallel(2 * work_of(to_weight), [&](int part) {
      multiply(tile_of(to_hidden, part).product);
      if (call.d_bias != nullptr) {
        const Range words = share(vocab_size, threads_, part, 16);
        if (first == 0 && !call.accumulate) {
          std::memset(call.d_bias + words.begin, 0, static_cast<std::size_t>(words.count()) * sizeof(float));
        }
        kernels_.column_sum(call.d_bias + words.begin, chunk_logits + words.begin, rows, words.count(), vocab_size);
      }
      if (call.d_weight != nullptr) {
        multiply(tile_of(to_weight, part).product);
      }
    });
  }
  *call.loss += total;
}

} // namespace assay
