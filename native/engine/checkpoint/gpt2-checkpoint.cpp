#include "engine/checkpoint/gpt2-checkpoint.h"

#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <string_view>

namespace assay {

namespace {

constexpr std::string_view kPrefix = "transformer.";

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
    return;
  }
  values.resize(bytes.size() / 2);
  for (std::size_t index = 0; index < values.size(); ++index) {
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data() + 2 * index, 2);
    values[index] =
        entry.dtype == "F16" ? half_to_float(half) : std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16);
  }
}

// The entry of that name, or without the prefix; checked against the shape the model has.
const SafetensorsEntry& require_entry(const SafetensorsFile& file, const std::string& name,
                                      const std::vector<std::uint64_t>& shape) {
  const SafetensorsEntry* entry = file.find(name);
  if (entry == nullptr && name.starts_with(kPrefix)) {
    entry = file.find(std::string_view(name).substr(kPrefix.size()));
  }
  if (entry == nullptr) {
    mismatch(file, "tensor " + name + " of shape " + shape_text(shape) + " is missing");
  }
  if (entry->shape != shape) {
    mismatch(file, "tensor " + entry->name + " has shape " + shape_text(entry->shape) + " there and " +
                       shape_text(shape) + " in the model");
  }
  if (!is_float_type(entry->dtype)) {
    mismatch(file, "tensor " + entry->name + " is " + entry->dtype + "; weights are read from F32, F16 or BF16");
  }
  return *entry;
}

bool is_mask_buffer(const std::string& name) {
  return name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias");
}

void check_tied_head(const SafetensorsFile& file, const SafetensorsEntry& head, const SafetensorsEntry& embedding) {
  const std::span<const std::byte> left = file.bytes(head);
  const std::span<const std::byte> right = file.bytes(embedding);
  if (head.shape != embedding.shape || head.dtype != embedding.dtype ||
      !std::equal(left.begin(), left.end(), right.begin(), right.end())) {
    mismatch(file, "lm_head.weight " + shape_text(head.shape) + " differs from " + embedding.name + " " +
                       shape_text(embedding.shape) +
                       "; a model whose output layer is not tied to its embedding is not supported");
  }
}

} // namespace

void load_weights(Gpt2Model& model, const std::string& path) {
  const SafetensorsFile file(path);
  const std::vector<ParameterTensor>& tensors = model.parameters().tensors;
  std::vector<const SafetensorsEntry*> sources;
  std::set<std::string_view> used;
  for (const ParameterTensor& tensor : tensors) {
    sources.push_back(&require_entry(file, tensor.name, file_shape(tensor)));
    used.insert(sources.back()->name);
  }
  for (const SafetensorsEntry& entry : file.entries()) {
    if (entry.name == "lm_head.weight") {
      check_tied_head(file, entry, *sources.front());
    } else if (!used.contains(entry.name) && !is_mask_buffer(entry.name)) {
      mismatch(file, "tensor " + entry.name + " of shape " + shape_text(entry.shape) + " is not one of the model's");
    }
  }
  std::vector<float> values;
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    read_values(file, *sources[index], values);
    model.write_parameter(tensors[index].name, values);
  }
}

void save_weights(const Gpt2Model& model, const std::string& path) {
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    list.push_back({tensor.name, file_shape(tensor),
                    [&model, &tensor](std::span<float> values) { model.read_parameter(tensor.name, values); }});
  }
  write_safetensors(path, list);
}

void load_optimizer(Gpt2Model& model, const std::string& path) {
  const SafetensorsFile file(path);
  const std::vector<ParameterTensor>& tensors = model.parameters().tensors;
  struct Moments {
    const SafetensorsEntry* exp_avg;
    const SafetensorsEntry* exp_avg_sq;
  };
  std::vector<Moments> sources;
  for (const ParameterTensor& tensor : tensors) {
    const std::vector<std::uint64_t> shape = file_shape(tensor);
    sources.push_back({&require_entry(file, tensor.name + ".exp_avg", shape),
                       &require_entry(file, tensor.name + ".exp_avg_sq", shape)});
  }
  if (file.entries().size() != 2 * tensors.size()) {
    mismatch(file, "it holds " + std::to_string(file.entries().size()) + " tensors, and the model's optimizer " +
                       std::to_string(2 * tensors.size()));
  }
  std::vector<float> exp_avg;
  std::vector<float> exp_avg_sq;
  for (std::size_t index = 0; index < tensors.size(); ++index) {
    read_values(file, *sources[index].exp_avg, exp_avg);
    read_values(file, *sources[index].exp_avg_sq, exp_avg_sq);
    model.write_moments(tensors[index].name, exp_avg, exp_avg_sq);
  }
}

void save_optimizer(const Gpt2Model& model, const std::string& path) {
  if (!model.is_prepared()) {
    throw Error("TRAINING_NOT_PREPARED", "There is no optimizer state to save; call prepareTraining first.");
  }
  // The model hands out both moments at once: the second is kept from the first's call.
  std::vector<float> exp_avg_sq;
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
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
