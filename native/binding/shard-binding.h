// What shards need of the engine: zstd off the JavaScript thread, and XXH64.
#pragma once

#include <napi.h>

namespace assay::binding {

void register_shards(Napi::Env env, Napi::Object exports);

} // namespace assay::binding
