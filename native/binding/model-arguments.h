// The model's configuration, training options and memory plan between JavaScript's spelling and the engine's.
#pragma once

#include "engine/infer/generation.h"
#include "engine/model/transformer.h"

#include <napi.h>

namespace assay::binding {

ModelConfig read_model_config(const Napi::Object& object);
TrainingOptions read_training_options(const Napi::Object& object, const char* where);
GenerationRequest read_generation_request(const Napi::Object& object);

Napi::Object to_object(Napi::Env env, const MemoryPlan& plan);

} // namespace assay::binding
