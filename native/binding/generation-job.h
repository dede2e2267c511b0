// Generations: tokens stream to a JavaScript callback while the model's thread works, the promise settles after the
// last of them, and cancel() ends it at the next pass. Tokens travel in bundles, a few milliseconds' worth each,
// because to wake the JavaScript thread takes a core from the model; each is still an event of its own.
#pragma once

#include "binding/model-thread.h"

#include "engine/infer/generation.h"
#include "engine/infer/scoring.h"

#include <napi.h>

#include <vector>

namespace assay::binding {

// Queues the generation and returns {done, cancel}. `owner` is kept alive until it is settled. `on_token` is called
// with (token), the promise resolves to the result.
Napi::Object start_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread, GenerationRequest request,
                              const Napi::Function& on_token);
// The same for several side by side: `on_token`, which may be empty, is called with (token, number of the request), the
// promise resolves to an array of results.
Napi::Object start_batch_generation(Napi::Env env, const Napi::Object& owner, ModelThread& thread,
                                    std::vector<GenerationRequest> requests, const Napi::Function& on_token);

Napi::Object to_object(Napi::Env env, const Scores& scores);

} // namespace assay::binding
