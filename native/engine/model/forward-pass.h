// The forward half of a microbatch: embeddings, blocks, final norm. One block serves every family; where its norms
// stand is the one place that asks. Private to this folder.
#pragma once

#include "engine/model/activations.h"

namespace assay {

// What a pass computes with, the same forward and backward.
struct PassContext {
  Backend& backend;
  const ModelConfig& config;
  const ModelWeights& weights;
  DeviceBatch batch;
  OuterActivations outer;
  PhaseSeconds& phases;
  bool bf16 = false;
  // Dropout of this step; off where `drops` is false.
  bool drops = false;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint32_t first_sample = 0;

  Dropout dropout(float probability, std::uint32_t site) const {
    return {drops ? probability : 0.0F, seed, step, first_sample, site};
  }
  float adapter_scale() const { return config.lora.alpha / static_cast<float>(config.lora.rank); }
};

// Numbers of the places that drop; see Dropout::site.
inline constexpr std::uint32_t kEmbeddingSite = 0;
inline std::uint32_t attention_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 1);
}
inline std::uint32_t attention_residual_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 2);
}
inline std::uint32_t mlp_residual_site(std::size_t layer) {
  return static_cast<std::uint32_t>(3 * layer + 3);
}
// Behind the blocks': the heads', then the adapters', four linear layers a block and up to four adapters each.
inline std::uint32_t head_site(const ModelConfig& config) {
  return static_cast<std::uint32_t>(3 * config.n_layers + 4);
}
enum class LinearPlace : std::uint8_t { kQkv, kAttentionOutput, kUp, kDown };
inline std::uint32_t adapter_site(const ModelConfig& config, std::size_t layer, LinearPlace place,
                                  std::size_t adapter) {
  return head_site(config) + 4 +
         static_cast<std::uint32_t>((4 * layer + static_cast<std::size_t>(place)) * 4 + adapter);
}

class ForwardPass {
public:
  explicit ForwardPass(const PassContext& context) : p_(context), rows_(context.batch.rows()) {}

  // Fills what enters block 0.
  void embed(Values input) const;
  // `residual` and the branch still to join it, or null where block.input is there already. Norms before: leaves the
  // block's branch in outer.branch, to join block.middle. Norms after: leaves the block's output in block.norm_2.
  void run_block(std::size_t layer, const BlockActivations& block, ConstValues residual) const;
  // Computes again, from block.input, what backward reads.
  void run_block_again(std::size_t layer, const BlockActivations& block) const;
  // Of these only what norms and the activation gave; they read their kept sums.
  void norm_1_again(std::size_t layer, const BlockActivations& block) const;
  void feed_forward_again(std::size_t layer, const BlockActivations& block) const;
  // Adds the last branch to `residual`, writing the sum to `sum`, and norms it into outer.norm_f.
  void final_norm(ConstValues residual, Values sum) const;

  // All of it with one set of buffers a block; returns the final hidden states (M, C).
  ConstValues run(const std::vector<Values>& inputs, const std::vector<BlockActivations>& blocks) const;

  void linear(const LinearWeights& weights, ConstValues input, Values output, Values pre_activation,
              Activation activation, std::uint32_t first_site) const;

private:
  void run_to_inner(std::size_t layer, const BlockActivations& block, ConstValues residual) const;
  void run_from_inner(std::size_t layer, const BlockActivations& block) const;
  void norm(const NormPointers& weights, ConstValues residual, bool with_branch, Values sum, Values output, float* mean,
            float* inverse_deviation, std::uint32_t site) const;

  const PassContext& p_;
  std::int64_t rows_;
};

} // namespace assay
