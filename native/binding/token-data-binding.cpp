#include "binding/token-data-binding.h"

#include "binding/arguments.h"
#include "binding/failure.h"

#include "engine/base/error.h"

#include <limits>

namespace assay::binding {

namespace {

// Tells a TokenData from every other object, also from one of another addon.
constexpr napi_type_tag kTypeTag = {0x6b0f4c3e9d2a4b71, 0x8e57c1d0a94f2367};

} // namespace

void TokenData::define(Napi::Env env, Napi::Object exports) {
  const Napi::Function constructor = DefineClass(env, "TokenData",
                                                 {
                                                     InstanceAccessor<&TokenData::document_count>("documentCount"),
                                                     InstanceAccessor<&TokenData::token_count>("tokenCount"),
                                                     InstanceAccessor<&TokenData::vocab_size>("vocabSize"),
                                                     InstanceAccessor<&TokenData::end_of_text_id>("endOfTextId"),
                                                     InstanceMethod<&TokenData::window_count>("windowCount"),
                                                     InstanceMethod<&TokenData::close>("close"),
                                                 });
  auto reference = std::make_shared<Napi::FunctionReference>(Napi::Persistent(constructor));
  reference->SuppressDestruct();
  exports.Set("openTokenData", Napi::Function::New(
                                   env,
                                   [reference](const Napi::CallbackInfo& info) {
                                     return guarded(info.Env(),
                                                    [&]() -> Napi::Value { return reference->New({info[0]}); });
                                   },
                                   "openTokenData"));
}

std::shared_ptr<const TokenCache> TokenData::unwrap(const Napi::Value& value, const char* where) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kTypeTag)) {
    bad_argument(where, "data must come from openTokenData");
  }
  const TokenData* data = Napi::ObjectWrap<TokenData>::Unwrap(value.As<Napi::Object>());
  data->open();
  return data->cache_;
}

TokenData::TokenData(const Napi::CallbackInfo& info) : Napi::ObjectWrap<TokenData>(info) {
  guarded(info.Env(), [&] {
    cache_ = std::make_shared<const TokenCache>(string_argument(info, 0, "openTokenData", "directory"));
    info.This().As<Napi::Object>().TypeTag(&kTypeTag);
  });
}

const TokenCache& TokenData::open() const {
  if (cache_ == nullptr) {
    throw Error("ENGINE_DISPOSED", "This token data is closed; open it again with openTokenData.");
  }
  return *cache_;
}

Napi::Value TokenData::document_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(),
                 [&] { return Napi::Number::New(info.Env(), static_cast<double>(open().document_count())); });
}

Napi::Value TokenData::token_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), static_cast<double>(open().token_count())); });
}

Napi::Value TokenData::vocab_size(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), open().vocab_size()); });
}

Napi::Value TokenData::end_of_text_id(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] { return Napi::Number::New(info.Env(), open().end_of_text_id()); });
}

Napi::Value TokenData::window_count(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const std::int64_t seq_len =
        integer_argument(info, 0, "windowCount", "seqLen", 1, std::numeric_limits<std::int32_t>::max());
    return Napi::Number::New(info.Env(), static_cast<double>(open().window_count(static_cast<std::uint32_t>(seq_len))));
  });
}

void TokenData::close(const Napi::CallbackInfo&) {
  cache_.reset();
}

} // namespace assay::binding
