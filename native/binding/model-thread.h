// The one thread on which everything of one model happens. OpenMP keeps a team of threads for each thread that opens a
// parallel region, so work that moved between pool threads would make a team each time. Jobs run in the order given;
// results and streamed tokens return to the JavaScript thread through one thread-safe function that never blocks.
#pragma once

#include "binding/failure.h"
#include "binding/model-arguments.h"

#include "engine/data/language-batch.h"
#include "engine/data/token-cache.h"
#include "engine/model/transformer.h"

#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace assay::binding {

// What lives on the model's thread. The model itself is made by the first job, so that planning needs no memory.
struct ModelState {
  std::unique_ptr<Backend> backend;
  ModelConfig config;
  std::optional<TransformerModel> model;
  std::optional<TrainingSetup> training;
  std::vector<std::int32_t> batch;
  LanguageBatch language_batch;

  TransformerModel& require_model();
  const TrainingSetup& require_training() const;
};

class ModelThread;

// The threads of one JavaScript environment. process.exit() runs no cleanup hooks on the main thread, and a thread that
// still computes while the libraries' static objects are destroyed crashes: so the process's `exit` event stops them.
class LiveThreads : public std::enable_shared_from_this<LiveThreads> {
public:
  static std::shared_ptr<LiveThreads> create(Napi::Env env);
  void add(ModelThread* thread) { threads_.insert(thread); }
  void remove(ModelThread* thread) { threads_.erase(thread); }

private:
  void stop_all();

  std::set<ModelThread*> threads_;
};

class ModelThread {
public:
  // A job's work runs on the model's thread; `settle` runs on the JavaScript thread once, with what the work threw.
  struct Job {
    std::function<void(ModelState&)> work;
    std::function<void(Napi::Env, const std::optional<Failure>&)> settle;
  };
  using Delivery = std::function<void(Napi::Env)>;

  ModelThread(Napi::Env env, std::shared_ptr<LiveThreads> live, std::unique_ptr<Backend> backend,
              const ModelConfig& config);
  // On the JavaScript thread. Waits for the job that is running.
  ~ModelThread();
  ModelThread(const ModelThread&) = delete;
  ModelThread& operator=(const ModelThread&) = delete;

  // For questions that need no work: the configuration and the backend's arithmetic, which never change.
  const ModelConfig& config() const noexcept { return state_.config; }
  const Backend& backend() const noexcept { return *state_.backend; }

  // On the JavaScript thread. Throws ENGINE_DISPOSED, or ENGINE_BUSY when too many jobs wait.
  void submit(Napi::Env env, Job job);
  // A promise for a job: `work` makes a value on the model's thread, `convert` makes it a JavaScript value. `owner` is
  // kept alive until then.
  template <typename Work, typename Convert>
  Napi::Promise promise(Napi::Env env, const Napi::Object& owner, Work work, Convert convert);

  // From the model's thread, while a job runs: hands something to the JavaScript thread, in order with results.
  void deliver(Delivery delivery);

  // Waiting jobs fail with ENGINE_DISPOSED, the running one ends (evaluations and generations early), then the model's
  // memory is freed. Does not wait.
  void dispose();
  // Disposes and waits, on the JavaScript thread. What was not delivered then is not delivered any more.
  void stop();
  // Set once disposed; long jobs read it.
  const std::atomic<bool>& stopping() const noexcept { return stopping_; }

private:
  static void on_wake(Napi::Env env, Napi::Function, ModelThread* self, void*);
  static void on_environment_end(void* data);
  using Wake = Napi::TypedThreadSafeFunction<ModelThread, void, &ModelThread::on_wake>;

  void loop();
  void drain(Napi::Env env);
  void finish(Job job, std::optional<Failure> failure);

  ModelState state_;
  Wake wake_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> waiting_;
  std::vector<Delivery> outbox_;
  std::atomic<bool> stopping_{false};
  // Jobs not settled yet; touched on the JavaScript thread alone. While there are any, the event loop is kept alive.
  std::size_t unsettled_ = 0;
  Napi::Env env_;
  std::shared_ptr<LiveThreads> live_;
  std::thread thread_;
  bool has_hook_ = true;
};

template <typename Work, typename Convert>
Napi::Promise ModelThread::promise(Napi::Env env, const Napi::Object& owner, Work work, Convert convert) {
  using Value = decltype(work(std::declval<ModelState&>()));
  // Shared, because std::function copies; all of it is destroyed on the JavaScript thread.
  struct Call {
    Napi::Promise::Deferred deferred;
    Napi::ObjectReference owner;
    std::optional<Value> value;
  };
  auto call = std::make_shared<Call>(Call{Napi::Promise::Deferred::New(env), Napi::Persistent(owner), std::nullopt});
  const Napi::Promise promise = call->deferred.Promise();
  submit(env, {[call, work = std::move(work)](ModelState& state) mutable { call->value.emplace(work(state)); },
               [call, convert = std::move(convert)](Napi::Env settle_env, const std::optional<Failure>& failure) {
                 if (failure.has_value()) {
                   call->deferred.Reject(to_error(settle_env, *failure).Value());
                   return;
                 }
                 try {
                   call->deferred.Resolve(convert(settle_env, std::move(*call->value)));
                 } catch (const Napi::Error& error) {
                   // JavaScript's heap may be too small for the result.
                   call->deferred.Reject(error.Value());
                 }
               }});
  return promise;
}

} // namespace assay::binding
