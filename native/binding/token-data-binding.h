// NativeTokenData and NativeTokenText: a mapped token cache, or the tokens of a mapped shard, as a JavaScript object.
// Running work holds the mapping, so close() never pulls it from under a step.
#pragma once

#include "engine/data/token-cache.h"

#include <napi.h>

#include <memory>

namespace assay::binding {

class TokenData : public Napi::ObjectWrap<TokenData> {
public:
  // Adds openTokenData and openTokenShard to the exports.
  static void define(Napi::Env env, Napi::Object exports);
  // The cache behind a value passed by JavaScript; BAD_ARGUMENT when it is something else, a shard or closed.
  static std::shared_ptr<const TokenCache> unwrap(const Napi::Value& value, const char* where);

  // A folder's path opens a token cache, an object a shard.
  explicit TokenData(const Napi::CallbackInfo& info);

private:
  const TokenText& open() const;
  // The same as a token cache; NOT_SUPPORTED for a shard, which knows no documents.
  const TokenCache& open_cache() const;
  Napi::Value document_count(const Napi::CallbackInfo& info);
  Napi::Value token_count(const Napi::CallbackInfo& info);
  Napi::Value vocab_size(const Napi::CallbackInfo& info);
  Napi::Value end_of_text_id(const Napi::CallbackInfo& info);
  Napi::Value window_count(const Napi::CallbackInfo& info);
  void copy_tokens(const Napi::CallbackInfo& info);
  void copy_windows(const Napi::CallbackInfo& info);
  void close(const Napi::CallbackInfo& info);

  std::shared_ptr<const TokenText> text_;
  // The same object, where it is a token cache.
  std::shared_ptr<const TokenCache> cache_;
};

} // namespace assay::binding
