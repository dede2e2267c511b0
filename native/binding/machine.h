// What the engine runs on, for `assay doctor` and for the record of a run.
#pragma once

#include <napi.h>

namespace assay::binding {

// NativeMachine of src/core/engine/addon.ts.
Napi::Value machine(const Napi::CallbackInfo& info);

} // namespace assay::binding
