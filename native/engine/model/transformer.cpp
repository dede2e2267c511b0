// The model's parameters: allocation, the table of pointers, and copies in and out under their public names.
#include "engine/model/transformer.h"

#include "engine/base/error.h"
#include "engine/model/activations.h"
#include "engine/model/weight-values.h"

#include <algorithm>

namespace assay {

namespace {

void check_size(const ParameterTensor& tensor, std::size_t given) {
  if (static_cast<std::size_t>(tensor.count) != given) {
    throw Error("TENSOR_SIZE_MISMATCH", "The tensor " + tensor.name + " has " + std::to_string(tensor.count) +
                                            " elements but " + std::to_string(given) +
                                            " were given; check the model's shape.");
  }
}

bool is_whole(const ParameterTensor& tensor, const StoredTensor& stored) {
  return !tensor.is_transposed && tensor.count == stored.count;
}

// Calls visit(index in the public tensor, index in the stored one) for every element.
template <class Visit> void for_each_element(const ParameterTensor& tensor, const StoredTensor& stored, Visit visit) {
  const std::int64_t rows = stored.rows();
  const std::int64_t columns = tensor.count / rows;
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t at = tensor.is_transposed ? column * rows + row : row * columns + column;
      visit(static_cast<std::size_t>(at),
            static_cast<std::size_t>(row * stored.columns() + tensor.first_column + column));
    }
  }
}

void take(const ParameterTensor& tensor, const StoredTensor& stored, std::span<const float> all,
          std::span<float> values) {
  if (is_whole(tensor, stored)) {
    std::copy(all.begin(), all.end(), values.begin());
    return;
  }
  for_each_element(tensor, stored, [&](std::size_t to, std::size_t from) { values[to] = all[from]; });
}

void put(const ParameterTensor& tensor, const StoredTensor& stored, std::span<const float> values,
         std::span<float> all) {
  if (is_whole(tensor, stored)) {
    std::copy(values.begin(), values.end(), all.begin());
    return;
  }
  for_each_element(tensor, stored, [&](std::size_t from, std::size_t to) { all[to] = values[from]; });
}

} // namespace

TransformerModel::TransformerModel(Backend& backend, const ModelConfig& config)
    : backend_(backend), config_(checked(config)), layout_(parameter_layout(config_)),
      parameter_memory_(backend, layout_.size_bytes) {
  weights_ = weight_table([this](std::size_t index) { return stored_matrix(index); });
}

WeightView TransformerModel::stored_matrix(std::size_t index) const {
  const StoredTensor& tensor = layout_.stored[index];
  const auto* scales = reinterpret_cast<const float*>(parameter_memory_.bytes() + tensor.scales_offset_bytes);
  return WeightView(stored_bytes(index), tensor.type, tensor.type == DataType::kInt8 ? scales : nullptr);
}

TransformerModel::~TransformerModel() = default;

std::byte* TransformerModel::stored_bytes(std::size_t index) const {
  return parameter_memory_.bytes() + layout_.stored[index].offset_bytes;
}

float* TransformerModel::stored_floats(std::size_t index) const {
  return reinterpret_cast<float*>(stored_bytes(index));
}

void TransformerModel::read_stored(std::size_t index, std::vector<float>& values) const {
  const StoredTensor& tensor = layout_.stored[index];
  values.resize(static_cast<std::size_t>(tensor.count));
  if (tensor.type == DataType::kF32) {
    backend_.copy_to_host(values.data(), stored_bytes(index), values.size() * sizeof(float));
    return;
  }
  std::vector<std::byte> bytes(values.size() * size_of(tensor.type));
  backend_.copy_to_host(bytes.data(), stored_bytes(index), bytes.size());
  std::vector<float> scales(tensor.type == DataType::kInt8 ? static_cast<std::size_t>(tensor.channels()) : 0);
  backend_.copy_to_host(scales.data(), parameter_memory_.bytes() + tensor.scales_offset_bytes,
                        scales.size() * sizeof(float));
  decode_values(tensor, bytes, scales, values);
}

void TransformerModel::write_stored(std::size_t index, std::span<const float> values) {
  if (copies_ != nullptr) {
    copies_->is_stale[index] = true;
    copies_->rounded_step = 0;
  }
  const StoredTensor& tensor = layout_.stored[index];
  if (tensor.type == DataType::kF32) {
    backend_.copy_to_backend(stored_bytes(index), values.data(), values.size_bytes());
    return;
  }
  std::vector<std::byte> bytes(values.size() * size_of(tensor.type));
  std::vector<float> scales(tensor.type == DataType::kInt8 ? static_cast<std::size_t>(tensor.channels()) : 0);
  encode_values(tensor, values, bytes, scales);
  backend_.copy_to_backend(stored_bytes(index), bytes.data(), bytes.size());
  backend_.copy_to_backend(parameter_memory_.bytes() + tensor.scales_offset_bytes, scales.data(),
                           scales.size() * sizeof(float));
}

void TransformerModel::read_parameter(const std::string& name, std::span<float> values) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, values.size());
  std::vector<float> all;
  read_stored(tensor.stored, all);
  take(tensor, layout_.stored[tensor.stored], all, values);
}

