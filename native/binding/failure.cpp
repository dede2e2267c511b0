#include "binding/failure.h"

#include "engine/base/error.h"

#include <new>

namespace assay::binding {

Failure describe_failure(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  } catch (const std::bad_alloc&) {
    return {"OUT_OF_MEMORY",
            "The system gave no more memory; close other programs or lower the microbatch size or the model's size."};
  } catch (const std::exception& error) {
    return {"BUG", std::string("The engine failed in a way it should not: ") + error.what() + "."};
  } catch (...) {
    return {"BUG", "The engine failed in a way it should not."};
  }
}

Napi::Error to_error(Napi::Env env, const Failure& failure) {
  Napi::Error error = Napi::Error::New(env, failure.message);
  error.Set("code", Napi::String::New(env, failure.code));
  return error;
}

} // namespace assay::binding
