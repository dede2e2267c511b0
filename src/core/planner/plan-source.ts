// What `assay plan` is asked about: a recipe by file or name, a run, or a model's folder, with the facts of this machine. Text
// that is not here yet is no obstacle where the plan does not need it.
import { stat } from "node:fs/promises";
import path from "node:path";
import type { Recipe, ShapedRecipe } from "#shared/domain/recipe";
import { isAddress, trainLocations } from "#shared/domain/recipe-stream";
import { AppError } from "#shared/errors";
import type { NativeModelConfig } from "../engine/addon.ts";
import { deviceMemory, plannedDevice } from "../engine/device.ts";
import { readModelConfig } from "../models/hugging-face.ts";
import { findRunCheckpoint, shapeRecipe } from "../recipe/init-from.ts";
import { loadRecipe, loadRecipeSource } from "../recipe/load.ts";
import { splitRunStep } from "../recipe/paths.ts";
import { checkVocabulary } from "../recipe/resolve.ts";
import { findRun } from "../runs/directory.ts";
import { findsStream } from "../runs/prepare-text.ts";
import { describeTokenizer } from "../tokenizer/load.ts";
import { estimateHeldOut, estimateTokens, needsText } from "./corpus-size.ts";
import type { ForecastFacts } from "./forecast.ts";
import { readMachine } from "./machine.ts";
import { measuredRate } from "./measured-rate.ts";
import { type Cluster, type Plan, planRecipe } from "./plan.ts";
import { streamText } from "./stream-text.ts";

export type PlanRequest = {
  readonly source: string;
  readonly overrides?: readonly string[];
  readonly workspace: string;
  readonly cluster: Cluster | null;
  /** Dollars of a GB out of where the text lies; null takes a usual one. */
  readonly egressPricePerGb?: number | null;
};

async function vocabSizeOf(recipe: ShapedRecipe, workspace: string): Promise<number> {
  const known = recipe.tokenizer.train?.vocab_size ?? recipe.model.vocab_size;
  if (known !== undefined) {
    return known;
  }
  const { vocabSize } = await describeTokenizer(recipe.tokenizer.path ?? "", { workspace });
  return checkVocabulary(recipe, vocabSize);
}

type TextFacts = Pick<ForecastFacts, "trainTokens" | "evalTokens" | "streamed">;

/** Without tokens where the text is not there and the plan can do without. */
async function textOf(recipe: ShapedRecipe, vocabSize: number, pricePerGb: number | null): Promise<TextFacts> {
  try {
    if (!(await findsStream(recipe))) {
      return await estimateTokens(recipe.data);
    }
    const text = await streamText(recipe.data, vocabSize);
    const isRemote = trainLocations(recipe.data).some(isAddress);
    const evalTokens = await estimateHeldOut(recipe.data);
    if (text instanceof AppError) {
      return { trainTokens: null, evalTokens, ...(isRemote ? { streamed: { unknown: text.message } } : {}) };
    }
    return { trainTokens: text.tokens, evalTokens, ...(isRemote ? { streamed: { text, pricePerGb } } : {}) };
  } catch (error) {
    if (error instanceof AppError && !needsText(recipe)) {
      return { trainTokens: null, evalTokens: 0 };
    }
    throw error;
  }
}

/** The recipe a bare model is planned with: one pass of one window, in the way its family is pretrained. */
function recipeOfModel(folder: string, config: NativeModelConfig): Recipe {
  const objective = config.family === "gpt2" ? "clm" : "mlm";
  const text = JSON.stringify({
    run_name: path
      .basename(folder)
      .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
      .replace(/^[^A-Za-z0-9]+/, "")
      .slice(0, 64),
    max_seq_len: config.maxSeqLen,
    model: { name: config.family, init_from: folder, dropout: 0 },
    tokenizer: { path: folder },
    data: { train: folder },
    objective: { name: objective },
    optimizer: { lr: 1e-4 },
    max_duration: "1ba",
    global_train_batch_size: 1,
    device_train_microbatch_size: 1,
  });
  const { recipe, problems } = loadRecipe({ text });
  if (recipe === null) {
    throw new AppError("MODEL_CONFIG_INVALID", `${folder} cannot be planned: ${problems[0]?.message ?? ""}`);
  }
  return recipe;
}

async function isModelFolder(folder: string): Promise<boolean> {
  return (await stat(path.join(folder, "config.json")).catch(() => null))?.isFile() === true;
}

async function isRunDirectory(folder: string): Promise<boolean> {
  return (await stat(path.join(folder, "run.json")).catch(() => null))?.isFile() === true;
}

/** The folder of a model or of `RUN@STEP`; null where the source is a recipe or a run. */
async function modelFolder(source: string, workspace: string): Promise<string | null> {
  const folder = path.resolve(source);
  if (await isModelFolder(folder)) {
    return folder;
  }
  if ((await stat(folder).catch(() => null))?.isDirectory() === true && !(await isRunDirectory(folder))) {
    throw new AppError(
      "CHECKPOINT_NOT_FOUND",
      `${folder} is a folder without a config.json; name a model's folder, a recipe, a preset or a run.`,
    );
  }
  return splitRunStep(source).step === null ? null : (await findRunCheckpoint(source, workspace)).folder;
}

/** The recipe of a file, a preset or a run, whichever the source names. */
async function recipeOf({ source, overrides = [], workspace }: PlanRequest): Promise<Recipe> {
  try {
    return (await loadRecipeSource(source, { overrides, workspace })).recipe;
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "RECIPE_NOT_FOUND") {
      throw error;
    }
    const run = await findRun(workspace, source).catch(() => null);
    if (run === null) {
      throw error;
    }
    return (await loadRecipeSource(path.join(run, "recipe.yaml"), { overrides, workspace })).recipe;
  }
}

export async function planSource(request: PlanRequest): Promise<Plan & { readonly isModel: boolean }> {
  const { workspace } = request;
  const machine = readMachine();
  const folder = await modelFolder(request.source, workspace);
  if (folder !== null) {
    const config = await readModelConfig(folder);
    const { recipe } = await shapeRecipe(recipeOfModel(folder, config), workspace);
    const device = plannedDevice(recipe.device, machine);
    const availableBytes = (await deviceMemory(device)).bytes;
    const facts = { machine, vocabSize: config.vocabSize, base: config, trainTokens: null, measured: null, device };
    return { ...planRecipe(recipe, { ...facts, availableBytes }, request.cluster), isModel: true };
  }
  const { recipe, base } = await shapeRecipe(await recipeOf(request), workspace);
  const device = plannedDevice(recipe.device, machine);
  const availableBytes = (await deviceMemory(device)).bytes;
  const vocabSize = await vocabSizeOf(recipe, workspace);
  const [tokens, measured] = await Promise.all([
    textOf(recipe, vocabSize, request.egressPricePerGb ?? null),
    measuredRate(workspace, recipe, { vocabSize, physicalCores: machine.physicalCores, device: device.device }),
  ]);
  const facts = { machine, vocabSize, base: base?.config ?? null, ...tokens, measured, availableBytes, device };
  return { ...planRecipe(recipe, facts, request.cluster), isModel: false };
}