void TransformerModel::write_parameter(const std::string& name, std::span<const float> values) {
  const ParameterTensor& tensor = layout_.find(name);
  const StoredTensor& stored = layout_.stored[tensor.stored];
  check_size(tensor, values.size());
  if (is_whole(tensor, stored)) {
    write_stored(tensor.stored, values);
    return;
  }
  std::vector<float> all;
  if (tensor.count < stored.count) {
    read_stored(tensor.stored, all);
  }
  all.resize(static_cast<std::size_t>(stored.count));
  put(tensor, stored, values, all);
  write_stored(tensor.stored, all);
}

void TransformerModel::read_gradient(const std::string& name, std::span<float> values) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, values.size());
  const Training& training = prepared();
  const std::int64_t offset = training.gradient_offsets[tensor.stored];
  if (offset < 0) {
    std::fill(values.begin(), values.end(), 0.0F);
    return;
  }
  const StoredTensor& stored = layout_.stored[tensor.stored];
  std::vector<float> all(static_cast<std::size_t>(stored.count));
  backend_.copy_to_host(all.data(), training.gradients.floats() + offset, all.size() * sizeof(float));
  take(tensor, stored, all, values);
}

bool TransformerModel::is_trained(const std::string& name) const {
  return prepared().gradient_offsets[layout_.find(name).stored] >= 0;
}

std::int64_t TransformerModel::trained_parameter_count() const {
  std::int64_t count = 0;
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    count += prepared().gradient_offsets[index] >= 0 ? layout_.stored[index].count : 0;
  }
  return count;
}

void TransformerModel::read_moments(const std::string& name, std::span<float> exp_avg,
                                    std::span<float> exp_avg_sq) const {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, exp_avg.size());
  check_size(tensor, exp_avg_sq.size());
  std::vector<float> first, second;
  if (!read_stored_moments(tensor.stored, first, second)) {
    std::fill(exp_avg.begin(), exp_avg.end(), 0.0F);
    std::fill(exp_avg_sq.begin(), exp_avg_sq.end(), 0.0F);
    return;
  }
  take(tensor, layout_.stored[tensor.stored], first, exp_avg);
  take(tensor, layout_.stored[tensor.stored], second, exp_avg_sq);
}

void TransformerModel::write_moments(const std::string& name, std::span<const float> exp_avg,
                                     std::span<const float> exp_avg_sq) {
  const ParameterTensor& tensor = layout_.find(name);
  check_size(tensor, exp_avg.size());
  check_size(tensor, exp_avg_sq.size());
  // Parts of one stored tensor (queries, keys, values) are gathered first: in 8 bits they share blocks, and coding some
  // of them twice would change the rest.
  auto pending = pending_moments_.find(tensor.stored);
  if (pending == pending_moments_.end()) {
    pending = pending_moments_.emplace(tensor.stored, PendingMoments{}).first;
  }
  std::vector<float>& first = pending->second.first;
  std::vector<float>& second = pending->second.second;
  if (first.empty() && !read_stored_moments(tensor.stored, first, second)) {
    pending_moments_.erase(pending);
    throw Error("TENSOR_UNKNOWN", "The tensor " + tensor.name + " is frozen and has no optimizer state.");
  }
  put(tensor, layout_.stored[tensor.stored], exp_avg, first);
  put(tensor, layout_.stored[tensor.stored], exp_avg_sq, second);
  pending->second.written += tensor.count;
  if (pending->second.written >= layout_.stored[tensor.stored].count) {
    write_stored_moments(tensor.stored, first, second);
    pending_moments_.erase(pending);
  }
}

void TransformerModel::merge_adapters() {
  const float scale = config_.lora.rank > 0 ? config_.lora.alpha / static_cast<float>(config_.lora.rank) : 0.0F;
  std::vector<float> weight, a, b;
  for (const BlockPlaces& block : layout_.blocks) {
    for (const LinearPlaces* places : {&block.qkv, &block.attention_output, &block.up, &block.down}) {
      if (places->adapters.empty()) {
        continue;
      }
      const StoredTensor& stored = layout_.stored[places->weight];
      read_stored(places->weight, weight);
      for (const LinearPlaces::Adapter& adapter : places->adapters) {
        read_stored(adapter.a, a);
        read_stored(adapter.b, b);
        const std::int64_t rank = config_.lora.rank;
        for (std::int64_t row = 0; row < stored.rows(); ++row) {
          for (std::int64_t column = 0; column < adapter.columns; ++column) {
            double sum = 0.0;
            for (std::int64_t k = 0; k < rank; ++k) {
              sum += static_cast<double>(a[static_cast<std::size_t>(row * rank + k)]) *
                     static_cast<double>(b[static_cast<std::size_t>(k * adapter.columns + column)]);
            }
            weight[static_cast<std::size_t>(row * stored.columns() + adapter.first_column + column)] +=
                static_cast<float>(static_cast<double>(scale) * sum);
          }
        }
        std::fill(b.begin(), b.end(), 0.0F);
        write_stored(adapter.b, b);
      }
      write_stored(places->weight, weight);
    }
  }
}

TransformerModel::Training& TransformerModel::prepared() const {
  if (training_ == nullptr) {
    throw Error("TRAINING_NOT_PREPARED",
                "This model holds no gradients or optimizer state; call prepare_training() first.");
  }
  return *training_;
}

} // namespace assay
