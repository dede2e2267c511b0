// One generation: tokens stream to a JavaScript callback while the model's thread works, the promise settles after the
// last of them, and cancel() ends it at the next token.
#pragma once

#include "binding/model-thread.h"

#include "engine/infer/generation.h"

#include <napi.h>

namespace assay::binding {

// Queues the generation and returns {done, cancel}. `owner` is kept alive until it is settled.
Napi::Object start_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread, GenerationRequest request,
                              const Napi::Function& on_token);

} // namespace assay::binding
