// What the editor asks after every change: the problems of a text, and what the run would take. Beyond the text itself it
// looks whether the files it names are there.
import path from "node:path";
import { PATH_TO_REPLACE, type Recipe } from "#shared/domain/recipe";
import { isAddress, isStream, streamFindings, trainLocations } from "#shared/domain/recipe-stream";
import { AppError, toErrorEnvelope } from "#shared/errors";
import type { Forecast, RecipeProblem } from "#shared/ipc/recipes.contract";
import { listCorpusFiles } from "../corpus/files.ts";
import { deviceMemory, plannedDevice } from "../engine/device.ts";
import { programRoot } from "../paths.ts";
import { estimateHeldOut, estimateTokens, needsText } from "../planner/corpus-size.ts";
import { type ForecastFacts, forecast } from "../planner/forecast.ts";
import type { PlannerMachine } from "../planner/machine.ts";
import { measuredRate } from "../planner/measured-rate.ts";
import { recipeMemory } from "../planner/memory.ts";
import { checkShardFolders, findsStream } from "../runs/prepare-text.ts";
import { describeTokenizer } from "../tokenizer/load.ts";
import { shapeRecipe } from "./init-from.ts";
import { loadRecipe, locateInText } from "./load.ts";
import { withAbsolutePaths } from "./paths.ts";
import { checkVocabulary } from "./resolve.ts";

export type RecipeCheck = {
  readonly problems: RecipeProblem[];
  readonly forecast: Forecast | null;
  /** Why there is no forecast of a sound recipe. */
  readonly forecastProblem: string | null;
};

export type CheckOptions = {
  readonly text: string;
  /** The file the text belongs to; null for a preset or a text that has none yet. */
  readonly file: string | null;
  readonly workspace: string;
  readonly machine: PlannerMachine;
};

function problemAt(text: string, key: string, error: unknown): RecipeProblem {
  const { code, message, hint } = toErrorEnvelope(error);
  return {
    code,
    severity: "error",
    message: hint === undefined ? message : `${message} ${hint}`,
    ...locateInText(text, key.split(".")),
    path: key,
    suggestion: null,
  };
}

/** Runs `work`; an expected failure becomes a problem at the key it is about. */
async function orProblem<T>(
  text: string,
  key: string,
  problems: RecipeProblem[],
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError) {
      problems.push(problemAt(text, key, error));
      return null;
    }
    throw error;
  }
}

async function vocabSizeOf(recipe: Recipe, workspace: string): Promise<number> {
  const trained = recipe.tokenizer.train?.vocab_size;
  if (trained !== undefined) {
    return trained;
  }
  const described = await describeTokenizer(recipe.tokenizer.path ?? "", { workspace });
  return checkVocabulary(recipe, described.vocabSize);
}

/** What the files tell of a stream. Servers are not asked while a recipe is being written. */
async function checkStreamed(text: string, recipe: Recipe, problems: RecipeProblem[]): Promise<void> {
  if (!isStream(recipe.data)) {
    for (const { path: at, message, suggestion } of streamFindings(recipe)) {
      const place = locateInText(text, at);
      problems.push({ code: "RECIPE_INVALID", severity: "error", message, ...place, path: at.join("."), suggestion });
    }
  }
  await orProblem(text, "data.train", problems, () => checkShardFolders(recipe.data));
}

async function streamedText(
  data: Recipe["data"],
): Promise<Pick<ForecastFacts, "trainTokens" | "evalTokens" | "streamed">> {
  const [address] = trainLocations(data).filter(isAddress);
  const evalTokens = await estimateHeldOut(data);
  return address === undefined
    ? { trainTokens: null, evalTokens }
    : {
        trainTokens: null,
        evalTokens,
        streamed: {
          unknown: `The shards at ${address} are fetched as training needs them; \`assay plan\` asks there how much that is and what it costs.`,
        },
      };
}

export async function checkRecipeText(options: CheckOptions): Promise<RecipeCheck> {
  const { text, file, workspace, machine } = options;
  const loaded = loadRecipe({ text, file });
  const problems = [...loaded.problems];
  if (loaded.recipe === null) {
    return { problems, forecast: null, forecastProblem: null };
  }
  const recipe = withAbsolutePaths(loaded.recipe, {
    baseDirectory: file === null ? programRoot() : path.dirname(file),
    workspace,
  });
  const { data } = recipe;
  const isTextToCome = JSON.stringify(data.train).includes(PATH_TO_REPLACE) && !needsText(recipe);
  const streams = await orProblem(text, "data.train", problems, () => findsStream(recipe));
  if (streams === true) {
    await checkStreamed(text, recipe, problems);
  } else if (streams === false) {
    await orProblem(text, "data.train", problems, () => listCorpusFiles(data.train));
  }
  if (typeof data.eval === "string" && !isAddress(data.eval)) {
    const evaluation = data.eval;
    await orProblem(text, "data.eval", problems, () => listCorpusFiles(evaluation));
  }
  const shaped = await orProblem(text, "model.init_from", problems, () => shapeRecipe(recipe, workspace));
  if (shaped === null) {
    return { problems, forecast: null, forecastProblem: null };
  }
  const tokenizerKey = recipe.tokenizer.path === undefined ? "tokenizer" : "tokenizer.path";
  const vocabSize = await orProblem(text, tokenizerKey, problems, () => vocabSizeOf(shaped.recipe, workspace));
  // A preset that waits for its user's text can be planned all the same.
  const isInTheWay = ({ severity, path: at }: RecipeProblem) =>
    severity === "error" && !(isTextToCome && at === "data.train");
  if (vocabSize === null || problems.some(isInTheWay)) {
    return { problems, forecast: null, forecastProblem: null };
  }
  const device = plannedDevice(shaped.recipe.device, machine);
  const [estimated, measured] = await Promise.all([
    isTextToCome ? { trainTokens: null, evalTokens: 0 } : streams === true ? streamedText(data) : estimateTokens(data),
    measuredRate(workspace, shaped.recipe, { vocabSize, physicalCores: machine.physicalCores, device: device.device }),
  ]);
  const base = shaped.base?.config ?? null;
  const { bytes } = await deviceMemory(device);
  const placeBytes = device.gpu?.memoryBytes ?? machine.memoryBytes;
  const place = device.gpu?.name ?? "this machine";
  const figures = forecast(shaped.recipe, {
    machine,
    vocabSize,
    base,
    ...estimated,
    measured,
    availableBytes: Math.min(bytes, placeBytes),
    device,
    memoryOf: recipeMemory(shaped.recipe, vocabSize, base, machine.physicalCores, device.device),
  });
  const forecastProblem =
    figures.memoryBytes.value > placeBytes
      ? `This needs ${(figures.memoryBytes.value / 1e9).toFixed(1)} GB of memory and ${place} has ${(placeBytes / 1e9).toFixed(1)} GB; lower device_train_microbatch_size or the model, set activation_checkpointing, or train with model.lora.`
      : null;
  return { problems, forecast: figures, forecastProblem };
}
