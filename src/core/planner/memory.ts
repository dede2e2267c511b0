// Memory of training on the CPU, part by part. The engine's own plan is exact: it is the arithmetic by which it allocates.
// Where the engine is not built, the formulas here serve; a test holds them to the engine's.
import { elementCount, modelTensors, parameterCount, type TensorShape } from "#shared/domain/model-tensors";
import type { Device, ShapedRecipe } from "#shared/domain/recipe";
import { adapterCount, matchesAny } from "#shared/domain/recipe-model";
import { AppError } from "#shared/errors";
import {
  loadAddon,
  type NativeModelConfig,
  type NativeModelOptions,
  type NativeTrainingOptions,
} from "../engine/addon.ts";
import { modelConfigOf, modelOptionsOf, plannedMasking, trainingOptionsOf } from "../recipe/engine-options.ts";

export type MemoryParts = {
  readonly parameterBytes: number;
  readonly weightCopyBytes: number;
  readonly gradientBytes: number;
  readonly optimizerBytes: number;
  readonly activationBytes: number;
  readonly workspaceBytes: number;
};

export function totalBytes(parts: MemoryParts): number {
  return (
    parts.parameterBytes +
    parts.weightCopyBytes +
    parts.gradientBytes +
    parts.optimizerBytes +
    parts.activationBytes +
    parts.workspaceBytes
  );
}

/** The output layer works on this many tokens at a time. */
const CLASSIFIER_ROWS = 256;
/** Running means in 8 bits share a scale of 4 bytes with so many neighbours. */
const OPTIMIZER_BLOCK = 256;

/**
 * What the backward pass needs kept, and the gradient on its way through one block. A token keeps in each block: two
 * normalised inputs, two residual streams, queries, keys and values, the attention's output, and the feed-forward layer
 * before and after its nonlinearity; and a few scalars. Attention weights and logits are never whole in memory. With
 * full recomputation a block keeps only its input, and one block at a time has the rest; with selective recomputation it
 * keeps neither what its norms nor what its nonlinearity gave.
 */
export function activationBytes(
  config: Pick<NativeModelConfig, "dModel" | "dInner" | "nHeads" | "nLayers" | "residPdrop">,
  training: Pick<NativeTrainingOptions, "microbatchSize" | "seqLen" | "recompute">,
  adapterRank = 0,
): number {
  const { dModel: width, dInner: inner, nHeads: heads, nLayers: layers } = config;
  const wide = Math.max(3 * width, inner);
  const perBlock = 8 * width + 2 * inner + heads + 4;
  const cheap = 2 * width + inner;
  const kept = {
    none: layers * perBlock,
    selective: layers * (perBlock - cheap) + width + inner,
    full: layers * width + perBlock,
  }[training.recompute];
  const atTheEnds = 2 * width + 4;
  const inBackward = (config.residPdrop > 0 ? 3 : 2) * width + wide;
  // One adapter at a time: its input after dropout, its narrow middle and its output.
  const adapters = adapterRank === 0 ? 0 : 2 * adapterRank + 2 * wide;
  return 4 * training.microbatchSize * training.seqLen * (kept + atTheEnds + inBackward + adapters);
}

function countOf(tensors: readonly TensorShape[]): number {
  return tensors.reduce((sum, { shape }) => sum + elementCount(shape), 0);
}

/** Linear weights of the blocks and the token embedding: what may be kept in fewer bits. */
export function shrinkableCount(config: NativeModelConfig): number {
  const embeddings = config.vocabSize * config.dModel;
  const linears = modelTensors(config).filter(
    ({ name, shape }) => shape.length === 2 && /\.(h|layer)\.\d+\./.test(name),
  );
  return embeddings + countOf(linears);
}

export function planMemory(
  config: NativeModelConfig,
  options: Pick<NativeModelOptions, "weights" | "lora">,
  training: Pick<NativeTrainingOptions, "microbatchSize" | "seqLen" | "recompute" | "optimizerState" | "frozen">,
): MemoryParts {
  const tensors = modelTensors(config);
  const all = countOf(tensors);
  const shrinkable = options.weights === "bf16" ? shrinkableCount(config) : 0;
  const lora = options.lora ?? null;
  const adapters = lora === null ? 0 : adapterCount(config, lora.rank, lora.targets);
  const trained = lora === null ? countOf(tensors.filter(({ name }) => !matchesAny(name, training.frozen))) : adapters;
  const stateBytes = training.optimizerState === "8bit" ? 2 * (1 + 4 / OPTIMIZER_BLOCK) : 8;
  return {
    parameterBytes: 4 * (all + adapters) - 2 * shrinkable,
    weightCopyBytes: 0,
    gradientBytes: 4 * trained,
    optimizerBytes: Math.ceil(stateBytes * trained),
    activationBytes: activationBytes(config, training, lora?.rank ?? 0),
    workspaceBytes: 4 * CLASSIFIER_ROWS * config.vocabSize,
  };
}

/** What training would allocate: the engine's word, or the formulas above where it is not built. Allocates nothing. */
export function trainingMemory(
  config: NativeModelConfig,
  options: NativeModelOptions,
  training: NativeTrainingOptions,
): MemoryParts {
  try {
    return loadAddon().planTraining(config, options, training);
  } catch (error) {
    if (error instanceof AppError && error.code === "ADDON_NOT_BUILT") {
      return planMemory(config, options, training);
    }
    throw error;
  }
}

/** Each thread has scratch space of its own. */
export function threadsOf(recipe: Pick<ShapedRecipe, "threads">, physicalCores: number): number {
  return recipe.threads === "auto" ? Math.max(1, physicalCores) : recipe.threads;
}

/** What a recipe would allocate with so many windows at once. */
export function recipeMemory(
  recipe: ShapedRecipe,
  vocabSize: number,
  base: NativeModelConfig | null,
  physicalCores: number,
  device: Device = "cpu",
): (microbatch: number) => MemoryParts {
  const config = modelConfigOf(recipe, vocabSize, base);
  const options = modelOptionsOf(recipe, threadsOf(recipe, physicalCores), device);
  const masking = plannedMasking(recipe, vocabSize);
  return (microbatch) => trainingMemory(config, options, trainingOptionsOf(recipe, microbatch, masking));
}

/** Generating from weights of one byte: weights with a scale a channel, and keys and values of one whole context. */
export function int8InferenceMemory(config: NativeModelConfig): MemoryParts {
  const all = parameterCount(config);
  const shrinkable = shrinkableCount(config);
  // Outputs of a block's linear layers: queries, keys, values, two projections, and the feed-forward layer.
  const channels = config.vocabSize + config.nLayers * (5 * config.dModel + config.dInner);
  const isCausal = config.family === "gpt2";
  const cache = isCausal ? 2 * config.nLayers * config.maxSeqLen * config.dModel * 4 : 0;
  return {
    parameterBytes: 4 * (all - shrinkable) + shrinkable + 4 * channels,
    weightCopyBytes: 0,
    gradientBytes: 0,
    optimizerBytes: 0,
    activationBytes: cache + 4 * config.maxSeqLen * (6 * config.dModel + config.dInner),
    workspaceBytes: 4 * config.vocabSize,
  };
}
