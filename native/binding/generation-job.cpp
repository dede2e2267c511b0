#include "binding/generation-job.h"

#include "binding/arguments.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace assay::binding {

namespace {

// A waking of the JavaScript thread costs the model some tens of microseconds of a core: two hundred a second are
// nothing, one for each token of a small model were felt.
constexpr std::chrono::milliseconds kBundleTime{5};

struct BundledToken {
  std::size_t request = 0;
  GeneratedToken token;
};
using Bundle = std::vector<BundledToken>;

// What both threads share. JavaScript handles in it are touched and destroyed on the JavaScript thread only.
struct Generation {
  Napi::Promise::Deferred deferred;
  Napi::ObjectReference owner;
  Napi::FunctionReference on_token; // may be empty
  // {thrown: what the callback threw}; the promise is then rejected with it.
  Napi::ObjectReference thrown;
  // The environment was ended from within the callback: nothing can be called or settled any more.
  bool is_abandoned = false;
  bool is_batch = false;
  bool has_text = false;
  std::vector<GenerationResult> results;
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

Napi::Object to_object(Napi::Env env, const GenerationResult& result, bool has_text) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("ids", new_id_array(env, result.ids));
  if (has_text) {
    object.Set("text", result.text);
  }
  object.Set("seconds", result.seconds);
  object.Set("promptSeconds", result.prompt_seconds);
  object.Set("stopReason", reason_text(result.stop_reason));
  object.Set("promptTokensDropped", static_cast<double>(result.prompt_tokens_dropped));
  object.Set("windowSlides", static_cast<double>(result.window_slides));
  return object;
}

Napi::Object to_object(Napi::Env env, const GeneratedToken& token, bool has_text) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("id", token.id);
  object.Set("logprob", token.logprob);
  object.Set("index", static_cast<double>(token.index));
  if (has_text) {
    object.Set("text", token.text);
  }
  if (!token.alternatives.empty()) {
    Napi::Array alternatives = Napi::Array::New(env, token.alternatives.size());
    for (std::size_t i = 0; i < token.alternatives.size(); ++i) {
      Napi::Object alternative = Napi::Object::New(env);
      alternative.Set("id", token.alternatives[i].id);
      alternative.Set("logprob", token.alternatives[i].logprob);
      alternatives.Set(static_cast<std::uint32_t>(i), alternative);
    }
    object.Set("alternatives", alternatives);
  }
  return object;
}

