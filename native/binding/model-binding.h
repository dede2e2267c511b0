// NativeModel: a model with a thread of its own as a JavaScript object. Methods check their arguments, queue work
// and return promises; nothing here computes.
#pragma once

#include "binding/model-thread.h"

#include <napi.h>

#include <memory>

namespace assay::binding {

class Model : public Napi::ObjectWrap<Model> {
public:
  // Adds createModel to the exports.
  static void define(Napi::Env env, Napi::Object exports);

  explicit Model(const Napi::CallbackInfo& info);

private:
  Napi::Value parameters(const Napi::CallbackInfo& info);
  Napi::Value initialize(const Napi::CallbackInfo& info);
  Napi::Value load_weights(const Napi::CallbackInfo& info);
  Napi::Value save_weights(const Napi::CallbackInfo& info);
  Napi::Value load_optimizer(const Napi::CallbackInfo& info);
  Napi::Value save_optimizer(const Napi::CallbackInfo& info);
  Napi::Value load_adapter(const Napi::CallbackInfo& info);
  Napi::Value save_adapter(const Napi::CallbackInfo& info);
  Napi::Value merge_adapter(const Napi::CallbackInfo& info);
  Napi::Value train_batch(const Napi::CallbackInfo& info);
  Napi::Value compute_batch_gradients(const Napi::CallbackInfo& info);
  Napi::Value predict(const Napi::CallbackInfo& info);
  Napi::Value predict_sentence_order(const Napi::CallbackInfo& info);
  Napi::Value trained_parameter_count(const Napi::CallbackInfo& info);
  Napi::Value read_tensor(const Napi::CallbackInfo& info);
  Napi::Value write_tensor(const Napi::CallbackInfo& info);
  Napi::Value read_gradient(const Napi::CallbackInfo& info);
  Napi::Value plan_training(const Napi::CallbackInfo& info);
  Napi::Value prepare_training(const Napi::CallbackInfo& info);
  Napi::Value train_step(const Napi::CallbackInfo& info);
  Napi::Value compute_gradients(const Napi::CallbackInfo& info);
  Napi::Value apply_update(const Napi::CallbackInfo& info);
  Napi::Value logits(const Napi::CallbackInfo& info);
  Napi::Value evaluate(const Napi::CallbackInfo& info);
  Napi::Value generate(const Napi::CallbackInfo& info);
  Napi::Value generate_batch(const Napi::CallbackInfo& info);
  Napi::Value score(const Napi::CallbackInfo& info);
  void dispose(const Napi::CallbackInfo& info);

  // The thread; ENGINE_DISPOSED once disposed.
  ModelThread& alive() const;
  template <typename Work, typename Convert>
  Napi::Value promise(const Napi::CallbackInfo& info, Work work, Convert convert);
  // For work without a result.
  template <typename Work> Napi::Value promise(const Napi::CallbackInfo& info, Work work);

  std::unique_ptr<ModelThread> thread_;
};

} // namespace assay::binding
