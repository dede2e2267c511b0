// The backward half of a microbatch, from the gradient of the final hidden states to the embeddings. Two buffers carry
// it: d_residual, the gradient of the residual stream, and `d_norm` (the forward pass's branch, which is free by then),
// that of the latest norm's output or input. Private to this folder.
#pragma once

#include "engine/model/forward-pass.h"

namespace assay {

struct BackwardBuffers {
  Values d_residual, d_branch, d_wide;
};

class BackwardPass {
public:
  BackwardPass(const PassContext& context, const ModelGradients& gradients, const BackwardBuffers& buffers,
               bool accumulate)
      : p_(context), forward_(context), g_(gradients), b_(buffers), d_norm_(context.outer.branch),
        rows_(context.batch.rows()), accumulate_(accumulate) {}

  // The gradient of the final hidden states lies in outer.branch. `recompute`: what the blocks share of their
  // buffers.
  void run(const std::vector<Values>& inputs, const std::vector<BlockActivations>& blocks, Recompute recompute);

  void linear(const LinearWeights& weights, const LinearGradients& gradients, ConstValues d_output, ConstValues input,
              Values d_input, ConstValues input_pre_activation, std::uint32_t first_site) const;

private:
  bool is_trained_below(std::size_t layer) const;
  void block_norms_before(std::size_t layer, const BlockActivations& block, bool needs_d_input) const;
  void block_norms_after(std::size_t layer, const BlockActivations& block, bool has_residual_gradient) const;
  void attention(std::size_t layer, const BlockActivations& block) const;
  void feed_forward(std::size_t layer, const BlockActivations& block, ConstValues inner_input) const;
  void norm(const NormPointers& weights, const NormPointers& gradients, ConstValues input, const float* mean,
            const float* inverse_deviation, ConstValues d_output_2, ConstValues d_residual, bool has_branch,
            std::uint32_t site) const;
  void embed() const;

  const PassContext& p_;
  ForwardPass forward_;
  const ModelGradients& g_;
  BackwardBuffers b_;
  Values d_norm_;
  std::int64_t rows_;
  bool accumulate_;
  bool is_selective_ = false;
};

} // namespace assay
