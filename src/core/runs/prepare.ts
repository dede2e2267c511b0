// From a recipe to a model that can take its first step: tokenizer, token cache, memory. Shared by the runner and by the
// dry run, which must forecast what the runner will do.
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { Recipe, ResolvedRecipe } from "#shared/domain/recipe";
import type { Phase } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import { buildTokenCache, type TokenCaches } from "../corpus/token-cache.ts";
import type {
  NativeAddon,
  NativeMemoryPlan,
  NativeModel,
  NativeModelConfig,
  NativeTokenData,
  NativeTokenizer,
  NativeTrainingOptions,
} from "../engine/addon.ts";
import { loadRecipe, recipeError } from "../recipe/load.ts";
import { checkVocabulary, resolveRecipe } from "../recipe/resolve.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { prepareTokenizer } from "../tokenizer/prepare.ts";
import { saveTokenizer } from "../tokenizer/train.ts";
import { asFileError, syncFolder } from "./durable-file.ts";
import type { StepFacts } from "./schedule.ts";

export type PhaseListener = (phase: Phase) => void;

export type PreparedTraining = {
  readonly recipe: ResolvedRecipe;
  readonly tokenizer: NativeTokenizer;
  readonly tokenizerBytes: number;
  readonly endOfTextId: number;
  readonly training: NativeTokenData;
  readonly evaluation: { readonly data: NativeTokenData; readonly textBytes: number };
  /** Of the token cache: changes with text and tokenizer. */
  readonly fingerprint: string;
  readonly facts: StepFacts;
  readonly modelConfig: NativeModelConfig;
  readonly trainingOptions: NativeTrainingOptions;
  close(): void;
};

export type TrainingModel = { readonly model: NativeModel; readonly plan: NativeMemoryPlan };

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
  const { recipe, addon, onPhase } = options;
  const tokenizer = await tokenizerOf(options);
  const { endOfTextId } = tokenizer;
  if (endOfTextId === null) {
    throw new AppError(
      "TOKENIZER_INVALID",
      "The tokenizer has no <|endoftext|>, which stands between documents; choose one that has it.",
    );
  }
  const resolved = resolveRecipe(recipe, { machine: addon.machine(), vocabSize: tokenizer.vocabSize });
  onPhase({ name: "reading corpus" });
  const caches = await buildTokenCache({
    recipe,
    tokenizer,
    cacheRoot: path.join(options.workspace, "cache"),
    signal: options.signal,
    onNotice: options.onNotice,
    onProgress: ({ phase, done, total }) =>
      onPhase({ name: phase === "hashing" ? "reading corpus" : "tokenizing", done, total, unit: "bytes" }),
  });
  options.onNotice(describeCaches(caches));
  return openCaches(
    resolved,
    addon,
    tokenizer,
    endOfTextId,
    caches,
    await folderBytes(tokenizerFolder(options.directory)),
  );
}

function describeCaches({ train, eval: held, wasReused }: TokenCaches): string {
  const how = wasReused ? "already tokenized" : "tokenized";
  return `Text (${how}): ${train.documents} documents and ${train.tokens} tokens for training, ${held.documents} and ${held.tokens} held out.`;
}

function openCaches(
  recipe: ResolvedRecipe,
  addon: NativeAddon,
  tokenizer: NativeTokenizer,
  endOfTextId: number,
  caches: TokenCaches,
  tokenizerBytes: number,
): PreparedTraining {
  const training = addon.openTokenData(caches.trainDirectory);
  const held = addon.openTokenData(caches.evalDirectory);
  const { model, optimizer } = recipe;
  return {
    recipe,
    tokenizer,
    tokenizerBytes,
    endOfTextId,
    training,
    evaluation: { data: held, textBytes: caches.eval.textBytes },
    fingerprint: caches.fingerprint,
    facts: {
      globalBatchSize: recipe.global_train_batch_size,
      seqLen: recipe.max_seq_len,
      windowCount: training.windowCount(recipe.max_seq_len),
    },
    modelConfig: {
      family: "gpt2",
      head: "causal-lm",
      vocabSize: model.vocab_size,
      maxSeqLen: recipe.max_seq_len,
      nLayers: model.n_layers,
      nHeads: model.n_heads,
      dModel: model.d_model,
      dInner: model.expansion_ratio * model.d_model,
      typeVocabSize: 0,
      labels: 1,
      layerNormEps: 1e-5,
      embdPdrop: model.dropout,
      attnPdrop: model.dropout,
      residPdrop: model.dropout,
      classifierPdrop: model.dropout,
      activation: "gelu_new",
    },
    trainingOptions: {
      microbatchSize: recipe.device_train_microbatch_size,
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
    },
    close: () => {
      training.close();
      held.close();
    },
  };
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

/** The model with the memory that its plan says; weights and moments are the caller's next matter. */
export async function allocateTraining(
  addon: NativeAddon,
  prepared: PreparedTraining,
  onPhase: PhaseListener,
): Promise<TrainingModel> {
  const model = addon.createModel(prepared.modelConfig, { threads: prepared.recipe.threads });
  try {
    const { totalBytes } = model.planTraining(prepared.trainingOptions);
    onPhase({ name: `allocating ${Math.ceil(totalBytes / 1e6)} MB` });
    return { model, plan: await model.prepareTraining(prepared.trainingOptions) };
  } catch (error) {
    model.dispose();
    throw error;
  }
}
