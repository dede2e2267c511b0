// assay.node: registers what src/core/engine/addon.ts describes.
#include "binding/arguments.h"
#include "binding/failure.h"
#include "binding/machine.h"
#include "binding/model-binding.h"
#include "binding/shard-binding.h"
#include "binding/token-data-binding.h"
#if defined(ASSAY_TOKENIZER_BINDING)
#include "binding/tokenizer-binding.h"
#endif

#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/tensor-source.h"
#include "engine/data/data-order.h"

#include <napi.h>

#include <limits>
#include <map>
#include <span>
#include <string>

namespace assay::binding {

namespace {

constexpr double kLargestU32 = std::numeric_limits<std::uint32_t>::max();

Napi::Value data_order(const Napi::CallbackInfo& info) {
  constexpr const char* kWhere = "dataOrder";
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const Napi::Object request = object_argument(info, 0, kWhere, "request");
    const std::int64_t windows = integer_field(request, "windowCount", kWhere, 1, kLargestU32);
    const std::int64_t seed = integer_field(request, "seed", kWhere, 0, kLargestSafeInteger);
    const std::int64_t epoch = integer_field(request, "epoch", kWhere, 0, kLargestU32);
    const std::int64_t from = integer_field(request, "from", kWhere, 0, static_cast<double>(windows));
    const std::int64_t to =
        integer_field(request, "to", kWhere, static_cast<double>(from), static_cast<double>(windows));
    const EpochPermutation permutation(static_cast<std::uint64_t>(windows), static_cast<std::uint64_t>(seed),
                                       static_cast<std::uint32_t>(epoch));
    Napi::Float64Array order = Napi::Float64Array::New(env, static_cast<std::size_t>(to - from));
    for (std::int64_t position = from; position < to; ++position) {
      order.Data()[position - from] = permutation.window_at(static_cast<std::uint32_t>(position));
    }
    return order;
  });
}

Napi::Array shape_array(Napi::Env env, std::span<const std::uint64_t> extents) {
  Napi::Array shape = Napi::Array::New(env, extents.size());
  for (std::size_t axis = 0; axis < extents.size(); ++axis) {
    shape.Set(static_cast<std::uint32_t>(axis), static_cast<double>(extents[axis]));
  }
  return shape;
}

Napi::Object metadata_object(Napi::Env env, const std::map<std::string, std::string>& entries) {
  Napi::Object metadata = Napi::Object::New(env);
  for (const auto& [key, value] : entries) {
    metadata.Set(key, value);
  }
  return metadata;
}

Napi::Value read_tensor_headers(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const auto source = open_tensor_source(string_argument(info, 0, "readTensorHeaders", "path"));
    Napi::Array tensors = Napi::Array::New(env, source->tensors().size());
    for (std::size_t index = 0; index < source->tensors().size(); ++index) {
      const SourceTensor& found = source->tensors()[index];
      Napi::Object tensor = Napi::Object::New(env);
      tensor.Set("name", found.name);
      tensor.Set("dtype", found.dtype);
      tensor.Set("shape", shape_array(env, found.shape));
      tensors.Set(static_cast<std::uint32_t>(index), tensor);
    }
    Napi::Object headers = Napi::Object::New(env);
    headers.Set("format", source->format());
    headers.Set("tensors", tensors);
    headers.Set("metadata", metadata_object(env, source->metadata()));
    return headers;
  });
}

Napi::Value read_safetensors_header(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return guarded(env, [&]() -> Napi::Value {
    const SafetensorsFile file(string_argument(info, 0, "readSafetensorsHeader", "file"));
    Napi::Array tensors = Napi::Array::New(env, file.entries().size());
    for (std::size_t index = 0; index < file.entries().size(); ++index) {
      const SafetensorsEntry& entry = file.entries()[index];
      Napi::Object tensor = Napi::Object::New(env);
      tensor.Set("name", entry.name);
      tensor.Set("dtype", entry.dtype);
      tensor.Set("shape", shape_array(env, entry.shape));
      tensor.Set("begin", static_cast<double>(entry.begin));
      tensor.Set("end", static_cast<double>(entry.end));
      tensors.Set(static_cast<std::uint32_t>(index), tensor);
    }
    Napi::Object header = Napi::Object::New(env);
    header.Set("tensors", tensors);
    header.Set("metadata", metadata_object(env, file.metadata()));
    return header;
  });
}

Napi::Object initialize_module(Napi::Env env, Napi::Object exports) {
  exports.Set("machine", Napi::Function::New(env, machine, "machine"));
  exports.Set("dataOrder", Napi::Function::New(env, data_order, "dataOrder"));
  exports.Set("readSafetensorsHeader", Napi::Function::New(env, read_safetensors_header, "readSafetensorsHeader"));
  exports.Set("readTensorHeaders", Napi::Function::New(env, read_tensor_headers, "readTensorHeaders"));
  Model::define(env, exports);
  TokenData::define(env, exports);
  register_shards(env, exports);
#if defined(ASSAY_TOKENIZER_BINDING)
  register_tokenizer(env, exports);
#endif
  return exports;
}

} // namespace

NODE_API_MODULE(assay, initialize_module)

} // namespace assay::binding
