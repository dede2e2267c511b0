// A model's parameters twice over: as they lie in memory (one block, linear weights as (in, out), queries, keys and
// values in one matrix), and as Hugging Face names and shapes them, which is what files and callers see.
#pragma once

#include "engine/model/model-config.h"

#include <cstdint>
#include <string>
#include <vector>

namespace assay {

enum class ParameterKind {
  kEmbedding,
  kNormWeight,
  kNormBias,
  kLinearWeight,
  kResidualWeight,
  kLinearBias,
  kLoraA,
  kLoraB
};

// One tensor in memory.
struct StoredTensor {
  std::vector<std::int64_t> shape; // (rows, columns) or (columns)
  ParameterKind kind;
  DataType type = DataType::kF32;
  std::size_t offset_bytes = 0;        // from the start of the block; a multiple of 1024
  std::size_t scales_offset_bytes = 0; // int8 only: one float an output channel
  std::int64_t count = 0;
  bool is_head = false; // not part of the encoder or decoder: what a base model's file lacks

  std::int64_t rows() const { return shape.size() == 2 ? shape[0] : 1; }
  std::int64_t columns() const { return shape.back(); }
  // Int8 scales go by row in an embedding, by column in a linear weight.
  std::int64_t channels() const { return kind == ParameterKind::kEmbedding ? rows() : columns(); }
};

// One tensor as files name it: all of a stored tensor, or some of its columns, as it lies or transposed.
struct ParameterTensor {
  std::string name; // "transformer.h.0.attn.c_attn.weight", "bert.encoder.layer.0.attention.self.query.weight"
  std::vector<std::int64_t> shape;
  std::size_t stored = 0;
  std::int64_t first_column = 0;
  bool is_transposed = false;
  std::int64_t count = 0;
};

// A linear layer: places in ParameterLayout::stored.
struct LinearPlaces {
  std::size_t weight = 0;
  std::size_t bias = 0;
  bool has_bias = true;
  // The adapters on it, each on some of its columns.
  struct Adapter {
    std::size_t a = 0;
    std::size_t b = 0;
    std::int64_t first_column = 0;
    std::int64_t columns = 0;
    std::string module; // Hugging Face name of the layer it adapts
  };
  std::vector<Adapter> adapters;
};

struct NormPlaces {
  std::size_t weight = 0;
  std::size_t bias = 0;
};

struct BlockPlaces {
  NormPlaces norm_1, norm_2; // of attention and of the feed-forward layers
  LinearPlaces qkv, attention_output, up, down;
};

struct ParameterLayout {
  std::vector<StoredTensor> stored;
  std::vector<ParameterTensor> tensors; // in Hugging Face's order
  std::size_t size_bytes = 0;
  std::int64_t parameter_count = 0;         // of the model
  std::int64_t adapter_parameter_count = 0; // of its adapters, not counted above

  std::size_t token_embedding = 0;
  std::size_t position_embedding = 0;
  std::size_t token_type_embedding = 0; // encoders
  NormPlaces embedding_norm;            // BERT
  std::vector<BlockPlaces> blocks;
  NormPlaces final_norm;  // GPT-2, Megatron BERT
  LinearPlaces transform; // masked LM
  NormPlaces transform_norm;
  std::size_t vocabulary_bias = 0;
  LinearPlaces pooler;
  LinearPlaces head; // the small head

  // Throws TENSOR_UNKNOWN naming it. Also takes the name without "transformer." or "bert.".
  const ParameterTensor& find(const std::string& name) const;
};

// The prefix that a bare model's file leaves out: "transformer." or "bert.".
const char* base_prefix(Family family);

ParameterLayout parameter_layout(const ModelConfig& config);

} // namespace assay
