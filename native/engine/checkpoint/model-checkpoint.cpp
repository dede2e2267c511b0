#include "engine/checkpoint/model-checkpoint.h"

#include "engine/base/error.h"
#include "engine/checkpoint/element-type.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/tensor-source.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

namespace assay {

namespace {

constexpr std::string_view kPeftPrefix = "base_model.model.";

[[noreturn]] void mismatch(const TensorSource& file, const std::string& what) {
  throw Error("CHECKPOINT_MISMATCH", "Cannot load " + file.path() + ": " + what + ".");
}

std::vector<std::uint64_t> file_shape(const ParameterTensor& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

void read_values(const TensorSource& source, const SourceTensor& tensor, std::vector<float>& values) {
  std::uint64_t count = 0;
  shape_product(tensor.shape, count);
  values.resize(count);
  source.read(tensor, values);
}

void check_float(const TensorSource& source, const SourceTensor& tensor) {
  if (!is_float_type(tensor.dtype)) {
    mismatch(source, "tensor " + tensor.name + " is " + tensor.dtype + "; weights are read from F32, F16, BF16 or F64");
  }
}

// Older exports spell a layer norm's weight gamma and its bias beta.
std::string old_norm_name(const std::string& name) {
  if (name.ends_with("LayerNorm.weight")) {
    return name.substr(0, name.size() - 6) + "gamma";
  }
  if (name.ends_with("LayerNorm.bias")) {
    return name.substr(0, name.size() - 4) + "beta";
  }
  return name;
}

const SourceTensor* find_entry(const TensorSource& file, const std::string& name, const std::string& prefix) {
  for (const std::string& spelling : {name, old_norm_name(name)}) {
    if (const SourceTensor* entry = file.find(spelling)) {
      return entry;
    }
    if (spelling.starts_with(prefix)) {
      if (const SourceTensor* entry = file.find(std::string_view(spelling).substr(prefix.size()))) {
        return entry;
      }
    }
  }
  return nullptr;
}

void check_shape(const TensorSource& file, const SourceTensor& entry, const ParameterTensor& tensor) {
  if (entry.shape != file_shape(tensor)) {
    mismatch(file, "tensor " + entry.name + " has shape " + shape_text(entry.shape) + " there and " +
                       shape_text(file_shape(tensor)) + " in the model");
  }
  check_float(file, entry);
}

const SourceTensor& require_entry(const TensorSource& file, const std::string& name, const ParameterTensor& tensor,
                                  const std::string& prefix) {
  const SourceTensor* entry = find_entry(file, name, prefix);
  if (entry == nullptr) {
    mismatch(file, "tensor " + name + " of shape " + shape_text(file_shape(tensor)) + " is missing");
  }
  check_shape(file, *entry, tensor);
  return *entry;
}

// What is no parameter: causal masks and position numbers that older exports carry.
bool is_buffer(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias") || name.ends_with("position_ids") ||
         name.ends_with("embeddings.token_type_ids");
}

// Copies of the token embedding and of the vocabulary's bias under another name.
bool is_tied_copy(const std::string& name) {
  return name == "lm_head.weight" || name == "cls.predictions.decoder.weight" || name == "cls.predictions.decoder.bias";
}

bool is_head_name(const std::string& name, const std::string& prefix) {
  for (const char* head : {"cls.", "classifier.", "score.", "qa_outputs.", "lm_head.", "multiple_choice_head."}) {
    if (name.starts_with(head)) {
      return true;
    }
  }
  return name.starts_with(prefix + "pooler.") || name.starts_with("pooler.");
}

void check_tied_copy(const TensorSource& file, const SourceTensor& copy, const SourceTensor& original) {
  if (!file.are_equal(copy, original)) {
    mismatch(file, copy.name + " " + shape_text(copy.shape) + " differs from " + original.name + " " +
                       shape_text(original.shape) +
                       "; a model whose output layer is not tied to its embedding is not supported");
  }
}

bool is_adapter(const TransformerModel& model, const ParameterTensor& tensor) {
  const ParameterKind kind = model.parameters().stored[tensor.stored].kind;
  return kind == ParameterKind::kLoraA || kind == ParameterKind::kLoraB;
}

bool is_small_head(const TransformerModel& model, const ParameterTensor& tensor) {
  const ParameterLayout& layout = model.parameters();
  return model.config().head_outputs() > 0 &&
         (tensor.stored == layout.head.weight || (layout.head.has_bias && tensor.stored == layout.head.bias));
}

TensorToWrite to_write(const TransformerModel& model, const ParameterTensor& tensor, std::string name) {
  return {std::move(name), file_shape(tensor),
          [&model, &tensor](std::span<float> values) { model.read_parameter(tensor.name, values); }};
}

} // namespace

LoadReport load_weights(TransformerModel& model, const std::string& path, bool allow_missing_head) {
  const std::unique_ptr<TensorSource> opened = open_tensor_source(path);
  const TensorSource& file = *opened;
  const std::string prefix = base_prefix(model.config().family);
  LoadReport report;
  std::vector<std::pair<const ParameterTensor*, const SourceTensor*>> sources;
  std::set<std::string_view> used;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (is_adapter(model, tensor)) {
      continue;
    }
    const bool may_miss = allow_missing_head && model.parameters().stored[tensor.stored].is_head;
    const SourceTensor* entry = find_entry(file, tensor.name, prefix);
    // A head of another shape is another head.
    if (may_miss && (entry == nullptr || entry->shape != file_shape(tensor))) {
      report.missing.push_back(tensor.name);
      continue;
    }
    entry = &require_entry(file, tensor.name, tensor, prefix);
    sources.emplace_back(&tensor, entry);
    used.insert(entry->name);
  }
  const SourceTensor* bias = find_entry(file, "cls.predictions.bias", prefix);
  for (const SourceTensor& entry : file.tensors()) {
    if (is_tied_copy(entry.name)) {
      const SourceTensor* original = entry.name.ends_with(".bias") ? bias : sources.front().second;
      if (original != nullptr && model.config().has_language_model()) {
        check_tied_copy(file, entry, *original);
      }
    } else if (!used.contains(entry.name) && !is_buffer(entry.name)) {
      // A decoder's or encoder's own base never depends on a head's leftovers.
      if (!(allow_missing_head && is_head_name(entry.name, prefix))) {
        mismatch(file, "tensor " + entry.name + " of shape " + shape_text(entry.shape) + " is not one of the model's");
      }
      report.unexpected.push_back(entry.name);
    }
  }
  std::vector<float> values;
  for (const auto& [tensor, entry] : sources) {
    read_values(file, *entry, values);
    model.write_parameter(tensor->name, values);
  }
  return report;
}

void save_weights(const TransformerModel& model, const std::string& path) {
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (!is_adapter(model, tensor)) {
      list.push_back(to_write(model, tensor, tensor.name));
    }
  }
  write_safetensors(path, list);
}

