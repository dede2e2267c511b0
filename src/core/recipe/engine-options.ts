// A recipe in the engine's words: the model's configuration and the options of training. The planner asks with the same
// ones as the runner, so that what is forecast is what is allocated.
import type { Device, Recipe, ShapedRecipe } from "#shared/domain/recipe";
import { BERT_TOKEN_TYPES, defaultLoraTargets, headOf, isCausal } from "#shared/domain/recipe-model";
import type { NativeMasking, NativeModelConfig, NativeModelOptions, NativeTrainingOptions } from "../engine/addon.ts";

/** GPT-2's and BERT's own. */
const layerNormEps = { gpt2: 1e-5, bert: 1e-12, megatron_bert: 1e-12 } as const;

/**
 * `base` is the model that training starts from: its sizes hold where the recipe cannot say them (positions, the width
 * of the feed-forward layer).
 */
export function modelConfigOf(
  recipe: ShapedRecipe,
  vocabSize: number,
  base: NativeModelConfig | null = null,
): NativeModelConfig {
  const { model } = recipe;
  const causal = isCausal(model.name);
  return {
    family: model.name,
    head: headOf(recipe.objective.name),
    vocabSize,
    maxSeqLen: base?.maxSeqLen ?? recipe.max_seq_len,
    nLayers: model.n_layers,
    nHeads: model.n_heads,
    dModel: model.d_model,
    dInner: base?.dInner ?? model.expansion_ratio * model.d_model,
    typeVocabSize: causal ? 0 : (base?.typeVocabSize ?? BERT_TOKEN_TYPES),
    labels: 1,
    layerNormEps: base?.layerNormEps ?? layerNormEps[model.name],
    embdPdrop: model.dropout,
    attnPdrop: model.dropout,
    residPdrop: model.dropout,
    classifierPdrop: model.dropout,
    activation: base?.activation ?? (causal ? "gelu_new" : "gelu"),
  };
}

export function modelOptionsOf(
  recipe: Recipe,
  threads: number,
  device: Device = recipe.device === "auto" ? "cpu" : recipe.device,
): NativeModelOptions {
  const { lora, weights, name } = recipe.model;
  return {
    device,
    threads,
    weights,
    lora: lora === undefined ? null : { ...lora, targets: lora.targets ?? defaultLoraTargets[name] },
  };
}

export function trainingOptionsOf(
  recipe: Recipe,
  microbatchSize: number,
  masking: NativeMasking | null,
): NativeTrainingOptions {
  const { optimizer, model, objective } = recipe;
  return {
    microbatchSize,
    seqLen: recipe.max_seq_len,
    globalBatchSize: recipe.global_train_batch_size,
    seed: recipe.seed,
    optimizer: {
      lr: optimizer.lr,
      betas: optimizer.betas,
      eps: optimizer.eps,
      weightDecay: optimizer.weight_decay,
      noDecay: optimizer.no_decay,
    },
    gradientClipping: recipe.gradient_clipping,
    precision: recipe.precision,
    recompute: recipe.activation_checkpointing,
    stochasticRounding: optimizer.stochastic_rounding,
    optimizerState: optimizer.state,
    frozen: model.lora === undefined ? model.freeze : [],
    labelSmoothing: 0,
    classWeights: null,
    documentMask: isCausal(model.name) && objective.document_mask,
    masking,
  };
}

/** Masking for a plan, which needs its sizes and no ids. */
export function plannedMasking(recipe: Recipe, vocabSize: number): NativeMasking | null {
  const { objective } = recipe;
  if (objective.name === "clm") {
    return null;
  }
  return {
    probability: objective.mask_probability,
    wholeWord: objective.whole_word,
    sentenceOrder: objective.name === "mlm+sop",
    maskId: 0,
    clsId: 0,
    sepId: 0,
    padId: 0,
    wordStarts: new Uint8Array(vocabSize),
    specials: new Uint32Array(0),
  };
}
