// What a model that is already there takes: to train all of it in fp32 or bf16, to train LoRA on a base in bf16, and to
// run it in fp32, bf16 and int8. Training is the engine's own plan, running the arithmetic of what decoding keeps; every
// figure says what it is made of. Allocates nothing, so that it answers for a model no machine here could hold.
import type { MemoryColumn } from "#shared/domain/model";
import { parameterCount } from "#shared/domain/model-tensors";
import { defaultLoraTargets, isCausal, loraModules } from "#shared/domain/recipe-model";
import type { NativeModelConfig, NativeTrainingOptions } from "../engine/addon.ts";
import { type MemoryParts, shrinkableCount, trainingMemory } from "./memory.ts";

export type ModelMemoryOptions = {
  /** Windows at once. */
  readonly microbatch: number;
  /** Tokens of a window. */
  readonly context: number;
  readonly loraRank: number;
};

type Figure = { readonly value: number; readonly how: string };

function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US").replaceAll(",", "\u2009");
}

function sized(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)}\u2009GB` : `${(bytes / 1e6).toFixed(1)}\u2009MB`;
}

function counted(count: number, one: string, many: string): string {
  return `${grouped(count)} ${count === 1 ? one : many}`;
}

function sum(parts: readonly (readonly [string, Figure])[]): Figure {
  const value = parts.reduce((total, [, figure]) => total + figure.value, 0);
  return { value, how: `${parts.map(([name, figure]) => `${name} ${sized(figure.value)}`).join(" + ")}.` };
}

/** The sizes a model's arithmetic is made of. */
type Sizes = {
  readonly all: number;
  /** Linear weights of the blocks and the token embedding: what may be kept in fewer bits. */
  readonly shrinkable: number;
  readonly adapters: number;
};

function sizesOf(config: NativeModelConfig, loraRank: number): Sizes {
  const modules = loraModules(config, defaultLoraTargets[config.family]);
  return {
    all: parameterCount(config),
    shrinkable: shrinkableCount(config),
    adapters: modules.reduce((total, { inputs, outputs }) => total + loraRank * (inputs + outputs), 0),
  };
}

function baseOptions(options: ModelMemoryOptions): NativeTrainingOptions {
  return {
    microbatchSize: options.microbatch,
    seqLen: options.context,
    globalBatchSize: options.microbatch,
    seed: 1,
    optimizer: { lr: 1e-4, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, noDecay: [] },
    gradientClipping: 1,
    precision: "fp32",
    recompute: "none",
    stochasticRounding: false,
    optimizerState: "fp32",
    frozen: [],
    labelSmoothing: 0,
    classWeights: null,
    documentMask: false,
    masking: null,
  };
}

/** A tensor takes whole blocks of 256 values in the engine, which counts in models of toy size. */
function rounding(bytes: number, exact: number): string {
  return bytes > 1.005 * exact ? `, each tensor in whole blocks of 256, which adds ${sized(bytes - exact)}` : "";
}

type TrainHow = {
  readonly trained: number;
  readonly trainedHow: string;
  readonly weightsHow: (bytes: number) => string;
};

function trainColumn(
  config: NativeModelConfig,
  options: ModelMemoryOptions,
  parts: MemoryParts,
  { trained, trainedHow, weightsHow }: TrainHow,
): NonNullable<MemoryColumn["train"]> {
  const windows = counted(options.microbatch, "window", "windows");
  const figures = {
    weights: { value: parts.parameterBytes, how: weightsHow(parts.parameterBytes) },
    gradients: { value: parts.gradientBytes, how: `4 bytes for each of ${grouped(trained)} trained parameters.` },
    optimizer: {
      value: parts.optimizerBytes,
      how: `Two running means of 4 bytes for each of ${grouped(trained)} trained parameters.`,
    },
    activations: {
      value: parts.activationBytes,
      how: `What the backward pass needs of ${windows} of ${grouped(options.context)} tokens through ${counted(config.nLayers, "block", "blocks")} of width ${grouped(config.dModel)}: ${sized(parts.activationBytes / options.microbatch)} a window.`,
    },
    workspace: {
      value: parts.workspaceBytes,
      how: `Logits over ${grouped(config.vocabSize)} tokens, a stretch of positions at a time, and what matrix products need beside their operands.`,
    },
  };
  return {
    trainableParameters: { value: trained, how: trainedHow },
    ...figures,
    total: sum([
      ["Weights", figures.weights],
      ["gradients", figures.gradients],
      ["optimizer", figures.optimizer],
      ["activations", figures.activations],
      ["work space", figures.workspace],
    ]),
  };
}

function runColumn(config: NativeModelConfig, context: number, weights: Figure): MemoryColumn["run"] {
  const { nLayers, dModel, dInner, vocabSize } = config;
  const causal = isCausal(config.family) && config.head === "causal-lm";
  const cache: Figure = causal
    ? {
        value: 2 * nLayers * context * dModel * 4,
        how: `Keys and values of ${grouped(context)} tokens: 2 × ${nLayers} layers × ${grouped(context)} × ${grouped(dModel)} × 4 bytes.`,
      }
    : { value: 0, how: "None: the whole text is read at once." };
  const workspace: Figure = {
    value: 4 * context * (6 * dModel + dInner) + 4 * vocabSize,
    how: `Reading ${grouped(context)} tokens through one block: ${grouped(context)} × (6 × ${grouped(dModel)} + ${grouped(dInner)}) × 4 bytes, and the logits of one token, 4 × ${grouped(vocabSize)}.`,
  };
  return {
    weights,
    cache,
    workspace,
    total: sum([
      ["Weights", weights],
      ["keys and values", cache],
      ["work space", workspace],
    ]),
  };
}

export function modelMemory(config: NativeModelConfig, options: ModelMemoryOptions): MemoryColumn[] {
  const { all, shrinkable, adapters } = sizesOf(config, options.loraRank);
  const rest = all - shrinkable;
  const training = baseOptions(options);
  const whole = { threads: 1, weights: "fp32", lora: null } as const;
  const targets = defaultLoraTargets[config.family];
  const lora = { rank: options.loraRank, alpha: 2 * options.loraRank, dropout: 0, targets };
  const allHow: TrainHow = {
    trained: all,
    trainedHow: "All of them.",
    weightsHow: (bytes) => `4 bytes for each of ${grouped(all)} parameters${rounding(bytes, 4 * all)}.`,
  };
  const inTwoBytes = `${grouped(shrinkable)} weights of matrices and of the token embedding × 2 bytes + ${grouped(rest)} others × 4`;
  // Outputs of a block's linear layers: queries, keys, values, two projections, and the feed-forward layer.
  const channels = config.vocabSize + config.nLayers * (5 * config.dModel + config.dInner);
  const fp32: Figure = { value: 4 * all, how: allHow.weightsHow(4 * all) };
  const bf16: Figure = { value: 2 * shrinkable + 4 * rest, how: `${inTwoBytes}.` };
  const onBf16: Figure = {
    value: bf16.value + 4 * adapters,
    how: `${inTwoBytes} + ${grouped(adapters)} of adapters × 4.`,
  };
  const int8: Figure = {
    value: shrinkable + 4 * channels + 4 * rest,
    how: `${grouped(shrinkable)} weights of matrices and of the token embedding × 1 byte + ${grouped(channels)} scales, one an output, × 4 + ${grouped(rest)} others × 4.`,
  };
  return [
    {
      precision: "fp32",
      train: trainColumn(config, options, trainingMemory(config, whole, training), allHow),
      run: runColumn(config, options.context, fp32),
    },
    {
      precision: "bf16",
      train: trainColumn(config, options, trainingMemory(config, whole, { ...training, precision: "amp_bf16" }), {
        ...allHow,
        weightsHow: (bytes) => `${allHow.weightsHow(bytes)} Only the operands of matrix products are rounded.`,
      }),
      run: runColumn(config, options.context, bf16),
    },
    {
      precision: "lora-bf16",
      train: trainColumn(
        config,
        options,
        trainingMemory(config, { threads: 1, weights: "bf16", lora }, { ...training, precision: "amp_bf16" }),
        {
          trained: adapters,
          trainedHow: `Rank ${options.loraRank} × (inputs + outputs) of ${loraModules(config, targets).length} layers (${targets.join(", ")}).`,
          weightsHow: () => onBf16.how,
        },
      ),
      run: runColumn(config, options.context, onBf16),
    },
    { precision: "int8", train: null, run: runColumn(config, options.context, int8) },
  ];
}
