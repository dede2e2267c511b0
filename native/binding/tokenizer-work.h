// A promise for work that a libuv thread does: run() there, then settle() back on the JavaScript thread. What run()
// throws becomes the rejection, with its code.
#pragma once

#include "binding/failure.h"

#include <napi.h>

#include <exception>
#include <functional>
#include <optional>
#include <utility>

namespace assay::binding {

class PromiseWork final : public Napi::AsyncWorker {
public:
  using Run = std::function<void()>;
  // What the promise resolves to; a Napi::Error it throws rejects.
  using Settle = std::function<Napi::Value(Napi::Env)>;
  // Called on the JavaScript thread after the promise has settled, either way.
  using Done = std::function<void()>;

  // `owner` is kept alive until the promise is settled. Deletes itself.
  PromiseWork(const Napi::Object& owner, Run run, Settle settle, Done done = {})
      : Napi::AsyncWorker(owner.Env(), "assay-tokenizer"), deferred_(Napi::Promise::Deferred::New(owner.Env())),
        owner_(Napi::Persistent(owner)), run_(std::move(run)), settle_(std::move(settle)), done_(std::move(done)) {}

  Napi::Promise promise() const { return deferred_.Promise(); }

private:
  void Execute() override {
    try {
      run_();
    } catch (...) {
      failure_ = describe_failure(std::current_exception());
    }
  }

  void OnOK() override {
    const Napi::HandleScope scope(Env());
    if (failure_.has_value()) {
      deferred_.Reject(to_error(Env(), *failure_).Value());
    } else {
      try {
        deferred_.Resolve(settle_(Env()));
      } catch (const Napi::Error& error) {
        deferred_.Reject(error.Value());
      } catch (...) {
        deferred_.Reject(to_error(Env(), describe_failure(std::current_exception())).Value());
      }
    }
    if (done_) {
      done_();
    }
  }

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference owner_;
  Run run_;
  Settle settle_;
  Done done_;
  std::optional<Failure> failure_;
};

} // namespace assay::binding
