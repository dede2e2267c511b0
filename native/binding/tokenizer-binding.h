// NativeTokenizer: a tokenizer as a JavaScript object. Encoding one text and looking things up answer at once; batches
// and files go to another thread.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <napi.h>

#include <memory>

namespace assay::binding {

class TokenizerObject : public Napi::ObjectWrap<TokenizerObject> {
public:
  using Constructor = std::shared_ptr<Napi::FunctionReference>;

  using SharedTokenizer = std::shared_ptr<const TextTokenizer>;

  static Constructor define(Napi::Env env);
  static Napi::Object create(Napi::Env env, const Constructor& constructor, Tokenizer tokenizer);
  static Napi::Object create(Napi::Env env, const Constructor& constructor, SharedTokenizer tokenizer);

  // The tokenizer behind a value passed by JavaScript; BAD_ARGUMENT when it is something else.
  static SharedTokenizer unwrap(const Napi::Value& value, const char* where);

  // Only create() calls it.
  explicit TokenizerObject(const Napi::CallbackInfo& info);

private:
  Napi::Value vocab_size(const Napi::CallbackInfo& info);
  Napi::Value end_of_text_id(const Napi::CallbackInfo& info);
  Napi::Value encode(const Napi::CallbackInfo& info);
  Napi::Value kind(const Napi::CallbackInfo& info);
  Napi::Value lowercases(const Napi::CallbackInfo& info);
  Napi::Value encode_text(const Napi::CallbackInfo& info);
  Napi::Value encode_texts(const Napi::CallbackInfo& info);
  Napi::Value piece(const Napi::CallbackInfo& info);
  Napi::Value id_of_piece(const Napi::CallbackInfo& info);
  Napi::Value role_id(const Napi::CallbackInfo& info);
  Napi::Value word_starts(const Napi::CallbackInfo& info);
  Napi::Value encode_batch(const Napi::CallbackInfo& info);
  Napi::Value decode(const Napi::CallbackInfo& info);
  Napi::Value token_bytes(const Napi::CallbackInfo& info);
  Napi::Value id_of_bytes(const Napi::CallbackInfo& info);
  Napi::Value merges(const Napi::CallbackInfo& info);
  Napi::Value words(const Napi::CallbackInfo& info);
  Napi::Value piece_scores(const Napi::CallbackInfo& info);
  Napi::Value word_piece_limits(const Napi::CallbackInfo& info);
  Napi::Value save_tokenizer_json(const Napi::CallbackInfo& info);
  Napi::Value save_vocab_txt(const Napi::CallbackInfo& info);
  Napi::Value save_vocab_and_merges(const Napi::CallbackInfo& info);
  Napi::Value save_sentencepiece(const Napi::CallbackInfo& info);

  // NOT_SUPPORTED for any other kind.
  const Tokenizer& byte_level(const char* where) const;

  SharedTokenizer tokenizer_;
};

// Adds loadTokenizer, tokenizerFromJson, loadVocabTxt, loadSentencePiece, loadFastBpe, loadVocabAndMerges,
// tokenizerFromRanks and createTokenizerTrainer to the exports.
void register_tokenizer(Napi::Env env, Napi::Object exports);

} // namespace assay::binding
