// The weights a second time, rounded to bf16: devices multiply bf16 with bf16, and rounding at every product would cost
// what the product saves. Copies are made when a pass first wants them, again where weights were written since, and by
// the optimizer as it updates them.
#include "engine/base/philox.h"
#include "engine/model/activations.h"
#include "engine/optim/stochastic-rounding.h"

#include <algorithm>

namespace assay {

namespace {

bool is_matrix(const StoredTensor& tensor) {
  return tensor.kind != ParameterKind::kNormWeight && tensor.kind != ParameterKind::kNormBias &&
         tensor.kind != ParameterKind::kLinearBias;
}

// Tensors begin at multiples of a block of moments, in the parameters as in the gradients.
std::int64_t padded(std::int64_t count) {
  return (count + kMomentBlock - 1) / kMomentBlock * kMomentBlock;
}

} // namespace

// Values, 0 where no matrix is stored as fp32.
std::int64_t TransformerModel::copy_count(const ParameterLayout& layout) {
  std::int64_t count = 0;
  bool has_matrix = false;
  for (const StoredTensor& tensor : layout.stored) {
    if (tensor.type == DataType::kF32) {
      count += padded(tensor.count);
      has_matrix = has_matrix || is_matrix(tensor);
    }
  }
  return has_matrix ? count : 0;
}

bool TransformerModel::wants_copies(bool bf16) const {
  return bf16 && backend_.activation_type(true) == DataType::kBf16 && copy_count(layout_) > 0;
}

TransformerModel::WeightCopies& TransformerModel::weight_copies() {
  if (copies_ != nullptr) {
    return *copies_;
  }
  auto copies = std::make_unique<WeightCopies>();
  copies->memory = Buffer(backend_, static_cast<std::size_t>(copy_count(layout_)) * sizeof(std::uint16_t));
  copies->offsets.assign(layout_.stored.size(), -1);
  copies->is_stale.assign(layout_.stored.size(), true);
  std::int64_t offset = 0;
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    if (layout_.stored[index].type == DataType::kF32) {
      copies->offsets[index] = offset;
      offset += padded(layout_.stored[index].count);
    }
  }
  copies->table = weight_table([&](std::size_t index) {
    return copies->offsets[index] < 0 ? stored_matrix(index) : WeightView(copies->at(index), DataType::kBf16, nullptr);
  });
  copies_ = std::move(copies);
  return *copies_;
}

const ModelWeights& TransformerModel::weights_for(bool bf16) {
  if (!wants_copies(bf16)) {
    return weights_;
  }
  WeightCopies& copies = weight_copies();
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    const StoredTensor& tensor = layout_.stored[index];
    if (copies.is_stale[index] && copies.offsets[index] >= 0 && is_matrix(tensor)) {
      backend_.convert(stored_floats(index), {copies.at(index), DataType::kBf16}, tensor.count);
    }
    copies.is_stale[index] = false;
  }
  return copies.table;
}

void TransformerModel::forget_trained_copies() {
  if (copies_ == nullptr) {
    return;
  }
  const Training& training = prepared();
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    copies_->is_stale[index] = copies_->is_stale[index] || training.gradient_offsets[index] >= 0;
  }
  copies_->rounded_step = 0;
}

void TransformerModel::round_copies_as_after(std::int64_t step) {
  const Training& training = prepared();
  if (!wants_copies(training.options.precision == Precision::kAmpBf16)) {
    return;
  }
  WeightCopies& copies = weight_copies();
  if (copies.rounded_step == step) {
    return;
  }
  if (step <= 0) {
    forget_trained_copies();
    return;
  }
  // Training goes on from a checkpoint, which keeps the weights and not their copies.
  std::vector<float> values;
  std::vector<std::uint16_t> rounded;
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    const StoredTensor& tensor = layout_.stored[index];
    if (training.gradient_offsets[index] < 0 || !is_matrix(tensor)) {
      continue;
    }
    read_stored(index, values);
    rounded.resize(values.size());
    round_stochastically(values, rounded, static_cast<std::int64_t>(tensor.offset_bytes / sizeof(float)),
                         training.options.seed, static_cast<std::uint32_t>(step));
    backend_.copy_to_backend(copies.at(index), rounded.data(), rounded.size() * sizeof(std::uint16_t));
    copies.is_stale[index] = false;
  }
  copies.rounded_step = step;
}

} // namespace assay
