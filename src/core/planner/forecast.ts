// What a recipe will take: parameters, tokens, steps, memory, disk, time. Pure; every figure opens its arithmetic in a
// sentence with the numbers it came from.
import { parseDuration, type Recipe } from "#shared/domain/recipe";
import { assertNever } from "#shared/errors";
import type { Forecast } from "#shared/ipc/recipes.contract";
import { autoMicrobatch } from "../recipe/resolve.ts";
import { totalSteps } from "../runs/schedule.ts";
import { type MemoryParts, planMemory } from "./memory.ts";
import { modelParameterCount, positionParameterCount, trainingFlopsPerToken } from "./model-size.ts";
import { estimateRate, type MeasuredRate, type RateMachine } from "./rate.ts";

export { modelParameterCount } from "./model-size.ts";

export type ForecastFacts = {
  readonly machine: RateMachine & { readonly memoryBytes: number };
  readonly vocabSize: number;
  /** Tokens of the training text without the held-out part, and where the number comes from; null where it is unknown. */
  readonly trainTokens: { readonly value: number; readonly how: string } | null;
  /** Tokens of the held-out text; 0 where unknown. */
  readonly evalTokens?: number;
  readonly measured: MeasuredRate | null;
  /** The engine's own plan, which is exact; arithmetic serves where it is absent. */
  readonly memoryPlan?: MemoryParts | null;
};

/** Tokenizer, settings and state of a checkpoint, beside the tensors. */
const CHECKPOINT_EXTRA_BYTES_PER_TOKEN = 60;

function mib(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(2)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function grouped(value: number): string {
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

export function forecast(recipe: Recipe, facts: ForecastFacts): Forecast {
  const { model, max_seq_len: context, global_train_batch_size: batch } = recipe;
  const { vocabSize } = facts;
  const parameters = modelParameterCount(model, vocabSize, context);
  const flopsPerToken = trainingFlopsPerToken(model, vocabSize, context);
  const threads = recipe.threads === "auto" ? facts.machine.physicalCores : recipe.threads;
  const rate = estimateRate({ machine: facts.machine, threads, flopsPerToken, measured: facts.measured });

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

  const microbatch =
    recipe.device_train_microbatch_size === "auto"
      ? autoMicrobatch(recipe, vocabSize, facts.machine)
      : recipe.device_train_microbatch_size;
  const memory = facts.memoryPlan ?? planMemory(recipe, vocabSize, microbatch);
  const memoryBytes =
    memory.parameterBytes +
    memory.gradientBytes +
    memory.optimizerBytes +
    memory.activationBytes +
    memory.workspaceBytes;

  const checkpointBytes = 12 * parameters + CHECKPOINT_EXTRA_BYTES_PER_TOKEN * vocabSize;
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
    parameters: {
      value: parameters,
      how: `${grouped(vocabSize)} × ${model.d_model} token embeddings (also the output layer) + ${context} × ${model.d_model} positions + ${model.n_layers} blocks of ${grouped((parameters - (vocabSize + context + 2) * model.d_model) / model.n_layers)} + a last norm of ${2 * model.d_model}.`,
    },
    tokensTotal: {
      value: tokensTotal,
      how: `${grouped(steps)} steps × ${batch} windows × ${context} tokens; ${(tokensTotal / parameters).toPrecision(2)} tokens a parameter.`,
    },
    steps: { value: steps, how: stepsHow },
    flopsPerToken: {
      value: flopsPerToken,
      how: `6 × (${grouped(parameters)} − ${grouped(positionParameterCount(model, context))} position embeddings) + 12 × ${model.n_layers} layers × ${model.d_model} × ${context}.`,
    },
    memoryBytes: {
      value: memoryBytes,
      how: `Weights ${mib(memory.parameterBytes)} + gradients ${mib(memory.gradientBytes)} + optimizer ${mib(memory.optimizerBytes)} + activations of ${microbatch} windows ${mib(memory.activationBytes)} + work space ${mib(memory.workspaceBytes)}.`,
    },
    diskBytes: {
      value: kept * checkpointBytes,
      how: `${recipe.save_num_checkpoints_to_keep} newest checkpoints and the best one × (weights ${mib(4 * parameters)} + optimizer ${mib(8 * parameters)} + tokenizer).`,
    },
    seconds: {
      value: trainSeconds + evalSeconds,
      how: isClock
        ? `max_duration ${recipe.max_duration}.${evalHow}`
        : `${grouped(tokensTotal)} tokens at ${Math.round(rate.tokensPerSecond)} a second.${evalHow}`,
    },
    tokensPerSecond: { value: rate.tokensPerSecond, how: rate.how },
    basis: rate.basis,
  };
}
