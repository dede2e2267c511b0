// `assay plan`: what a recipe or a model takes, here or on a cluster. The forecast of the recipe, beside it the memory of
// each way to train and to use the model, and with a GPU named: its memory, days, GPU-hours and price.

import { elementCount, modelTensors } from "#shared/domain/model-tensors";
import type { ShapedRecipe } from "#shared/domain/recipe";
import { defaultLoraTargets, trainableCount } from "#shared/domain/recipe-model";
import type { Forecast } from "#shared/ipc/recipes.contract";
import type { NativeModelConfig, NativeModelOptions } from "../engine/addon.ts";
import type { ResolvedDevice } from "../engine/device.ts";
import { knownShapeName } from "../models/known-shapes.ts";
import { modelConfigOf, modelOptionsOf, plannedMasking, trainingOptionsOf } from "../recipe/engine-options.ts";
import { divisorsOf } from "../recipe/microbatch.ts";
import { type ForecastFacts, forecast, grouped, memoryHow, plannedMicrobatch, sized } from "./forecast.ts";
import { type Gpu, gpuTrainingMemory, USUAL_MFU } from "./gpus.ts";
import {
  int8InferenceMemory,
  type MemoryParts,
  recipeMemory,
  threadsOf,
  totalBytes,
  trainingMemory,
} from "./memory.ts";
import { trainingFlopsPerToken } from "./model-size.ts";
import type { Rate } from "./rate.ts";
import { egressOf } from "./stream-text.ts";

export type Figure = { readonly value: number; readonly how: string };

export type Cluster = {
  readonly gpu: Gpu;
  readonly count: number;
  /** Share of the peak that is reached; null takes a usual one. */
  readonly mfu: number | null;
  /** Of one GPU for an hour, in dollars; null leaves the cost open. */
  readonly pricePerHour: number | null;
};

export type MemoryVariant = "fp32" | "amp_bf16" | "lora_bf16" | "int8_inference";

export type Plan = {
  readonly name: string;
  /** What the papers call it. */
  readonly publishedName: string | null;
  readonly config: NativeModelConfig;
  readonly trainable: number;
  readonly forecast: Forecast;
  /** Of this machine; null for a plan of other machines. */
  readonly device: ResolvedDevice | null;
  /** Of the whole process on this machine, or of one GPU. */
  readonly memory: Figure;
  readonly microbatch: number;
  /** On this machine's kind, with `variantWindows` windows at once. */
  readonly variants: Readonly<Record<MemoryVariant, MemoryParts>>;
  readonly variantWindows: number;
  readonly days: Figure;
  readonly gpuHours: Figure | null;
  readonly cost: Figure | null;
  /** Of fetching text from an address; null where there is none, or where its index could not be read. */
  readonly egressCost: Figure | null;
};

/**
 * What the process holds beside the engine's memory: Node with the program, the engine's library and oneDNN's, the
 * tokenizer, and the pages of the token caches that are being read. test/integration/memory-peak.test.ts measures it.
 */
export const PROCESS_BYTES = 100e6;

/**
 * Copies of the largest tensor on its way to or from the disk: when weights are read the tensor and its turned-round
 * form, when a checkpoint is written also the other of the optimizer's two running means.
 */
function copyBytes(recipe: ShapedRecipe, config: NativeModelConfig): number {
  const largest = Math.max(...modelTensors(config).map(({ shape }) => elementCount(shape)));
  return 4 * largest * (recipe.model.lora === undefined ? 3 : 2);
}

/** An adapter of usual size, for the column of a recipe that has none. */
const usualLora = { rank: 8, alpha: 16, dropout: 0 } as const;

export function clusterRate(cluster: Cluster, flopsPerToken: number): Rate {
  const { gpu, count } = cluster;
  const mfu = cluster.mfu ?? USUAL_MFU;
  const tokensPerSecond = (count * gpu.bf16FlopsPerSecond * mfu) / flopsPerToken;
  const assumed = cluster.mfu === null ? " (assumed; --mfu gives another)" : "";
  return {
    tokensPerSecond,
    basis: "estimated",
    how: `${count} × ${gpu.title} of ${gpu.bf16FlopsPerSecond / 1e12} TFLOP/s in bf16 × MFU ${mfu}${assumed} = ${((count * gpu.bf16FlopsPerSecond * mfu) / 1e12).toPrecision(4)} TFLOP/s; at ${(flopsPerToken / 1e9).toPrecision(4)} GFLOP a token that is ${grouped(tokensPerSecond)} tokens a second.`,
  };
}

/** The memory of each way to train the model with `microbatch` windows at once, and of generating from it in 8 bits. */
export function memoryVariants(
  recipe: ShapedRecipe,
  config: NativeModelConfig,
  microbatch: number,
  threads: number,
): Readonly<Record<MemoryVariant, MemoryParts>> {
  const training = trainingOptionsOf(recipe, microbatch, plannedMasking(recipe, config.vocabSize));
  const whole: NativeModelOptions = { threads, weights: "fp32", lora: null };
  const lora = modelOptionsOf(recipe, threads).lora ?? {
    ...usualLora,
    rank: Math.min(usualLora.rank, config.dModel),
    targets: defaultLoraTargets[config.family],
  };
  return {
    fp32: trainingMemory(config, whole, { ...training, precision: "fp32" }),
    amp_bf16: trainingMemory(config, whole, { ...training, precision: "amp_bf16" }),
    lora_bf16: trainingMemory(
      config,
      { threads, weights: "bf16", lora },
      { ...training, precision: "amp_bf16", frozen: [] },
    ),
    int8_inference: int8InferenceMemory(config),
  };
}

