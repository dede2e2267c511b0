// The one place where an engine exception becomes a JavaScript error: `code` and a sentence. Work on other threads
// keeps what it caught as a Failure until it is back on the JavaScript thread.
#pragma once

#include <napi.h>

#include <exception>
#include <string>

namespace assay::binding {

struct Failure {
  std::string code;
  std::string message;
};

// What was thrown: the engine's own code, OUT_OF_MEMORY for bad_alloc, BUG for anything else.
Failure describe_failure(const std::exception_ptr& thrown);

Napi::Error to_error(Napi::Env env, const Failure& failure);

// Runs a method's body; whatever it throws reaches JavaScript as an error with a code.
template <typename Body> auto guarded(Napi::Env env, Body body) {
  try {
    return body();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_error(env, describe_failure(std::current_exception()));
  }
}

} // namespace assay::binding
