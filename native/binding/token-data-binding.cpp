#include "binding/token-data-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"

#include "engine/base/error.h"
#include "engine/data/mds-tokens.h"

#include <limits>

namespace assay::binding {

namespace {

// Tells a TokenData from every other object, also from one of another addon.
constexpr napi_type_tag kTypeTag = {0x6b0f4c3e9d2a4b71, 0x8e57c1d0a94f2367};

constexpr double kLargestInt32 = std::numeric_limits<std::int32_t>::max();
constexpr double kLargestU32 = std::numeric_limits<std::uint32_t>::max();

MdsTokenLayout read_layout(const Napi::Object& shard, const char* where) {
  MdsTokenLayout layout;
  layout.samples = static_cast<std::uint64_t>(integer_field(shard, "samples", where, 0, kLargestU32));
  const Napi::Value sizes = shard.Get("columnSizes");
  if (!sizes.IsArray()) {
    bad_argument(where, "columnSizes must be an array");
  }
  const auto columns = sizes.As<Napi::Array>();
  for (std::uint32_t column = 0; column < columns.Length(); ++column) {
    const Napi::Value size = columns.Get(column);
    if (size.IsNull()) {
      layout.column_sizes.emplace_back(std::nullopt);
      continue;
    }
    const double bytes = size.IsNumber() ? size.As<Napi::Number>().DoubleValue() : -1;
    if (!(bytes >= 0 && bytes <= kLargestU32)) {
      bad_argument(where, "columnSizes must hold null or the bytes of a column");
    }
    layout.column_sizes.emplace_back(static_cast<std::uint64_t>(bytes));
  }
  layout.token_column = static_cast<std::size_t>(integer_field(shard, "tokenColumn", where, 0, kLargestU32));
  layout.encoding = string_field(shard, "encoding", where);
  layout.bytes_per_id = static_cast<std::uint32_t>(integer_field(shard, "tokenBytes", where, 2, 8));
  layout.vocab_size = static_cast<std::uint32_t>(integer_field(shard, "vocabSize", where, 0, kLargestInt32));
  return layout;
}

std::uint32_t seq_len_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where) {
  return static_cast<std::uint32_t>(integer_argument(info, index, where, "seqLen", 1, kLargestInt32));
}

// Views of the memory that JavaScript holds: they are used up before the call returns.
std::span<std::int32_t> out_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_int32_array) {
    bad_argument(where, "out must be an Int32Array");
  }
  auto array = info[index].As<Napi::Int32Array>();
  return {array.Data(), array.ElementLength()};
}

std::span<const std::uint32_t> numbers_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where,
                                                const char* name) {
  if (!info[index].IsTypedArray() || info[index].As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array) {
    bad_argument(where, std::string(name) + " must be a Uint32Array");
  }
  const auto array = info[index].As<Napi::Uint32Array>();
  return {array.Data(), array.ElementLength()};
}

} // namespace

void TokenData::define(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = DefineClass(env, "TokenData",
                                                 {
                                                     InstanceAccessor<&TokenData::document_count>("documentCount"),
                                                     InstanceAccessor<&TokenData::token_count>("tokenCount"),
                                                     InstanceAccessor<&TokenData::vocab_size>("vocabSize"),
                                                     InstanceAccessor<&TokenData::end_of_text_id>("endOfTextId"),
                                                     InstanceMethod<&TokenData::window_count>("windowCount"),
                                                     InstanceMethod<&TokenData::copy_tokens>("copyTokens"),
                                                     InstanceMethod<&TokenData::copy_windows>("copyWindows"),
                                                     InstanceMethod<&TokenData::close>("close"),
                                                 });
  auto reference = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  reference->SuppressDestruct();
  exports.Set("openTokenData", Napi::Function::New(
                                   env,
                                   [reference](const Napi::CallbackInfo& info) {
                                     return guarded(info.Env(), [&]() -> Napi::Value {
                                       string_argument(info, 0, "openTokenData", "directory");
                                       return reference->New({info[0]});
                                     });
                                   },
                                   "openTokenData"));
  exports.Set("openTokenShard", Napi::Function::New(
                                    env,
                                    [reference](const Napi::CallbackInfo& info) {
                                      return guarded(info.Env(), [&]() -> Napi::Value {
                                        return reference->New({object_argument(info, 0, "openTokenShard", "shard")});
                                      });
                                    },
                                    "openTokenShard"));
}

std::shared_ptr<const TokenCache> TokenData::unwrap(const Napi::Value& value, const char* where) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    bad_argument(where, "data must come from openTokenData");
  }
  const TokenData* data = Napi::ObjectWrap<TokenData>::Unwrap(value.As<Napi::Object>());
  data->open();
  if (data->cache_ == nullptr) {
    bad_argument(where, "data must come from openTokenData, not from openTokenShard");
  }
  return data->cache_;
}

TokenData::TokenData(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TokenData>(info) {
  guarded(info.Env(), [&] {
    if (info[0].IsObject()) {
      constexpr const char* kWhere = "openTokenShard";
      const auto shard = info[0].As<Napi::Object>();
      const std::string file = string_field(shard, "file", kWhere);
      text_ = std::make_shared<const MdsTokens>(FileBytes(file), read_layout(shard, kWhere));
    } else {
      cache_ = std::make_shared<const TokenCache>(string_argument(info, 0, "openTokenData", "directory"));
      text_ = cache_;
    }
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  });
}

const TokenText& TokenData::open() const {
  if (text_ == nullptr) {
    throw Error("ENGINE_DISPOSED", "This token data is closed; open it again with openTokenData or openTokenShard.");
  }
  return *text_;
}

const TokenCache& TokenData::open_cache() const {
  open();
  if (cache_ == nullptr) {
    throw Error("NOT_SUPPORTED", "A shard of tokens knows no documents; only a token cache does.");
  }
  return *cache_;
}

Napi::Value TokenData::document_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return Napi::Number::New(info.Env(), static_cast<double>(open_cache().document_count())); });
}

Napi::Value TokenData::token_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(open().token_count())); });
}

Napi::Value TokenData::vocab_size(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), open().vocab_size()); });
}

Napi::Value TokenData::end_of_text_id(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), open_cache().end_of_text_id()); });
}

Napi::Value TokenData::window_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::uint32_t seq_len = seq_len_argument(info, 0, "windowCount");
    return Napi::Number::New(info.Env(), static_cast<double>(open().window_count(seq_len)));
  });
}

void TokenData::copy_tokens(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const std::int64_t begin = integer_argument(info, 0, "copyTokens", "begin", 0, kLargestSafeInteger);
    open().copy_tokens(static_cast<std::uint64_t>(begin), out_argument(info, 1, "copyTokens"));
  });
}

void TokenData::copy_windows(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    constexpr const char* kWhere = "copyWindows";
    const auto windows = numbers_argument(info, 0, kWhere, "windows");
    const auto rows =
        info[3].IsUndefined() ? std::span<const std::uint32_t>() : numbers_argument(info, 3, kWhere, "rows");
    open().copy_windows(windows, seq_len_argument(info, 1, kWhere), out_argument(info, 2, kWhere), rows);
  });
}

void TokenData::close(const Napi::CallbackInfo&) {
  text_.reset();
  cache_.reset();
}

} // namespace assay::binding
