// The model's configuration, training options and memory plan between JavaScript's spelling and the engine's.
#pragma once

#include "engine/data/language-batch.h"
#include "engine/model/transformer.h"

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

namespace assay::binding {

struct ModelOptions {
  std::string device = "cpu";
  int threads = 0; // 0: all cores
  DataType weight_type = DataType::kF32;
  LoraConfig lora;
};

// What the engine's options leave to the one who makes its batches.
struct TrainingSetup {
  TrainingOptions training;
  bool document_mask = false;
  std::optional<MaskingOptions> masking;
};

// A batch that owns its values.
struct OwnedBatch {
  std::vector<std::int32_t> tokens, token_types, positions, segments, targets, sentence_targets;
  std::int64_t batch = 0;
  std::int64_t seq_len = 0;
  std::int64_t choices = 1;
  Batch view() const;
};

ModelConfig read_model_config(const Napi::Object& object, const ModelOptions& options, const char* where);
ModelOptions read_model_options(const Napi::Object& object, const char* where);
TrainingSetup read_training_setup(const Napi::Object& object, const char* where);
MaskingOptions read_masking(const Napi::Object& object, const char* where);
OwnedBatch read_batch(const Napi::Object& object, const char* where);

Napi::Object to_object(Napi::Env env, const MemoryPlan& plan);

} // namespace assay::binding