// The callback is called without node-addon-api's exceptions: where it ends a worker (process.exit), there is an
// exception pending that is no value, and to wrap it would end the process.
void hand_over(Napi::Env env, Generation& generation, const BundledToken& bundled, std::atomic<bool>& cancelled) {
  if (generation.is_abandoned || !generation.thrown.IsEmpty()) {
    return;
  }
  const Napi::HandleScope scope(env);
  const napi_value arguments[] = {to_object(env, bundled.token, generation.has_text),
                                  Napi::Number::New(env, static_cast<double>(bundled.request))};
  napi_value result = nullptr;
  if (napi_call_function(env, env.Undefined(), generation.on_token.Value(), generation.is_batch ? 2 : 1, arguments,
                         &result) == napi_ok) {
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

// On the model's thread: gathers tokens and hands them over now and then.
class Bundler {
public:
  Bundler(ModelThread& thread, Generation* generation, std::shared_ptr<std::atomic<bool>> cancelled)
      : thread_(thread), generation_(generation), cancelled_(std::move(cancelled)) {}

  void add(std::size_t request, const GeneratedToken& token) {
    waiting_.push_back({request, token});
    const auto now = std::chrono::steady_clock::now();
    if (now - handed_over_ >= kBundleTime) {
      hand_over_all();
      handed_over_ = now;
    }
  }

  void hand_over_all() {
    if (waiting_.empty()) {
      return;
    }
    // A plain pointer: the job, which owns it, is delivered after every token.
    auto bundle = std::make_shared<const Bundle>(std::exchange(waiting_, {}));
    thread_.deliver([generation = generation_, cancelled = cancelled_, bundle](Napi::Env env) {
      for (const BundledToken& bundled : *bundle) {
        hand_over(env, *generation, bundled, *cancelled);
      }
    });
  }

private:
  ModelThread& thread_;
  Generation* generation_;
  std::shared_ptr<std::atomic<bool>> cancelled_;
  Bundle waiting_;
  std::chrono::steady_clock::time_point handed_over_; // long ago: the first token goes at once
};

Napi::Value results_of(Napi::Env env, const Generation& generation) {
  if (!generation.is_batch) {
    return to_object(env, generation.results.front(), generation.has_text);
  }
  Napi::Array array = Napi::Array::New(env, generation.results.size());
  for (std::size_t i = 0; i < generation.results.size(); ++i) {
    array.Set(static_cast<std::uint32_t>(i), to_object(env, generation.results[i], generation.has_text));
  }
  return array;
}

Napi::Object start(Napi::Env env, const Napi::Object& owner, ModelThread& thread,
                   std::vector<GenerationRequest> requests, const Napi::Function& on_token, bool is_batch) {
  // The work holds the only reference that the model's thread has, and the job travels back whole: see
  // ModelThread::finish.
  auto generation = std::make_shared<Generation>(
      Generation{Napi::Promise::Deferred::New(env), Napi::Persistent(owner), {}, {}, false, is_batch, false, {}});
  if (!on_token.IsEmpty()) {
    generation->on_token = Napi::Persistent(on_token);
  }
  generation->has_text = std::any_of(requests.begin(), requests.end(),
                                     [](const GenerationRequest& request) { return bool(request.token_bytes); });
  auto cancelled = std::make_shared<std::atomic<bool>>(false);
  Napi::Object handle = Napi::Object::New(env);
  handle.Set("done", generation->deferred.Promise());
  handle.Set("cancel", Napi::Function::New(
                           env, [cancelled](const Napi::CallbackInfo&) { *cancelled = true; }, "cancel"));

  const auto work = [generation, cancelled, &thread, hears = !on_token.IsEmpty(),
                     requests = std::move(requests)](ModelState& state) {
    Bundler bundler(thread, generation.get(), cancelled);
    const auto hear = [&](std::size_t request, const GeneratedToken& token) {
      if (thread.stopping()) {
        *cancelled = true;
      }
      if (hears) {
        bundler.add(request, token);
      }
    };
    try {
      generation->results = generate_batch(state.require_model(), requests, hear, *cancelled);
    } catch (...) {
      // What was said before it failed is heard before the failure.
      bundler.hand_over_all();
      throw;
    }
    bundler.hand_over_all();
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
                          generation->deferred.Resolve(results_of(settle_env, *generation));
                        }
                      }});
  return handle;
}

} // namespace

Napi::Object start_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread, GenerationRequest request,
                              const Napi::Function& on_token) {
  std::vector<GenerationRequest> requests;
  requests.push_back(std::move(request));
  return start(env, owner, thread, std::move(requests), on_token, false);
}

Napi::Object start_batch_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread,
                                    std::vector<GenerationRequest> requests, const Napi::Function& on_token) {
  return start(env, owner, thread, std::move(requests), on_token, true);
}

Napi::Object to_object(Napi::Env env, const Scores& scores) {
  const std::size_t count = scores.tokens.size();
  // A vocabulary smaller than that has fewer.
  const std::size_t each = count > 0 ? scores.tokens.front().alternatives.size() : std::size_t{0};
  Napi::Float64Array logprobs = Napi::Float64Array::New(env, count);
  Napi::Uint32Array ranks = Napi::Uint32Array::New(env, count);
  Napi::Uint32Array ids = Napi::Uint32Array::New(env, count * each);
  Napi::Float64Array rivals = Napi::Float64Array::New(env, count * each);
  for (std::size_t i = 0; i < count; ++i) {
    const ScoredToken& token = scores.tokens[i];
    logprobs.Data()[i] = token.logprob;
    ranks.Data()[i] = static_cast<std::uint32_t>(token.rank);
    for (std::size_t k = 0; k < each; ++k) {
      ids.Data()[i * each + k] = static_cast<std::uint32_t>(token.alternatives[k].id);
      rivals.Data()[i * each + k] = token.alternatives[k].logprob;
    }
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("firstScored", static_cast<double>(scores.first_scored));
  object.Set("logprobs", logprobs);
  object.Set("ranks", ranks);
  object.Set("nats", scores.nats);
  object.Set("alternativesEach", static_cast<double>(each));
  object.Set("alternativeIds", ids);
  object.Set("alternativeLogprobs", rivals);
  return object;
}

} // namespace assay::binding
