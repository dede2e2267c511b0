// A GPT-2 model's weights and optimizer state as safetensors files, under the names of Hugging Face Transformers. A
// file is checked whole, every tensor's name, shape and type, before anything in the model changes.
#pragma once

#include "engine/model/gpt2.h"

#include <string>

namespace assay {

// F32, F16 or BF16; names with or without "transformer."; `lm_head.weight` may be there if it equals wte; the
// causal-mask buffers of older exports (`attn.bias`, `attn.masked_bias`) are passed over. Throws CHECKPOINT_MISMATCH
// naming the tensor.
void load_weights(Gpt2Model& model, const std::string& path);
void save_weights(const Gpt2Model& model, const std::string& path);

// `<tensor>.exp_avg` and `<tensor>.exp_avg_sq`, F32. Both need prepare_training().
void load_optimizer(Gpt2Model& model, const std::string& path);
void save_optimizer(const Gpt2Model& model, const std::string& path);

} // namespace assay
