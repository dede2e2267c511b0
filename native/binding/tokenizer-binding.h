// NativeTokenizer: a tokenizer as a JavaScript object. Encoding one text and looking things up answer at once; batches
// and files go to another thread.
#pragma once

#include "engine/tokenizer/encoder.h"

#include <napi.h>

#include <memory>

namespace assay::binding {

class TokenizerObject : public Napi::ObjectWrap<TokenizerObject> {
public:
  using Constructor = std::shared_ptr<Napi::FunctionReference>;

  static Constructor define(Napi::Env env);
  static Napi::Object create(Napi::Env env, const Constructor& constructor, Tokenizer tokenizer);

  // The tokenizer behind a value passed by JavaScript; BAD_ARGUMENT when it is something else.
  static std::shared_ptr<const Tokenizer> unwrap(const Napi::Value& value, const char* where);

  // Only create() calls it.
  explicit TokenizerObject(const Napi::CallbackInfo& info);

private:
  Napi::Value vocab_size(const Napi::CallbackInfo& info);
  Napi::Value end_of_text_id(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value encode_batch(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value token_bytes(const Napi::CallbackInfo& info);
  Napi::Value id_of_bytes(const Napi::CallbackInfo& info);
  Napi::Value merges(const Napi::CallbackInfo& info);
  Napi::Value save_tokenizer_json(const Napi::CallbackInfo& info);
  Napi::Value save_vocab_and_merges(const Napi::CallbackInfo& info);

  std::shared_ptr<EncoderPool> encoders_;
};

// Adds loadTokenizer, loadVocabAndMerges, tokenizerFromRanks and createTokenizerTrainer to the exports.
void register_tokenizer(Napi::Env env, Napi::Object exports);

} // namespace assay::binding
