// NativeTokenData: a mapped token cache as a JavaScript object. Running work holds the mapping, so close() never pulls
// it from under a step.
#pragma once

#include "engine/data/token-cache.h"

#include <napi.h>

#include <memory>

namespace assay::binding {

class TokenData : public Napi::ObjectWrap<TokenData> {
public:
  // Adds openTokenData to the exports.
  static void define(Napi::Env env, Napi::Object exports);
  // The cache behind a value passed by JavaScript; BAD_ARGUMENT when it is something else or closed.
  static std::shared_ptr<const TokenCache> unwrap(const Napi::Value& value, const char* where);

  explicit TokenData(const Napi::CallbackInfo& info);

private:
  const TokenCache& open() const;
  Napi::Value document_count(const Napi::CallbackInfo& info);
  Napi::Value token_count(const Napi::CallbackInfo& info);
  Napi::Value vocab_size(const Napi::CallbackInfo& info);
  Napi::Value end_of_text_id(const Napi::CallbackInfo& info);
  Napi::Value window_count(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<const TokenCache> cache_;
};

} // namespace assay::binding
