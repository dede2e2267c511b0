// What a recipe will take: parameters, tokens, steps, memory, disk, time. Pure; every figure opens its arithmetic in a
// sentence with the numbers it came from.
import { parseDuration, type Recipe, type ShapedRecipe } from "#shared/domain/recipe";
import { defaultLoraTargets, trainableCount } from "#shared/domain/recipe-model";
import { assertNever } from "#shared/errors";
import type { Forecast } from "#shared/ipc/recipes.contract";
import type { NativeGpu, NativeModelConfig } from "../engine/addon.ts";
import type { ResolvedDevice } from "../engine/device.ts";
import { knownShapeName } from "../models/known-shapes.ts";
import { modelConfigOf, modelOptionsOf, plannedMasking, trainingOptionsOf } from "../recipe/engine-options.ts";
import { largestMicrobatch, USABLE_SHARE, USABLE_SHARE_OF_GPU } from "../recipe/microbatch.ts";
import { totalSteps } from "../runs/schedule.ts";
import { gpuPeak } from "./gpus.ts";
import { type MemoryParts, planMemory, totalBytes } from "./memory.ts";
import { modelParameterCount, positionParameterCount, trainingFlopsPerToken } from "./model-size.ts";
import { estimateRate, type MeasuredRate, type Rate, type RateMachine } from "./rate.ts";
import { egressOf, type StreamText } from "./stream-text.ts";

export type ForecastFacts = {
  readonly machine: RateMachine & { readonly memoryBytes: number };
  readonly vocabSize: number;
  /** The model that training starts from, where there is one. */
  readonly base?: NativeModelConfig | null;
  /** Tokens of the training text without the held-out part, and where the number comes from; null where it is unknown. */
  readonly trainTokens: { readonly value: number; readonly how: string } | null;
  /** Tokens of the held-out text; 0 where unknown. */
  readonly evalTokens?: number;
  /** Of training text at an address: what its indexes say, or why they were not asked. */
  readonly streamed?: { readonly text: StreamText; readonly pricePerGb: number | null } | { readonly unknown: string };
  readonly measured: MeasuredRate | null;
  /** Memory free for the run now; the machine's whole where it is not asked. */
  readonly availableBytes?: number;
  /** What training with so many windows at once takes; the formulas of memory.ts where absent. */
  readonly memoryOf?: (microbatch: number) => MemoryParts;
  /** Where it trains; the processor where absent. */
  readonly device?: ResolvedDevice;
  /** How fast another machine than this one is. */
  readonly rate?: Rate;
};

/** Tokenizer, settings and state of a checkpoint, beside the tensors. */
const CHECKPOINT_EXTRA_BYTES_PER_TOKEN = 60;