void load_adapters(TransformerModel& model, const std::string& path) {
  const std::unique_ptr<TensorSource> opened = open_tensor_source(path);
  const TensorSource& file = *opened;
  std::vector<std::pair<const ParameterTensor*, const SourceTensor*>> sources;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (is_adapter(model, tensor) || is_small_head(model, tensor)) {
      sources.emplace_back(
          &tensor, &require_entry(file, std::string(kPeftPrefix) + tensor.name, tensor, std::string(kPeftPrefix)));
    }
  }
  if (file.tensors().size() != sources.size()) {
    mismatch(file, "it holds " + std::to_string(file.tensors().size()) + " tensors, and the model's adapters " +
                       std::to_string(sources.size()) + "; check rank and targets");
  }
  std::vector<float> values;
  for (const auto& [tensor, entry] : sources) {
    read_values(file, *entry, values);
    model.write_parameter(tensor->name, values);
  }
}

void save_adapters(const TransformerModel& model, const std::string& path) {
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (is_adapter(model, tensor) || is_small_head(model, tensor)) {
      list.push_back(to_write(model, tensor, std::string(kPeftPrefix) + tensor.name));
    }
  }
  write_safetensors(path, list);
}

void load_optimizer(TransformerModel& model, const std::string& path) {
  const std::unique_ptr<TensorSource> opened = open_tensor_source(path);
  const TensorSource& file = *opened;
  struct Moments {
    const ParameterTensor* tensor;
    const SourceTensor* exp_avg;
    const SourceTensor* exp_avg_sq;
  };
  std::vector<Moments> sources;
  const std::string prefix = base_prefix(model.config().family);
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (model.is_trained(tensor.name)) {
      sources.push_back({&tensor, &require_entry(file, tensor.name + ".exp_avg", tensor, prefix),
                         &require_entry(file, tensor.name + ".exp_avg_sq", tensor, prefix)});
    }
  }
  if (file.tensors().size() != 2 * sources.size()) {
    mismatch(file, "it holds " + std::to_string(file.tensors().size()) + " tensors, and the model's optimizer " +
                       std::to_string(2 * sources.size()));
  }
  std::vector<float> exp_avg;
  std::vector<float> exp_avg_sq;
  for (const Moments& moments : sources) {
    read_values(file, *moments.exp_avg, exp_avg);
    read_values(file, *moments.exp_avg_sq, exp_avg_sq);
    model.write_moments(moments.tensor->name, exp_avg, exp_avg_sq);
  }
}

void save_optimizer(const TransformerModel& model, const std::string& path) {
  if (!model.is_prepared()) {
    throw Error("TRAINING_NOT_PREPARED", "There is no optimizer state to save; call prepareTraining first.");
  }
  // The model hands out both moments at once: the second is kept from the first's call.
  std::vector<float> exp_avg_sq;
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (!model.is_trained(tensor.name)) {
      continue;
    }
    list.push_back({tensor.name + ".exp_avg", file_shape(tensor), [&](std::span<float> values) {
                      exp_avg_sq.resize(values.size());
                      model.read_moments(tensor.name, values, exp_avg_sq);
                    }});
    list.push_back({tensor.name + ".exp_avg_sq", file_shape(tensor),
                    [&](std::span<float> values) { std::copy(exp_avg_sq.begin(), exp_avg_sq.end(), values.begin()); }});
  }
  write_safetensors(path, list);
}

} // namespace assay
