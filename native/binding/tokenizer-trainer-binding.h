// NativeTokenizerTrainer: words are counted, and a tokenizer of any kind is learned from the counts. Its calls run on
// another thread, one after the other in the order they were made, whether or not the caller waits in between.
#pragma once

#include "binding/tokenizer-binding.h"
#include "binding/tokenizer-work.h"

#include "engine/tokenizer/tokenizer-trainer.h"

#include <napi.h>

#include <atomic>
#include <deque>
#include <memory>

namespace assay::binding {

class TrainerObject : public Napi::ObjectWrap<TrainerObject> {
public:
  // Adds createTokenizerTrainer to the exports.
  static void define(Napi::Env env, Napi::Object exports, const TokenizerObject::Constructor& tokenizers);

  explicit TrainerObject(const Napi::CallbackInfo& info);

private:
  Napi::Value add(const Napi::CallbackInfo& info);
  Napi::Value train(const Napi::CallbackInfo& info);
  Napi::Value word_count(const Napi::CallbackInfo& info);
  Napi::Value distinct_words(const Napi::CallbackInfo& info);
  Napi::Value byte_count(const Napi::CallbackInfo& info);
  Napi::Value min_word_count(const Napi::CallbackInfo& info);
  Napi::Value words_left_out(const Napi::CallbackInfo& info);
  Napi::Value temporary_bytes(const Napi::CallbackInfo& info);
  Napi::Value memory_bytes(const Napi::CallbackInfo& info);

  Napi::Value enqueue(const Napi::CallbackInfo& info, PromiseWork::Run run, PromiseWork::Settle settle,
                      PromiseWork::Done done = {});
  void start_next();
  void check_not_broken() const;

  std::shared_ptr<TokenizerTrainer> trainer_;
  TokenizerObject::Constructor tokenizers_;
  // The front one is running, if any. Each deletes itself.
  std::deque<PromiseWork*> queue_;
  // Set by the working thread when counting failed halfway; the counts are then not to be trusted.
  std::shared_ptr<std::atomic<bool>> is_broken_ = std::make_shared<std::atomic<bool>>(false);
  // As of the last call that ended: the working thread owns the live ones.
  double word_count_ = 0;
  double byte_count_ = 0;
  double memory_bytes_ = 0;
  double temporary_bytes_ = 0;
  // Of the last training.
  double min_word_count_ = 1;
  double words_left_out_ = 0;
};

} // namespace assay::binding
