#include "engine/checkpoint/model-checkpoint.h"

#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string_view>
#include <utility>

namespace assay {

namespace {

constexpr std::string_view kPeftPrefix = "base_model.model.";

[[noreturn]] void mismatch(const SafetensorsFile& file, const std::string& what) {
  throw Error("CHECKPOINT_MISMATCH", "Cannot load " + file.path() + ": " + what + ".");
}

std::vector<std::uint64_t> file_shape(const ParameterTensor& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1FU;
  const std::uint32_t mantissa = half & 0x3FFU;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1.0p-24F;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
  }
  const std::uint32_t wide_exponent = exponent == 0x1FU ? 0xFFU : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (mantissa << 13));
}

bool is_float_type(const std::string& dtype) {
  return dtype == "F32" || dtype == "F16" || dtype == "BF16";
}

// A tensor in the file need not be aligned, so values are copied out rather than pointed at.
void read_values(const SafetensorsFile& file, const SafetensorsEntry& entry, std::vector<float>& values) {
  const std::span<const std::byte> bytes = file.bytes(entry);
  if (entry.dtype == "F32") {
    values.resize(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    file.drop(entry);
    return;
  }
  values.resize(bytes.size() / 2);
  for (std::size_t index = 0; index < values.size(); ++index) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * index, 2);
    values[index] =
        entry.dtype == "F16" ? half_to_float(half) : std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
  }
  file.drop(entry);
}

void check_float(const SafetensorsFile& file, const SafetensorsEntry& entry) {
  if (!is_float_type(entry.dtype)) {
    mismatch(file, "tensor " + entry.name + " is " + entry.dtype + "; weights are read from F32, F16 or BF16");
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

const SafetensorsEntry* find_entry(const SafetensorsFile& file, const std::string& name, const std::string& prefix) {
  for (const std::string& spelling : {name, old_norm_name(name)}) {
    if (const SafetensorsEntry* entry = file.find(spelling)) {
      return entry;
    }
    if (spelling.starts_with(prefix)) {
      if (const SafetensorsEntry* entry = file.find(std::string_view(spelling).substr(prefix.size()))) {
        return entry;
      }
    }
  }
  return nullptr;
}

void check_shape(const SafetensorsFile& file, const SafetensorsEntry& entry, const ParameterTensor& tensor) {
  if (entry.shape != file_shape(tensor)) {
    mismatch(file, "tensor " + entry.name + " has shape " + shape_text(entry.shape) + " there and " +
                       shape_text(file_shape(tensor)) + " in the model");
  }
  check_float(file, entry);
}

const SafetensorsEntry& require_entry(const SafetensorsFile& file, const std::string& name,
                                      const ParameterTensor& tensor, const std::string& prefix) {
  const SafetensorsEntry* entry = find_entry(file, name, prefix);
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

void check_tied_copy(const SafetensorsFile& file, const SafetensorsEntry& copy, const SafetensorsEntry& original) {
  const std::span<const std::byte> left = file.bytes(copy);
  const std::span<const std::byte> right = file.bytes(original);
  if (copy.shape != original.shape || copy.dtype != original.dtype ||
      !std::equal(left.begin(), left.end(), right.begin(), right.end())) {
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
  const SafetensorsFile file(path);
  const std::string prefix = base_prefix(model.config().family);
  LoadReport report;
  std::vector<std::pair<const ParameterTensor*, const SafetensorsEntry*>> sources;
  std::set<std::string_view> used;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (is_adapter(model, tensor)) {
      continue;
    }
    const bool may_miss = allow_missing_head && model.parameters().stored[tensor.stored].is_head;
    const SafetensorsEntry* entry = find_entry(file, tensor.name, prefix);
    // A head of another shape is another head.
    if (may_miss && (entry == nullptr || entry->shape != file_shape(tensor))) {
      report.missing.push_back(tensor.name);
      continue;
    }
    entry = &require_entry(file, tensor.name, tensor, prefix);
    sources.emplace_back(&tensor, entry);
    used.insert(entry->name);
  }
  const SafetensorsEntry* bias = find_entry(file, "cls.predictions.bias", prefix);
  for (const SafetensorsEntry& entry : file.entries()) {
    if (is_tied_copy(entry.name)) {
      const SafetensorsEntry* original = entry.name.ends_with(".bias") ? bias : sources.front().second;
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
  const SafetensorsFile file(path);
  std::vector<std::pair<const ParameterTensor*, const SafetensorsEntry*>> sources;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (is_adapter(model, tensor) || is_small_head(model, tensor)) {
      sources.emplace_back(
          &tensor, &require_entry(file, std::string(kPeftPrefix) + tensor.name, tensor, std::string(kPeftPrefix)));
    }
  }
  if (file.entries().size() != sources.size()) {
    mismatch(file, "it holds " + std::to_string(file.entries().size()) + " tensors, and the model's adapters " +
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
  const SafetensorsFile file(path);
  struct Moments {
    const ParameterTensor* tensor;
    const SafetensorsEntry* exp_avg;
    const SafetensorsEntry* exp_avg_sq;
  };
  std::vector<Moments> sources;
  const std::string prefix = base_prefix(model.config().family);
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    if (model.is_trained(tensor.name)) {
      sources.push_back({&tensor, &require_entry(file, tensor.name + ".exp_avg", tensor, prefix),
                         &require_entry(file, tensor.name + ".exp_avg_sq", tensor, prefix)});
    }
  }
  if (file.entries().size() != 2 * sources.size()) {
    mismatch(file, "it holds " + std::to_string(file.entries().size()) + " tensors, and the model's optimizer " +
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
