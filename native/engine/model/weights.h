// Where each parameter of a model lies, as the code that runs it wants them; and the same table of pointers into the
// gradients, where null means frozen.
#pragma once

#include "engine/model/parameters.h"
#include "engine/ops/backend.h"

#include <cstdint>
#include <vector>

namespace assay {

struct NormPointers {
  float* weight = nullptr;
  float* bias = nullptr;
};

// A low-rank adapter on some columns of a linear layer: A (in, rank), B (rank, columns). Matrix is WeightView for
// weights and float* for gradients.
template <class Matrix> struct AdapterPointers {
  Matrix a = {};
  Matrix b = {};
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
};

template <class Matrix> struct LinearPointers {
  Matrix weight = {};
  float* bias = nullptr;
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::vector<AdapterPointers<Matrix>> adapters;
};

template <class Matrix> struct BlockPointers {
  NormPointers norm_1, norm_2;
  LinearPointers<Matrix> qkv, attention_output, up, down;
};

template <class Matrix> struct ModelPointers {
  Matrix token_embedding = {};
  float* position_embedding = nullptr;
  float* token_type_embedding = nullptr;
  NormPointers embedding_norm;
  std::vector<BlockPointers<Matrix>> blocks;
  NormPointers final_norm;
  LinearPointers<Matrix> transform;
  NormPointers transform_norm;
  float* vocabulary_bias = nullptr;
  LinearPointers<Matrix> pooler, head;
};

using LinearWeights = LinearPointers<WeightView>;
using BlockWeights = BlockPointers<WeightView>;
using ModelWeights = ModelPointers<WeightView>;
using LinearGradients = LinearPointers<float*>;
using BlockGradients = BlockPointers<float*>;
using ModelGradients = ModelPointers<float*>;

// Fills the table: `matrix(index)` and `values(index)` say where stored tensor `index` lies.
template <class Matrix, class MatrixAt, class ValuesAt>
ModelPointers<Matrix> bind_pointers(const ModelConfig& config, const ParameterLayout& layout, const MatrixAt& matrix,
                                    const ValuesAt& values) {
  const auto norm = [&](const NormPlaces& places) {
    // One without the other is never computed.
    NormPointers pointers{values(places.weight), values(places.bias)};
    return pointers.weight != nullptr && pointers.bias != nullptr ? pointers : NormPointers{};
  };
  const auto linear = [&](const LinearPlaces& places) {
    LinearPointers<Matrix> pointers;
    const StoredTensor& weight = layout.stored[places.weight];
    pointers.weight = matrix(places.weight);
    pointers.bias = places.has_bias ? values(places.bias) : nullptr;
    pointers.in = weight.rows();
    pointers.out = weight.columns();
    for (const LinearPlaces::Adapter& adapter : places.adapters) {
      pointers.adapters.push_back({matrix(adapter.a), matrix(adapter.b), adapter.first_column, adapter.columns});
    }
    return pointers;
  };
  ModelPointers<Matrix> model;
  model.token_embedding = matrix(layout.token_embedding);
  model.position_embedding = values(layout.position_embedding);
  if (config.has_token_types()) {
    model.token_type_embedding = values(layout.token_type_embedding);
  }
  if (config.norms_come_after()) {
    model.embedding_norm = norm(layout.embedding_norm);
  }
  for (const BlockPlaces& places : layout.blocks) {
    BlockPointers<Matrix> block;
    block.norm_1 = norm(places.norm_1);
    block.norm_2 = norm(places.norm_2);
    block.qkv = linear(places.qkv);
    block.attention_output = linear(places.attention_output);
    block.up = linear(places.up);
    block.down = linear(places.down);
    model.blocks.push_back(std::move(block));
  }
  if (config.has_final_norm()) {
    model.final_norm = norm(layout.final_norm);
  }
  if (config.has_masked_lm()) {
    model.transform = linear(layout.transform);
    model.transform_norm = norm(layout.transform_norm);
    model.vocabulary_bias = values(layout.vocabulary_bias);
  }
  if (config.has_pooler()) {
    model.pooler = linear(layout.pooler);
  }
  if (config.head_outputs() > 0) {
    model.head = linear(layout.head);
  }
  return model;
}

} // namespace assay