export function sized(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

export function grouped(value: number): string {
  return Math.round(value).toLocaleString("en-US").replaceAll(",", " ");
}

function intervalSteps(recipe: Recipe, steps: number, tokensPerStep: number, windows: number | null): number {
  const interval = parseDuration(recipe.eval_interval);
  switch (interval.unit) {
    case "ba":
      return interval.value;
    case "tok":
      return Math.max(1, interval.value / tokensPerStep);
    case "ep":
      return windows === null ? steps : Math.max(1, (interval.value * windows) / recipe.global_train_batch_size);
    case "sec":
      return steps;
    default:
      return assertNever(interval.unit);
  }
}

function parametersHow(config: NativeModelConfig, parameters: number): string {
  const { vocabSize, dModel: width, maxSeqLen, nLayers } = config;
  const embeddings = (vocabSize + maxSeqLen + config.typeVocabSize) * width;
  const one = (layers: number) => modelParameterCount({ ...config, nLayers: layers });
  const block = one(1) - one(0);
  const rest = parameters - embeddings - nLayers * block;
  const name = knownShapeName(config);
  const types = config.typeVocabSize === 0 ? "" : ` + ${config.typeVocabSize} × ${width} token types`;
  return `${grouped(vocabSize)} × ${width} token embeddings (also the output layer) + ${maxSeqLen} × ${width} positions${types} + ${nLayers} blocks of ${grouped(block)} + ${grouped(rest)} besides.${name === null ? "" : ` Known as ${name}.`}`;
}

function gpuOf(facts: Pick<ForecastFacts, "device">): NativeGpu | null {
  return facts.device?.gpu ?? null;
}

/** The number of windows at once, and the memory that goes with it. */
export function plannedMicrobatch(
  recipe: ShapedRecipe,
  facts: Pick<ForecastFacts, "availableBytes" | "device" | "machine" | "memoryOf" | "vocabSize" | "base">,
): { readonly microbatch: number; readonly memory: MemoryParts } {
  const config = modelConfigOf(recipe, facts.vocabSize, facts.base);
  const memoryOf =
    facts.memoryOf ??
    ((microbatch: number) =>
      planMemory(
        config,
        modelOptionsOf(recipe, 1),
        trainingOptionsOf(recipe, microbatch, plannedMasking(recipe, facts.vocabSize)),
      ));
  const microbatch =
    recipe.device_train_microbatch_size === "auto"
      ? largestMicrobatch(
          recipe.global_train_batch_size,
          facts.availableBytes ?? gpuOf(facts)?.memoryBytes ?? facts.machine.memoryBytes,
          (windows) => totalBytes(memoryOf(windows)),
          gpuOf(facts) === null ? USABLE_SHARE : USABLE_SHARE_OF_GPU,
        )
      : recipe.device_train_microbatch_size;
  return { microbatch, memory: memoryOf(microbatch) };
}

/** What one checkpoint takes: weights and optimizer, or with LoRA the adapter and its optimizer. */
export function checkpointSize(
  recipe: Recipe,
  config: NativeModelConfig,
): { readonly weightBytes: number; readonly optimizerBytes: number; readonly extraBytes: number } {
  const trained = trainableCount(config, recipe.model);
  return {
    weightBytes: 4 * (recipe.model.lora === undefined ? modelParameterCount(config) : trained),
    optimizerBytes: Math.ceil((recipe.optimizer.state === "8bit" ? 2.04 : 8) * trained),
    extraBytes: CHECKPOINT_EXTRA_BYTES_PER_TOKEN * config.vocabSize,
  };
}

export function forecast(recipe: ShapedRecipe, facts: ForecastFacts): Forecast {
  const { max_seq_len: context, global_train_batch_size: batch } = recipe;
  const config = modelConfigOf(recipe, facts.vocabSize, facts.base);
  const parameters = modelParameterCount(config);
  const flopsPerToken = trainingFlopsPerToken(config, context);
  const threads = recipe.threads === "auto" ? facts.machine.physicalCores : recipe.threads;
  const gpu = gpuOf(facts);
  const rate =
    facts.rate ??
    estimateRate({
      machine: facts.machine,
      threads,
      flopsPerToken,
      measured: facts.measured,
      gpu: gpu === null ? null : gpuPeak(gpu.name, recipe.precision),
    });

  const tokensPerStep = batch * context;
  const windows = facts.trainTokens === null ? null : Math.max(0, Math.floor((facts.trainTokens.value - 1) / context));
  const duration = parseDuration(recipe.max_duration);
  const counted = totalSteps(duration, { globalBatchSize: batch, seqLen: context, windowCount: windows ?? 0 });
  const isClock = duration.unit === "sec";
  const steps = isClock
    ? Math.max(1, Math.round((duration.value * rate.tokensPerSecond) / tokensPerStep))
    : (counted ?? 0);
  const tokensTotal = steps * tokensPerStep;
  const stepsHow =
    duration.unit === "ep"
      ? `${duration.value} ${duration.value === 1 ? "pass" : "passes"} over ${grouped(windows ?? 0)} windows of ${context} tokens, ${batch} a step. ${facts.trainTokens?.how ?? "The text has not been counted."}`
      : duration.unit === "tok"
        ? `${grouped(duration.value)} tokens at ${batch} × ${context} = ${grouped(tokensPerStep)} a step.`
        : isClock
          ? `${duration.value} s at ${Math.round(rate.tokensPerSecond)} tokens a second, ${grouped(tokensPerStep)} a step.`
          : `max_duration ${recipe.max_duration}.`;

  const { microbatch, memory } = plannedMicrobatch(recipe, facts);

  const checkpoint = checkpointSize(recipe, config);
  const kept = recipe.save_num_checkpoints_to_keep + 1;

  const evalTokens = facts.evalTokens ?? 0;
  const evaluations = 1 + Math.ceil(steps / intervalSteps(recipe, steps, tokensPerStep, windows));
  const trainSeconds = isClock ? duration.value : tokensTotal / rate.tokensPerSecond;
  // A forward pass is a third of a training step.
  const evalSeconds = (evaluations * evalTokens) / (3 * rate.tokensPerSecond);
  const evalHow =
    evalTokens === 0
      ? ""
      : ` ${evaluations} evaluations of ${grouped(evalTokens)} tokens, forward only, add ${Math.round(evalSeconds)} s.`;

  return {
    parameters: { value: parameters, how: parametersHow(config, parameters) },
    trainableParameters: trainableFigure(recipe, config, parameters),
    precision: recipe.precision,
    tokensTotal: {
      value: tokensTotal,
      how: `${grouped(steps)} steps × ${batch} windows × ${context} tokens; ${Number((tokensTotal / parameters).toPrecision(2))} tokens a parameter.`,
    },
    steps: { value: steps, how: stepsHow },
    flopsPerToken: {
      value: flopsPerToken,
      how: `6 × (${grouped(parameters)} − ${grouped(positionParameterCount(config))} position embeddings) + 12 × ${config.nLayers} layers × ${config.dModel} × ${context}.`,
    },
    memoryBytes: { value: totalBytes(memory), how: memoryHow(memory, microbatch) },
    diskBytes: {
      value: kept * (checkpoint.weightBytes + checkpoint.optimizerBytes + checkpoint.extraBytes),
      how: `${recipe.save_num_checkpoints_to_keep} newest checkpoints and the best one × (${recipe.model.lora === undefined ? "weights" : "adapter"} ${sized(checkpoint.weightBytes)} + optimizer ${sized(checkpoint.optimizerBytes)} + tokenizer).`,
    },
    download:
      facts.streamed === undefined
        ? null
        : "unknown" in facts.streamed
          ? { value: null, how: facts.streamed.unknown }
          : egressOf(facts.streamed.text, tokensTotal, recipe.data.streaming, facts.streamed.pricePerGb).bytes,
    seconds: {
      value: trainSeconds + evalSeconds,
      how: isClock
        ? `max_duration ${recipe.max_duration}.${evalHow}`
        : `${grouped(tokensTotal)} tokens at ${grouped(rate.tokensPerSecond)} a second.${evalHow}`,
    },
    tokensPerSecond: { value: rate.tokensPerSecond, how: rate.how },
    basis: rate.basis,
  };
}

function trainableFigure(recipe: ShapedRecipe, config: NativeModelConfig, parameters: number): Forecast["parameters"] {
  const { lora, freeze } = recipe.model;
  const value = trainableCount(config, recipe.model);
  const share = `${Number(((100 * value) / parameters).toPrecision(2))} % of all`;
  if (lora !== undefined) {
    const targets = (lora.targets ?? defaultLoraTargets[config.family]).join(", ");
    return { value, how: `LoRA of rank ${lora.rank} beside ${targets}: ${share}.` };
  }
  return {
    value,
    how:
      value === parameters
        ? `All ${grouped(value)}.`
        : `Without what model.freeze names (${freeze.join(", ")}): ${share}.`,
  };
}

export function memoryHow(memory: MemoryParts, microbatch: number): string {
  const copies = memory.weightCopyBytes > 0 ? ` + their copies in bf16 ${sized(memory.weightCopyBytes)}` : "";
  return `Weights ${sized(memory.parameterBytes)}${copies} + gradients ${sized(memory.gradientBytes)} + optimizer ${sized(memory.optimizerBytes)} + activations of ${microbatch} ${microbatch === 1 ? "window" : "windows"} ${sized(memory.activationBytes)} + work space ${sized(memory.workspaceBytes)}.`;
}