function gpuMemory(
  recipe: ShapedRecipe,
  config: NativeModelConfig,
  parameters: number,
  cluster: Cluster,
): { readonly memory: Figure; readonly microbatch: number } {
  const { gpu, count } = cluster;
  const perGpu = Math.max(1, Math.floor(recipe.global_train_batch_size / count));
  const shape = { parameters, layers: config.nLayers, width: config.dModel, vocabSize: config.vocabSize };
  const partsOf = (microbatch: number) =>
    gpuTrainingMemory(shape, {
      gpuCount: count,
      microbatch,
      seqLen: recipe.max_seq_len,
      recompute: recipe.activation_checkpointing,
    });
  const bytesOf = (microbatch: number) => {
    const parts = partsOf(microbatch);
    return parts.stateBytes + parts.activationBytes + parts.logitBytes;
  };
  // A tenth is left to the libraries and to fragments.
  const fits = divisorsOf(perGpu).find((divisor) => bytesOf(divisor) <= 0.9 * gpu.memoryBytes);
  const wanted = recipe.device_train_microbatch_size;
  const microbatch = wanted === "auto" ? (fits ?? 1) : Math.min(wanted, perGpu);
  const parts = partsOf(microbatch);
  const value = bytesOf(microbatch);
  const verdict = value > gpu.memoryBytes ? ` That is more than the ${sized(gpu.memoryBytes)} of one.` : "";
  return {
    microbatch,
    memory: {
      value,
      how: `On each GPU: 16 bytes × ${grouped(parameters)} parameters over ${count} ${count === 1 ? "GPU" : "GPUs"} ${sized(parts.stateBytes)} + activations of ${microbatch} ${microbatch === 1 ? "window" : "windows"} in bf16 ${sized(parts.activationBytes)} + logits and their loss ${sized(parts.logitBytes)}.${verdict}`,
    },
  };
}

function timeAndPrice(seconds: Figure, cluster: Cluster | null): Pick<Plan, "days" | "gpuHours" | "cost"> {
  const days = {
    value: seconds.value / 86_400,
    how: `${seconds.how} ${grouped(seconds.value)} s over 86 400 s a day.`,
  };
  if (cluster === null) {
    return { days, gpuHours: null, cost: null };
  }
  const gpuHours = (seconds.value / 3600) * cluster.count;
  const price = cluster.pricePerHour;
  return {
    days,
    gpuHours: {
      value: gpuHours,
      how: `${(seconds.value / 3600).toFixed(1)} hours × ${cluster.count} GPUs.`,
    },
    cost: price === null ? null : { value: gpuHours * price, how: `${grouped(gpuHours)} GPU-hours × $${price}.` },
  };
}

/** Pure but for the engine's arithmetic. */
export function planRecipe(recipe: ShapedRecipe, facts: Omit<ForecastFacts, "rate">, cluster: Cluster | null): Plan {
  const config = modelConfigOf(recipe, facts.vocabSize, facts.base);
  const flopsPerToken = trainingFlopsPerToken(config, recipe.max_seq_len);
  const memoryOf = recipeMemory(
    recipe,
    facts.vocabSize,
    facts.base ?? null,
    facts.machine.physicalCores,
    cluster === null ? facts.device?.device : "cpu",
  );
  const withMemory = { ...facts, memoryOf };
  const figures = forecast(
    recipe,
    cluster === null ? withMemory : { ...withMemory, evalTokens: 0, rate: clusterRate(cluster, flopsPerToken) },
  );
  const here = plannedMicrobatch(recipe, withMemory);
  const variantWindows = cluster === null ? here.microbatch : 1;
  const beside = PROCESS_BYTES + copyBytes(recipe, config);
  const own = totalBytes(here.memory) + beside;
  const place =
    cluster === null
      ? {
          microbatch: here.microbatch,
          memory: {
            value: own,
            how: `${memoryHow(here.memory, here.microbatch)} The program itself, libraries, text being read and copies of the largest tensor on its way to or from the disk take about ${sized(beside)} more.`,
          },
        }
      : gpuMemory(recipe, config, figures.parameters.value, cluster);
  return {
    name: recipe.run_name,
    publishedName: knownShapeName(config),
    config,
    trainable: trainableCount(config, recipe.model),
    forecast: figures,
    device: cluster === null ? (facts.device ?? null) : null,
    ...place,
    variants: memoryVariants(recipe, config, variantWindows, threadsOf(recipe, facts.machine.physicalCores)),
    variantWindows,
    egressCost:
      facts.streamed === undefined || "unknown" in facts.streamed
        ? null
        : egressOf(facts.streamed.text, figures.tokensTotal.value, recipe.data.streaming, facts.streamed.pricePerGb)
            .cost,
    ...timeAndPrice(figures.seconds, cluster),
  };
}
