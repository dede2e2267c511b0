// From a recipe to a model that can take its first step: tokenizer, token cache, memory. Shared by the runner and by the
// dry run, which must forecast what the runner will do.
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { isShaped, type Recipe, type ResolvedRecipe } from "#shared/domain/recipe";
import type { Phase } from "#shared/domain/run";
import { AppError, toErrorEnvelope } from "#shared/errors";
import type {
  NativeAddon,
  NativeMemoryPlan,
  NativeModel,
  NativeModelConfig,
  NativeModelOptions,
  NativeTokenizer,
  NativeTrainingOptions,
} from "../engine/addon.ts";
import { deviceMemory, type ResolvedDevice, resolveDevice } from "../engine/device.ts";
import { readModelConfig } from "../models/hugging-face.ts";
import { lintBase } from "../models/lint-before-use.ts";
import { totalBytes, trainingMemory } from "../planner/memory.ts";
import { modelConfigOf, modelOptionsOf, trainingOptionsOf } from "../recipe/engine-options.ts";
import { type BaseModel, shapeRecipe } from "../recipe/init-from.ts";
import { loadRecipe, recipeError } from "../recipe/load.ts";
import { largestMicrobatch, nextSmallerMicrobatch, USABLE_SHARE, USABLE_SHARE_OF_GPU } from "../recipe/microbatch.ts";
import { checkVocabulary, resolveRecipe } from "../recipe/resolve.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { maskingOf } from "../tokenizer/masking.ts";
import { prepareTokenizer } from "../tokenizer/prepare.ts";
import { saveTokenizer } from "../tokenizer/train.ts";
import { newestWholeCheckpoint } from "./checkpoints.ts";
import { asFileError, syncFolder } from "./durable-file.ts";
import { checkStream, type PreparedText, prepareText } from "./prepare-text.ts";
import type { StepFacts } from "./schedule.ts";
import type { TrainingSource } from "./training-source.ts";

export type PhaseListener = (phase: Phase) => void;

export type PreparedTraining = {
  readonly recipe: ResolvedRecipe;
  readonly device: ResolvedDevice;
  readonly tokenizer: NativeTokenizer;
  readonly tokenizerBytes: number;
  readonly endOfTextId: number;
  readonly training: TrainingSource;
  readonly evaluation: PreparedText["evaluation"];
  readonly fingerprint: string;
  readonly facts: StepFacts;
  readonly modelConfig: NativeModelConfig;
  readonly modelOptions: NativeModelOptions;
  readonly trainingOptions: NativeTrainingOptions;
  /** The model that training starts from. */
  readonly base: BaseModel | null;
  /** Whether the microbatch was chosen here, so that a smaller one may take its place. */
  readonly isMicrobatchChosen: boolean;
  close(): Promise<void>;
};

export type TrainingModel = { readonly model: NativeModel; readonly plan: NativeMemoryPlan };
export type AllocatedTraining = TrainingModel & {
  /** With the microbatch that was allocated, which is smaller than planned where the memory was not there. */
  readonly prepared: PreparedTraining;
};

export function tokenizerFolder(directory: string): string {
  return path.join(directory, "tokenizer");
}

/** The recipe of a run as it stands in its directory. */
export async function readRunRecipe(directory: string): Promise<{ readonly recipe: Recipe; readonly text: string }> {
  const file = path.join(directory, "recipe.yaml");
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new AppError("RECIPE_NOT_FOUND", `The run ${directory} has no recipe.yaml that can be read.`, { cause });
  });
  const { recipe, problems } = loadRecipe({ text, file });
  if (recipe === null) {
    throw recipeError(file, problems);
  }
  return { recipe, text };
}

/** Everything up to the model's memory. `directory` is where the run's tokenizer lies, or will. */
export async function prepareTraining(options: {
  readonly recipe: Recipe;
  readonly addon: NativeAddon;
  readonly directory: string;
  readonly workspace: string;
  readonly signal: AbortSignal;
  readonly onPhase: PhaseListener;
  /** A sentence for the log. */
  readonly onNotice: (sentence: string) => void;
}): Promise<PreparedTraining> {
  const { addon, onPhase } = options;
  const isStream = await checkStream(options.recipe);
  const { recipe, base } = await shapeOfRun(options.recipe, options.directory, options.workspace);
  const tokenizer = await tokenizerOf({ ...options, recipe });
  const { endOfTextId } = tokenizer;
  if (endOfTextId === null) {
    throw new AppError(
      "TOKENIZER_INVALID",
      "The tokenizer has no <|endoftext|>, which stands between documents; choose one that has it.",
    );
  }
  const masking = maskingOf(recipe, tokenizer);
  const device = resolveDevice(recipe.device, addon.machine().cuda);
  options.onNotice(device.how);
  const memory = await deviceMemory(device);
  const modelConfig = modelConfigOf(recipe, checkVocabulary(recipe, tokenizer.vocabSize), base?.config);
  if (base?.described !== undefined && base.described !== null) {
    for (const sentence of await lintBase(
      { folder: base.folder, config: modelConfig },
      tokenizerFolder(options.directory),
    )) {
      options.onNotice(sentence);
    }
  }
  const resolved = resolveRecipe(recipe, {
    device: device.device,
    physicalCores: addon.machine().physicalCores,
    vocabSize: tokenizer.vocabSize,
    autoMicrobatch: (_, threads) => {
      const bytesFor = (microbatch: number): number =>
        totalBytes(
          trainingMemory(
            modelConfig,
            modelOptionsOf(recipe, threads, device.device),
            trainingOptionsOf(recipe, microbatch, masking),
          ),
        );
      const chosen = largestMicrobatch(
        recipe.global_train_batch_size,
        memory.bytes,
        bytesFor,
        device.gpu === null ? USABLE_SHARE : USABLE_SHARE_OF_GPU,
      );
      options.onNotice(
        `device_train_microbatch_size: auto is ${chosen} of ${recipe.global_train_batch_size}: it takes ${gigabytes(bytesFor(chosen))} of the ${gigabytes(memory.bytes)} ${memory.how}.`,
      );
      return chosen;
    },
  });
  onPhase({ name: "reading corpus" });
  const text = await prepareText({
    ...options,
    isStream,
    recipe: resolved,
    tokenizer,
    endOfTextId,
    tokenizerFolder: tokenizerFolder(options.directory),
  });
  return {
    recipe: resolved,
    device,
    tokenizer,
    tokenizerBytes: await folderBytes(tokenizerFolder(options.directory)),
    endOfTextId,
    ...text,
    facts: {
      globalBatchSize: resolved.global_train_batch_size,
      seqLen: resolved.max_seq_len,
      windowCount: text.training.windowCount,
    },
    modelConfig,
    modelOptions: modelOptionsOf(resolved, resolved.threads),
    trainingOptions: trainingOptionsOf(resolved, resolved.device_train_microbatch_size, masking),
    base,
    isMicrobatchChosen: options.recipe.device_train_microbatch_size === "auto",
    close: async () => {
      text.evaluation.data.close();
      await text.training.close();
    },
  };
}

