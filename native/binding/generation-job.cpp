#include "binding/generation-job.h"

#include "binding/arguments.h"

#include <atomic>
#include <memory>
#include <string>

namespace assay::binding {

namespace {

// What both threads share. JavaScript handles in it are touched and destroyed on the JavaScript thread only.
struct Generation {
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference owner;
  Napi::FunctionReference on_token;
  // {thrown: what the callback threw}; the promise is then rejected with it.
  Napi::ObjectReference thrown;
  // The environment was ended from within the callback: nothing can be called or settled any more.
  bool is_abandoned = false;
  GenerationResult result;
};

const char* reason_text(StopReason reason) {
  switch (reason) {
  case StopReason::kLength:
    return "length";
  case StopReason::kStop:
    return "stop";
  case StopReason::kCancelled:
    return "cancelled";
  }
  return "length";
}

Napi::Object to_object(Napi::Env env, const GenerationResult& result) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("ids", new_id_array(env, result.ids));
  object.Set("seconds", result.seconds);
  object.Set("promptSeconds", result.prompt_seconds);
  object.Set("stopReason", reason_text(result.stop_reason));
  object.Set("promptTokensDropped", static_cast<double>(result.prompt_tokens_dropped));
  object.Set("windowSlides", static_cast<double>(result.window_slides));
  return object;
}

// The callback is called without node-addon-api's exceptions: where it ends a worker (process.exit), there is an
// exception pending that is no value, and to wrap it would end the process.
void hand_over(Napi::Env env, Generation& generation, const GeneratedToken& token, std::atomic<bool>& cancelled) {
  if (generation.is_abandoned || !generation.thrown.IsEmpty()) {
    return;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", token.id);
  object.Set("logprob", token.logprob);
  object.Set("index", static_cast<double>(token.index));
  napi_value argument = object;
  napi_value result = nullptr;
  if (napi_call_function(env, env.Undefined(), generation.on_token.Value(), 1, &argument, &result) == napi_ok) {
    return;
  }
  cancelled = true;
  napi_value thrown = nullptr;
  napi_value holder = nullptr;
  if (napi_get_and_clear_last_exception(env, &thrown) == napi_ok && napi_create_object(env, &holder) == napi_ok &&
      napi_set_named_property(env, holder, "thrown", thrown) == napi_ok) {
    generation.thrown = Napi::Persistent(Napi::Object(env, holder));
  } else {
    generation.is_abandoned = true;
  }
}

} // namespace

Napi::Object start_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread, GenerationRequest request,
                              const Napi::Function& on_token) {
  // The work holds the only reference that the model's thread has, and the job travels back whole: see
  // ModelThread::finish.
  auto generation = std::make_shared<Generation>(Generation{
      Napi::Promise::Deferred::New(env), Napi::Persistent(owner), Napi::Persistent(on_token), {}, false, {}});
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("done", generation->deferred.Promise());
  handle.Set("cancel", Napi::Function::New(
                           env, [cancelled](const Napi::CallbackInfo&) { *cancelled = true; }, "cancel"));

  const auto work = [generation, cancelled, &thread, request = std::move(request)](ModelState& state) {
    Generation* const shared = generation.get();
    generation->result = generate(
        state.require_model(), request,
        [&](const GeneratedToken& token) {
          if (thread.stopping()) {
            *cancelled = true;
          }
          // A plain pointer: the job, which owns it, is delivered after every token.
          thread.deliver(
              [shared, cancelled, token](Napi::Env token_env) { hand_over(token_env, *shared, token, *cancelled); });
        },
        *cancelled);
  };
  thread.submit(env, {work, [generation](Napi::Env settle_env, const std::optional<Failure>& failure) {
                        if (generation->is_abandoned) {
                          return;
                        }
                        if (!generation->thrown.IsEmpty()) {
                          generation->deferred.Reject(generation->thrown.Get("thrown"));
                        } else if (failure.has_value()) {
                          generation->deferred.Reject(to_error(settle_env, *failure).Value());
                        } else {
                          generation->deferred.Resolve(to_object(settle_env, generation->result));
                        }
                      }});
  return handle;
}

} // namespace assay::binding
