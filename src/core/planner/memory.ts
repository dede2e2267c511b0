// Memory of training on the CPU in fp32, part by part, as arithmetic. The engine's own plan is exact and preferred where
// the addon is there; this one serves before it is and where only a number is needed.
import type { Recipe } from "#shared/domain/recipe";
import { modelParameterCount } from "./model-size.ts";

export type TrainingShape = {
  readonly vocabSize: number;
  readonly seqLen: number;
  readonly layers: number;
  readonly heads: number;
  readonly width: number;
  readonly expansionRatio: number;
  readonly hasDropout: boolean;
};

export function shapeOf(recipe: Recipe, vocabSize: number): TrainingShape {
  return {
    vocabSize,
    seqLen: recipe.max_seq_len,
    layers: recipe.model.n_layers,
    heads: recipe.model.n_heads,
    width: recipe.model.d_model,
    expansionRatio: recipe.model.expansion_ratio,
    hasDropout: recipe.model.dropout > 0,
  };
}

/**
 * What the backward pass needs kept, and the gradient on its way through one block. A token keeps in each block: two
 * normalised inputs, two residual streams, queries, keys and values, the attention's output, and the feed-forward layer
 * before and after its nonlinearity; and a few scalars. Attention weights and logits are never whole in memory.
 */
export function activationBytes(shape: TrainingShape, microbatch: number): number {
  const { width, expansionRatio, heads, layers, seqLen, hasDropout } = shape;
  const perBlock = (2 + 2 + 3 + 1 + 2 * expansionRatio) * width + heads + 4;
  const atTheEnds = 2 * width + 4;
  const inBackward = (hasDropout ? 3 : 2) * width + Math.max(3, expansionRatio) * width;
  return 4 * microbatch * seqLen * (layers * perBlock + atTheEnds + inBackward);
}

/** The output layer works on this many tokens at a time. */
const CLASSIFIER_ROWS = 256;

export type MemoryParts = {
  readonly parameterBytes: number;
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  readonly activationBytes: number;
  readonly workspaceBytes: number;
};

export function planMemory(recipe: Recipe, vocabSize: number, microbatch: number): MemoryParts {
  const parameters = modelParameterCount(recipe.model, vocabSize, recipe.max_seq_len);
  return {
    parameterBytes: 4 * parameters,
    gradientBytes: 4 * parameters,
    optimizerBytes: 8 * parameters,
    activationBytes: activationBytes(shapeOf(recipe, vocabSize), microbatch),
    workspaceBytes: 4 * CLASSIFIER_ROWS * vocabSize,
  };
}
