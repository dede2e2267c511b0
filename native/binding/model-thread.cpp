#include "binding/model-thread.h"

#include "engine/base/error.h"

#include <exception>

namespace assay::binding {

namespace {

// Far more than any caller has reason to queue; without a bound a loop that forgets to await would fill memory.
constexpr std::size_t kMostWaitingJobs = 1024;

const Failure kDisposed = {"ENGINE_DISPOSED", "This model is disposed; make a new one."};

} // namespace

TransformerModel& ModelState::require_model() {
  if (!model.has_value()) {
    model.emplace(*backend, config);
    // Whoever asks for narrow weights asks for speed.
    model->set_inference_precision(config.weight_type == DataType::kF32 ? Precision::kFp32 : Precision::kAmpBf16);
  }
  return *model;
}

const TrainingSetup& ModelState::require_training() const {
  if (!training.has_value()) {
    throw Error("TRAINING_NOT_PREPARED", "This model is not prepared for training; call prepareTraining first.");
  }
  return *training;
}

std::shared_ptr<LiveThreads> LiveThreads::create(Napi::Env env) {
  auto live = std::make_shared<LiveThreads>();
  const Napi::Object process = env.Global().Get("process").As<Napi::Object>();
  process.Get("on").As<Napi::Function>().Call(
      process, {Napi::String::New(env, "exit"),
                Napi::Function::New(
                    env, [live](const Napi::CallbackInfo&) { live->stop_all(); }, "stopAssayModels")});
  return live;
}

void LiveThreads::stop_all() {
  for (ModelThread* thread : threads_) {
    thread->dispose();
  }
  for (ModelThread* thread : threads_) {
    thread->stop();
  }
}

ModelThread::ModelThread(Napi::Env env, std::shared_ptr<LiveThreads> live, std::unique_ptr<Backend> backend,
                         const ModelConfig& config)
    : env_(env), live_(std::move(live)) {
  state_.backend = std::move(backend);
  state_.config = config;
  wake_ = Wake::New(env, "assay model", 0, 1, this);
  wake_.Unref(env);
  napi_add_env_cleanup_hook(env, &ModelThread::on_environment_end, this);
  live_->add(this);
  thread_ = std::thread([this] { loop(); });
}

ModelThread::~ModelThread() {
  if (has_hook_) {
    napi_remove_env_cleanup_hook(env_, &ModelThread::on_environment_end, this);
  }
  live_->remove(this);
  stop();
}

// The environment ends (a worker's, or the process's own way out) with the model still there: no thread may call into
// it afterwards.
void ModelThread::on_environment_end(void* data) {
  auto* self = static_cast<ModelThread*>(data);
  self->has_hook_ = false;
  self->stop();
}

void ModelThread::stop() {
  dispose();
  if (thread_.joinable()) {
    thread_.join();
    wake_.Abort();
  }
  waiting_.clear();
  outbox_.clear();
}

void ModelThread::submit(Napi::Env env, Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      throw Error(kDisposed.code, kDisposed.message);
    }
    if (waiting_.size() >= kMostWaitingJobs) {
      throw Error("ENGINE_BUSY", "The model already has " + std::to_string(kMostWaitingJobs) +
                                     " calls waiting; await some before making more.");
    }
    waiting_.push_back(std::move(job));
  }
  changed_.notify_one();
  if (unsettled_++ == 0) {
    wake_.Ref(env);
  }
}

void ModelThread::dispose() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
}

void ModelThread::loop() {
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) {
        break;
      }
      job = std::move(waiting_.front());
      waiting_.pop_front();
    }
    std::optional<Failure> failure;
    if (stopping_) {
      failure = kDisposed;
    } else {
      try {
        job.work(state_);
      } catch (...) {
        failure = describe_failure(std::current_exception());
      }
    }
    finish(std::move(job), std::move(failure));
  }
  // Freed where it was made: the pages and the OpenMP team belong to this thread. The backend stays for arithmetic.
  state_.model.reset();
  state_.batch = {};
  if (state_.backend != nullptr) {
    state_.backend->release_workspace();
  }
}

void ModelThread::finish(Job job, std::optional<Failure> failure) {
  // The job moves on whole, so that what it holds is destroyed on the JavaScript thread.
  auto shared = std::make_shared<Job>(std::move(job));
  deliver([this, shared = std::move(shared), failure = std::move(failure)](Napi::Env env) {
    if (--unsettled_ == 0) {
      wake_.Unref(env);
    }
    shared->settle(env, failure);
  });
}

void ModelThread::deliver(Delivery delivery) {
  bool is_first = false;
  {
    const std::lock_guard lock(mutex_);
    is_first = outbox_.empty();
    outbox_.push_back(std::move(delivery));
  }
  if (is_first) {
    wake_.NonBlockingCall();
  }
}

void ModelThread::on_wake(Napi::Env env, Napi::Function, ModelThread* self, void*) {
  // Without an environment the process is ending; stop() clears the outbox.
  if (static_cast<napi_env>(env) != nullptr && self != nullptr) {
    self->drain(env);
  }
}

void ModelThread::drain(Napi::Env env) {
  std::vector<Delivery> deliveries;
  {
    const std::lock_guard lock(mutex_);
    deliveries.swap(outbox_);
  }
  for (Delivery& delivery : deliveries) {
    const Napi::HandleScope scope(env);
    try {
      delivery(env);
    } catch (const Napi::Error& error) {
      // Nobody's promise can take it; the deliveries after it must still arrive.
      napi_fatal_exception(env, error.Value());
    }
    delivery = nullptr;
  }
}

} // namespace assay::binding