/** A run that has a whole model of its own needs the one it began with no more. */
async function shapeOfRun(recipe: Recipe, directory: string, workspace: string): ReturnType<typeof shapeRecipe> {
  const { init_from: folder, lora } = recipe.model;
  if (folder !== undefined && lora === undefined && isShaped(recipe)) {
    const { checkpoint } = await newestWholeCheckpoint(directory, "sizes");
    if (checkpoint !== null) {
      const config = await readModelConfig(checkpoint.path);
      return { recipe, base: { folder, config, described: null } };
    }
  }
  return shapeRecipe(recipe, workspace);
}

function gigabytes(bytes: number): string {
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** The run's own tokenizer: trained or copied once, then only read, so that a resume sees the same ids. */
async function tokenizerOf(options: {
  readonly recipe: Recipe;
  readonly directory: string;
  readonly workspace: string;
  readonly signal: AbortSignal;
  readonly onPhase: PhaseListener;
  readonly onNotice: (sentence: string) => void;
}): Promise<NativeTokenizer> {
  const folder = tokenizerFolder(options.directory);
  if ((await stat(folder).catch(() => null)) !== null) {
    const tokenizer = await loadTokenizer(folder);
    checkVocabulary(options.recipe, tokenizer.vocabSize);
    return tokenizer;
  }
  options.onPhase({ name: options.recipe.tokenizer.train === undefined ? "loading tokenizer" : "reading corpus" });
  const { tokenizer, report } = await prepareTokenizer(options.recipe, {
    workspace: options.workspace,
    signal: options.signal,
    onProgress: ({ phase, done, total }) =>
      options.onPhase({
        name: phase === "reading" ? "reading corpus" : "training tokenizer",
        done,
        unit: phase === "reading" ? "bytes" : "merges",
        ...(total === null ? {} : { total }),
      }),
  });
  if (report !== null) {
    options.onNotice(
      `Tokenizer trained: ${report.vocabSize} tokens from ${report.bytes} bytes, ${report.words} words (${report.distinctWords} different), in ${report.seconds.toFixed(1)} s.`,
    );
  }
  // Beside its place and renamed, so that a tokenizer that is there is whole.
  const temporary = path.join(options.directory, `.tokenizer.tmp-${process.pid}`);
  await rm(temporary, { recursive: true, force: true });
  await saveTokenizer(tokenizer, temporary);
  try {
    await syncFolder(temporary);
    await rename(temporary, folder);
    await syncFolder(options.directory);
  } catch (error) {
    throw asFileError(error, `write the tokenizer to ${folder}`);
  }
  return tokenizer;
}

async function folderBytes(folder: string): Promise<number> {
  let sum = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    sum += (await stat(path.join(folder, name))).size;
  }
  return sum;
}

function withMicrobatch(prepared: PreparedTraining, microbatchSize: number): PreparedTraining {
  return {
    ...prepared,
    recipe: { ...prepared.recipe, device_train_microbatch_size: microbatchSize },
    trainingOptions: { ...prepared.trainingOptions, microbatchSize },
  };
}

/**
 * The model with the memory that its plan says; weights and moments are the caller's next matter. A microbatch that was
 * chosen here and turns out not to fit gives way to half of it.
 */
export async function allocateTraining(
  addon: NativeAddon,
  wanted: PreparedTraining,
  onPhase: PhaseListener,
  onNotice: (sentence: string) => void,
): Promise<AllocatedTraining> {
  let prepared = wanted;
  for (;;) {
    const model = addon.createModel(prepared.modelConfig, prepared.modelOptions);
    try {
      const { totalBytes } = model.planTraining(prepared.trainingOptions);
      onPhase({ name: `allocating ${Math.ceil(totalBytes / 1e6)} MB` });
      return { prepared, model, plan: await model.prepareTraining(prepared.trainingOptions) };
    } catch (error) {
      model.dispose();
      const { recipe } = prepared;
      const smaller =
        toErrorEnvelope(error).code === "OUT_OF_MEMORY" && prepared.isMicrobatchChosen
          ? nextSmallerMicrobatch(recipe.global_train_batch_size, recipe.device_train_microbatch_size)
          : null;
      if (smaller === null) {
        throw error;
      }
      onNotice(
        `There was no memory for ${recipe.device_train_microbatch_size} windows at once; trying device_train_microbatch_size ${smaller}.`,
      );
      prepared = withMicrobatch(prepared, smaller);
    }
  }
}
