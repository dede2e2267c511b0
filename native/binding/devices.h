// The devices that a model can be made on, by their names in recipes: "cpu", "cuda:0".
#pragma once

#include "engine/ops/backend.h"

#include <napi.h>

#include <memory>
#include <string>

namespace assay::binding {

// Throws BAD_ARGUMENT for a name that is none, CUDA_NOT_AVAILABLE with what is missing and what to do.
std::unique_ptr<Backend> create_backend(const std::string& device, int threads);

// For arithmetic alone, on the JavaScript thread. A GPU's is made once and kept: making one takes a good part of a
// second.
class PlanningBackend {
public:
  PlanningBackend(const std::string& device, int threads);
  const Backend& operator*() const { return *backend_; }

private:
  std::unique_ptr<Backend> own_;
  const Backend* backend_;
};

// NativeCuda of src/core/engine/addon.ts: driver, GPUs and cuBLASLt as they are found now.
Napi::Object cuda_object(Napi::Env env);

} // namespace assay::binding
