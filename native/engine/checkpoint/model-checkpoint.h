// A model's weights and optimizer state in files, under the names of Hugging Face Transformers. A file is checked
// whole, every tensor's name, shape and type, before anything in the model changes.
#pragma once

#include "engine/model/transformer.h"

#include <string>
#include <vector>

namespace assay {

struct LoadReport {
  std::vector<std::string> missing;    // tensors of the model's head that the file lacks: they stay as they are
  std::vector<std::string> unexpected; // tensors of another head in the file
};

// A folder or file as open_tensor_source() takes it. F32, F16, BF16 or F64; names with or without the base's prefix;
// tied output layers may be there if they equal the embedding; buffers of older exports are passed over. With
// `allow_missing_head` the file may be of the same base with another head or none. Adapters are never in it. Throws
// CHECKPOINT_MISMATCH naming the tensor.
LoadReport load_weights(TransformerModel& model, const std::string& path, bool allow_missing_head = false);
// Without adapters, which have a file of their own.
void save_weights(const TransformerModel& model, const std::string& path);

// The adapters alone, as PEFT names them: `base_model.model.<module>.lora_A.weight`; and the small head where it is
// trained beside them.
void load_adapters(TransformerModel& model, const std::string& path);
void save_adapters(const TransformerModel& model, const std::string& path);

// `<tensor>.exp_avg` and `<tensor>.exp_avg_sq` of what is trained, F32. Both need prepare_training().
void load_optimizer(TransformerModel& model, const std::string& path);
void save_optimizer(const TransformerModel& model, const std::string& path);

} // namespace assay
