// A small model whose answers are decided, for the tests of inference.
#pragma once

#include "backends/cpu/cpu-backend.h"
#include "engine/infer/generation.h"
#include "engine/model/transformer.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace assay::test {

inline constexpr std::int64_t kVocab = 61;
inline constexpr std::int64_t kContext = 24;

inline ModelConfig tiny_config(DataType weights = DataType::kF32) {
  ModelConfig config;
  config.vocab_size = kVocab;
  config.max_seq_len = kContext;
  config.n_layers = 2;
  config.n_heads = 2;
  config.d_model = 16;
  config.weight_type = weights;
  return config;
}

struct Fixture {
  std::unique_ptr<Backend> backend = create_cpu_backend({.threads = 2});
  TransformerModel model;

  explicit Fixture(const ModelConfig& config = tiny_config()) : model(*backend, config) {
    model.initialize(17);
    // Freshly initialised models answer almost uniformly; larger weights make them take sides.
    for (const ParameterTensor& each : model.parameters().tensors) {
      const bool is_position = each.name.find("wpe") != std::string::npos;
      const bool is_residual = each.name.find("c_proj") != std::string::npos;
      if (each.shape.size() == 2 && !is_position && !is_residual) {
        std::vector<float> values(static_cast<std::size_t>(each.count));
        model.read_parameter(each.name, values);
        for (float& value : values) {
          value *= 10.0F;
        }
        model.write_parameter(each.name, values);
      }
    }
  }
};

inline std::vector<double> log_probabilities(std::span<const float> logits) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) {
    sum += std::exp(logit - highest);
  }
  std::vector<double> result;
  for (const float logit : logits) {
    result.push_back(logit - highest - std::log(sum));
  }
  return result;
}

inline std::vector<std::int32_t> some_document(std::size_t length, std::int32_t start) {
  std::vector<std::int32_t> document;
  for (std::size_t index = 0; index < length; ++index) {
    document.push_back(static_cast<std::int32_t>((static_cast<std::size_t>(start) + index * index * 7 + index) % 60));
  }
  return document;
}

inline const std::vector<std::int32_t> kPrompt = {3, 14, 15, 9, 26, 5};
inline const std::atomic<bool> kNever{false};

inline GenerationRequest greedy(std::vector<std::int32_t> prompt, std::int64_t count) {
  GenerationRequest request;
  request.prompt = std::move(prompt);
  request.max_new_tokens = count;
  request.sampling.temperature = 0;
  return request;
}

} // namespace assay::test
