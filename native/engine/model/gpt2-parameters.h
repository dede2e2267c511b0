// GPT-2's parameters: what there are, under Hugging Face's names, and where each lies in the one block that holds them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

struct Gpt2Config {
  std::int64_t vocab_size = 0;
  std::int64_t max_seq_len = 0;
  std::int64_t n_layers = 0;
  std::int64_t n_heads = 0;
  std::int64_t d_model = 0;
  std::int64_t d_inner = 0; // 0: 4 · d_model
  float layer_norm_eps = 1e-5F;
  float embd_pdrop = 0.0F;
  float attn_pdrop = 0.0F;
  float resid_pdrop = 0.0F;
};

// The same configuration with d_inner filled in. Throws MODEL_CONFIG_INVALID naming the field.
Gpt2Config checked(Gpt2Config config);

enum class ParameterKind { kEmbedding, kPosition, kNormWeight, kNormBias, kLinearWeight, kResidualWeight, kLinearBias };

struct ParameterTensor {
  std::string name; // "transformer.h.0.attn.c_attn.weight"
  std::vector<std::int64_t> shape;
  ParameterKind kind;
  std::int64_t offset; // floats from the start of the block; a multiple of 16
  std::int64_t count;
};

// In Hugging Face's order: wte, wpe, h.0 …, ln_f. lm_head is tied to wte and not listed.
struct ParameterLayout {
  std::vector<ParameterTensor> tensors;
  std::int64_t total_count = 0;     // floats of the block, with the padding between tensors
  std::int64_t parameter_count = 0; // without it

  // Throws TENSOR_UNKNOWN naming it. Also takes the name without "transformer.".
  const ParameterTensor& find(const std::string& name) const;
};

ParameterLayout gpt2_parameter_layout(const Gpt2Config& config);

} // namespace assay
