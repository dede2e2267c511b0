// The output layer with its loss. Rows go through in chunks: logits of one chunk, their loss and gradient in place, and
// the products that use those up. The logits' rows are padded to full cache lines, which the vocabulary seldom fills.
#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/kernels.h"

#include <algorithm>

namespace assay::cuda {

namespace {

std::int64_t padded_vocabulary(std::int64_t vocab_size) {
  return (vocab_size + 127) / 128 * 128;
}

Product logits_product(ConstValues hidden, const void* weight, Values output, std::int64_t rows, std::int64_t channels,
                       std::int64_t vocab_size, std::int64_t stride) {
  Product product;
  product.is_measured = are_usual_rows(rows);
  product.a = hidden;
  product.a_stride = channels;
  product.b = ConstValues(weight, hidden.type);
  product.b_stride = channels;
  product.transpose_b = true;
  product.d = output;
  product.d_stride = stride;
  product.m = rows;
  product.n = vocab_size;
  product.k = channels;
  return product;
}

// However large the vocabulary.
constexpr std::int64_t kFewestChunkRows = 16;

} // namespace

// Long chunks, because the weight's gradient is read and written once in each.
std::int64_t CudaBackend::classifier_most_chunk_rows(std::int64_t vocab_size, DataType type) const {
  const std::size_t most_bytes = std::clamp(device_bytes_ / 64, std::size_t{1} << 20, std::size_t{512} << 20);
  const auto row_bytes = static_cast<std::size_t>(padded_vocabulary(vocab_size)) * size_of(type);
  return std::max(static_cast<std::int64_t>(most_bytes / std::max<std::size_t>(row_bytes, 1)), kFewestChunkRows);
}

// All the chunks of a call are of nearly one length.
std::int64_t CudaBackend::classifier_chunk_rows(std::int64_t rows, std::int64_t vocab_size, DataType type) const {
  const std::int64_t most_rows = classifier_most_chunk_rows(vocab_size, type);
  if (rows <= most_rows) {
    return rows;
  }
  const std::int64_t chunks = (rows + most_rows - 1) / most_rows;
  const std::int64_t step = most_rows >= 256 ? 128 : kFewestChunkRows;
  return std::min(((rows + chunks - 1) / chunks + step - 1) / step * step, most_rows / step * step);
}

std::size_t CudaBackend::classifier_workspace(const WorkspaceRequest& request) const {
  std::size_t bytes = 0;
  for (const DataType type : {DataType::kF32, DataType::kBf16}) {
    // Of fewer rows than the request's a chunk may be longer than of all, as where they fit into one.
    const std::int64_t rows = std::min(request.rows, classifier_most_chunk_rows(request.vocab_size, type));
    const auto logits_bytes = static_cast<std::size_t>(rows * padded_vocabulary(request.vocab_size)) * size_of(type);
    // Training's products want the whole of a narrow weight wider; evaluation reads it as it is.
    const auto weight_bytes = request.training && request.narrow_weights
                                  ? static_cast<std::size_t>(request.vocab_size * request.channels) * size_of(type)
                                  : 0;
    bytes = std::max(
        bytes,
        weight_bytes + logits_bytes + 512 +
            std::max(cross_entropy_workspace(rows),
                     request.training ? column_sums_workspace(rows, request.vocab_size, context_.multiprocessors) : 0));
  }
  return bytes;
}

void CudaBackend::classifier_train(const Classifier& call) {
  enter();
  classify(call, true);
}

void CudaBackend::classifier_evaluate(const Classifier& call) {
  enter();
  if (call.weight.type == call.hidden.type) {
    classify(call, false);
  } else {
    evaluate_other_weight(call);
  }
}

void CudaBackend::classify(const Classifier& call, bool trains) {
  Scratch scratch(context_);
  const cudaStream_t stream = context_.stream;
  const DataType type = call.hidden.type;
  const std::int64_t stride = padded_vocabulary(call.vocab_size);
  const std::int64_t chunk = classifier_chunk_rows(call.rows, call.vocab_size, type);
  const void* weight = weight_as(type, call.weight, call.vocab_size, call.channels, true, scratch);
  const Values logits(scratch.take(static_cast<std::size_t>(chunk * stride) * size_of(type)), type);
  if (trains && call.rows == 0 && !call.accumulate) {
    if (call.d_weight != nullptr) {
      cuda::zero(context_, call.d_weight, static_cast<std::size_t>(call.vocab_size * call.channels) * sizeof(float));
    }
    if (call.d_bias != nullptr) {
      cuda::zero(context_, call.d_bias, static_cast<std::size_t>(call.vocab_size) * sizeof(float));
    }
  }
  for (std::int64_t first = 0; first < call.rows; first += chunk) {
    const std::int64_t rows = std::min(chunk, call.rows - first);
    const ConstValues hidden = call.hidden + first * call.channels;
    products_.multiply_plain(stream,
                             logits_product(hidden, weight, logits, rows, call.channels, call.vocab_size, stride));
    VocabularyLoss loss;
    loss.logits = logits;
    loss.rows = rows;
    loss.vocab_size = call.vocab_size;
    loss.stride = stride;
    loss.targets = call.targets + first;
    loss.bias = call.bias;
    loss.label_smoothing = call.label_smoothing;
    loss.writes_gradient = trains;
    loss.gradient_scale = call.gradient_scale;
    loss.loss = call.loss;
    vocabulary_loss(scratch.context(), loss);
    if (!trains) {
      continue;
    }
    if (call.d_hidden) {
      Product to_hidden;
      to_hidden.is_measured = are_usual_rows(rows);
      to_hidden.a = logits;
      to_hidden.a_stride = stride;
      to_hidden.b = ConstValues(weight, type);
      to_hidden.b_stride = call.channels;
      to_hidden.d = call.d_hidden + first * call.channels;
      to_hidden.d_stride = call.channels;
      to_hidden.m = rows;
      to_hidden.n = call.channels;
      to_hidden.k = call.vocab_size;
      products_.multiply_plain(stream, to_hidden);
    }
    const bool accumulates = first > 0 || call.accumulate;
    if (call.d_weight != nullptr) {
      Product to_weight;
      to_weight.is_measured = are_usual_rows(rows);
      to_weight.a = logits;
      to_weight.a_stride = stride;
      to_weight.transpose_a = true;
      to_weight.b = hidden;
      to_weight.b_stride = call.channels;
      to_weight.d = call.d_weight;
      to_weight.d_stride = call.channels;
      to_weight.m = call.vocab_size;
      to_weight.n = call.channels;
      to_weight.k = rows;
      to_weight.beta = accumulates ? 1.0F : 0.0F;
      products_.multiply_plain(stream, to_weight);
    }
    if (call.d_bias != nullptr) {
      column_sums(scratch.context(), logits, rows, call.vocab_size, stride, call.d_bias, accumulates);
    }
  }
}

// A weight in 8 bits, whose whole in bf16 would be larger than all the rest: few rows at a time read it as it is.
void CudaBackend::evaluate_other_weight(const Classifier& call) {
  Scratch scratch(context_);
  const std::int64_t most_rows = std::min(kFewRows, call.rows);
  auto* values = static_cast<float*>(scratch.take(static_cast<std::size_t>(most_rows * call.vocab_size) * 4));
  for (std::int64_t first = 0; first < call.rows; first += kFewRows) {
    const std::int64_t rows = std::min(kFewRows, call.rows - first);
    logits_few_rows(scratch.context(), call.hidden + first * call.channels, call.weight, nullptr, values, rows,
                    call.channels, call.vocab_size);
    VocabularyLoss loss;
    loss.logits = values;
    loss.rows = rows;
    loss.vocab_size = call.vocab_size;
    loss.stride = call.vocab_size;
    loss.targets = call.targets + first;
    loss.bias = call.bias;
    loss.label_smoothing = call.label_smoothing;
    loss.loss = call.loss;
    vocabulary_loss(scratch.context(), loss);
  }
}

void CudaBackend::logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output,
                         std::int64_t rows, std::int64_t channels, std::int64_t vocab_size, bool) {
  const KernelContext& context = enter();
  if (rows > kFewRows && weight.type == hidden.type) {
    products_.multiply_plain(context.stream,
                             logits_product(hidden, weight.values, output, rows, channels, vocab_size, vocab_size));
    if (bias != nullptr) {
      add_bias_activation(context, output, bias, rows, vocab_size, Activation::kNone, nullptr);
    }
    return;
  }
  for (std::int64_t first = 0; first < rows; first += kFewRows) {
    logits_few_rows(context, hidden + first * channels, weight, bias, output + first * vocab_size,
                    std::min(kFewRows, rows - first), channels, vocab_size);
  }
}

} // namespace assay::cuda
