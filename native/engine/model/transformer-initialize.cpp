// A model's initial weights. Each value is a function of the seed, the tensor's place in the list and its own place in
// the tensor, so neither threads nor devices change them.
#include "engine/base/philox.h"
#include "engine/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <thread>

namespace assay {

namespace {

// Dropout's sites stay below this, so that no counter serves both.
constexpr std::uint32_t kInitialisation = 0x80000000U;

// values[i] for i in [begin, end), both multiples of 4 but the tensor's end; by Box and Muller's transform.
void fill_normal(std::span<float> values, std::size_t begin, std::size_t end, float deviation, std::uint64_t seed,
                 std::uint32_t tensor_index) {
  const PhiloxKey key = {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  for (std::size_t i = begin; i < end; i += 4) {
    const std::uint64_t group = i / 4;
    const PhiloxCounter words = philox4x32(
        {static_cast<std::uint32_t>(group), static_cast<std::uint32_t>(group >> 32), 0, kInitialisation | tensor_index},
        key);
    float normal[4];
    for (int pair = 0; pair < 2; ++pair) {
      // 1 − u lies in (0, 1], where the logarithm is finite.
      const float radius = std::sqrt(-2.0F * std::log(1.0F - uniform_from_bits(words[2 * pair])));
      const float angle = 2.0F * std::numbers::pi_v<float> * uniform_from_bits(words[2 * pair + 1]);
      normal[2 * pair] = radius * std::cos(angle);
      normal[2 * pair + 1] = radius * std::sin(angle);
    }
    for (std::size_t j = 0; j < 4 && i + j < end; ++j) {
      values[i + j] = deviation * normal[j];
    }
  }
}

void fill_normal_on_threads(std::span<float> values, float deviation, std::uint64_t seed, std::uint32_t tensor_index,
                            int threads) {
  constexpr std::size_t kWorthAThread = 1 << 18;
  const auto parts = std::clamp<std::size_t>(values.size() / kWorthAThread, 1, static_cast<std::size_t>(threads));
  const std::size_t part_size = (values.size() / parts + 4) / 4 * 4;
  std::vector<std::jthread> workers;
  for (std::size_t begin = part_size; begin < values.size(); begin += part_size) {
    workers.emplace_back(fill_normal, values, begin, std::min(begin + part_size, values.size()), deviation, seed,
                         tensor_index);
  }
  fill_normal(values, 0, std::min(part_size, values.size()), deviation, seed, tensor_index);
}

} // namespace

void TransformerModel::initialize(std::uint64_t seed, Initialize what) {
  constexpr float kDeviation = 0.02F;
  // GPT-2 scales what is added to the residual stream by its depth; BERT does not, Megatron does (Shoeybi et al. 2019).
  const float residual_deviation = config_.family == Family::kBert
                                       ? kDeviation
                                       : kDeviation / std::sqrt(2.0F * static_cast<float>(config_.n_layers));
  std::vector<float> values;
  for (std::size_t index = 0; index < layout_.stored.size(); ++index) {
    const StoredTensor& tensor = layout_.stored[index];
    const bool is_adapter = tensor.kind == ParameterKind::kLoraA || tensor.kind == ParameterKind::kLoraB;
    if ((what == Initialize::kHead && !tensor.is_head) || (what == Initialize::kAdapters && !is_adapter)) {
      continue;
    }
    values.resize(static_cast<std::size_t>(tensor.count));
    const auto fill = [&](float deviation) {
      fill_normal_on_threads(values, deviation, seed, static_cast<std::uint32_t>(index), backend_.info().threads);
    };
    switch (tensor.kind) {
    case ParameterKind::kNormWeight:
      std::fill(values.begin(), values.end(), 1.0F);
      break;
    case ParameterKind::kNormBias:
    case ParameterKind::kLinearBias:
    case ParameterKind::kLoraB:
      std::fill(values.begin(), values.end(), 0.0F);
      break;
    case ParameterKind::kResidualWeight:
      fill(residual_deviation);
      break;
    case ParameterKind::kLoraA:
      fill(1.0F / std::sqrt(static_cast<float>(tensor.rows())));
      break;
    case ParameterKind::kEmbedding:
    case ParameterKind::kLinearWeight:
      fill(kDeviation);
      break;
    }
    write_stored(index, values);
  }
}

} // namespace assay
