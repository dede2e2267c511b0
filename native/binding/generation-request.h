// What JavaScript asks of generation and scoring, read and checked.
#pragma once

#include "engine/infer/generation.h"
#include "engine/infer/scoring.h"

#include <napi.h>

#include <vector>

namespace assay::binding {

GenerationRequest read_generation_request(const Napi::Object& object, const char* where);
std::vector<GenerationRequest> read_generation_requests(const Napi::Value& value, const char* where);
ScoringRequest read_scoring_request(const Napi::Object& object, const char* where);

} // namespace assay::binding
