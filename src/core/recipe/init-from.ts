// The model that `model.init_from` names: found, pinned to a folder, and its shape put into the recipe. What the recipe
// says of the shape itself must agree.
import { stat } from "node:fs/promises";
import path from "node:path";
import { isShaped, type Recipe, type ShapedRecipe } from "#shared/domain/recipe";
import { headOf } from "#shared/domain/recipe-model";
import { AppError } from "#shared/errors";
import type { NativeModelConfig } from "../engine/addon.ts";
import { isAdapterFolder } from "../models/adapter.ts";
import { type ModelFolder, readModelFolder } from "../models/hugging-face.ts";
import { checkpointPath, newestWholeCheckpoint, readCheckpoint } from "../runs/checkpoints.ts";
import { findRun } from "../runs/directory.ts";
import { splitRunStep } from "./paths.ts";

export type BaseModel = {
  readonly folder: string;
  readonly config: NativeModelConfig;
  /** What its own files say of the weights; null where they are not read again. */
  readonly described: Pick<ModelFolder, "config" | "hasHead" | "scalesByInverseLayer"> | null;
};

/** The checkpoint folder of `RUN@STEP`, or the newest of `RUN`, whole by its sizes. */
export async function findRunCheckpoint(
  source: string,
  workspace: string,
): Promise<{ readonly run: string; readonly folder: string; readonly step: number }> {
  const { run: reference, step } = splitRunStep(source);
  const run = await findRun(workspace, reference).catch(async (error: unknown) => {
    const at = source.lastIndexOf("@");
    if (step === null && at > 0 && (await findRun(workspace, source.slice(0, at)).catch(() => null)) !== null) {
      throw new AppError(
        "BAD_ARGUMENT",
        `"${source.slice(at + 1)}" is not a step of the run ${source.slice(0, at)}; write RUN@STEP with a whole number.`,
        { cause: error },
      );
    }
    throw error;
  });
  if (step !== null) {
    const folder = checkpointPath(run, step);
    if ((await stat(folder).catch(() => null)) === null) {
      throw new AppError(
        "CHECKPOINT_NOT_FOUND",
        `The run ${path.basename(run)} has no checkpoint of step ${step}; \`assay runs show ${path.basename(run)}\` lists those it has.`,
      );
    }
    const checkpoint = await readCheckpoint(folder, "sizes");
    return { run, folder, step: checkpoint.step };
  }
  const { checkpoint, problems } = await newestWholeCheckpoint(run, "sizes");
  if (checkpoint === null) {
    throw new AppError(
      "CHECKPOINT_NOT_FOUND",
      problems[0] ?? `The run ${path.basename(run)} has no checkpoint yet; \`assay checkpoint\` asks it for one.`,
    );
  }
  return { run, folder: checkpoint.path, step: checkpoint.step };
}

/** The folder with the weights: `source` itself, or the checkpoint of a run. */
export async function findInitFrom(source: string, workspace: string): Promise<string> {
  const folder = path.resolve(source);
  if ((await stat(path.join(folder, "config.json")).catch(() => null))?.isFile() === true) {
    return folder;
  }
  try {
    return (await findRunCheckpoint(source, workspace)).folder;
  } catch (error) {
    if (error instanceof AppError && error.code === "RUN_NOT_FOUND") {
      throw new AppError(
        "CHECKPOINT_NOT_FOUND",
        `model.init_from ${source} is neither a folder with a config.json nor a run in ${workspace}; name one of these, or RUN@STEP.`,
        { cause: error },
      );
    }
    throw error;
  }
}

function differs(key: string, wanted: number | string, found: number | string, folder: string): AppError {
  return new AppError(
    "RECIPE_INVALID",
    `${key} ${wanted} is not the ${found} of ${folder}, which model.init_from names; leave ${key} out, it is taken from there.`,
  );
}

/** Throws what does not fit; otherwise the recipe with what the base says. */
export function withBase(recipe: Recipe, { folder, config }: Pick<BaseModel, "folder" | "config">): ShapedRecipe {
  const { model } = recipe;
  if (model.name !== config.family) {
    throw new AppError(
      "RECIPE_INVALID",
      `model.name ${model.name} is not the ${config.family} of ${folder}, which model.init_from names; write model.name: ${config.family}.`,
    );
  }
  const shape = { n_layers: config.nLayers, n_heads: config.nHeads, d_model: config.dModel };
  for (const key of ["n_layers", "n_heads", "d_model"] as const) {
    const wanted = model[key];
    if (wanted !== undefined && wanted !== shape[key]) {
      throw differs(`model.${key}`, wanted, shape[key], folder);
    }
  }
  if (model.vocab_size !== undefined && model.vocab_size !== config.vocabSize) {
    throw differs("model.vocab_size", model.vocab_size, config.vocabSize, folder);
  }
  const ratio = config.dInner / config.dModel;
  // 4 is what stands there where nothing was written.
  if (model.expansion_ratio !== 4 && model.expansion_ratio !== ratio) {
    throw differs("model.expansion_ratio", model.expansion_ratio, ratio, folder);
  }
  if (recipe.max_seq_len > config.maxSeqLen) {
    throw new AppError(
      "CONTEXT_TOO_LONG",
      `max_seq_len ${recipe.max_seq_len} is longer than the ${config.maxSeqLen} positions of ${folder}, which model.init_from names; lower max_seq_len to ${config.maxSeqLen}.`,
    );
  }
  const hasTokenizer = recipe.tokenizer.path !== undefined || recipe.tokenizer.train !== undefined;
  return {
    ...recipe,
    tokenizer: hasTokenizer ? recipe.tokenizer : { path: folder },
    model: {
      ...model,
      ...shape,
      init_from: folder,
      vocab_size: config.vocabSize,
      // Another width than a whole multiple is the base's own and comes from its configuration each time.
      expansion_ratio: Number.isInteger(ratio) && ratio >= 1 && ratio <= 16 ? ratio : 4,
    },
  };
}

/** A checked recipe with its shape: its own, or that of the model it starts from. */
export async function shapeRecipe(
  recipe: Recipe,
  workspace: string,
): Promise<{ readonly recipe: ShapedRecipe; readonly base: BaseModel | null }> {
  const source = recipe.model.init_from;
  if (source !== undefined) {
    const folder = await findInitFrom(source, workspace);
    if (await isAdapterFolder(folder)) {
      throw new AppError(
        "NOT_SUPPORTED",
        `model.init_from ${source} is an adapter, not a whole model; merge it into its base with \`assay convert\` first.`,
      );
    }
    const described = await readModelFolder(folder).then((own) =>
      // Another family is withBase's to refuse, with a sentence about the recipe.
      own.config.family === recipe.model.name ? readModelFolder(folder, { head: headOf(recipe.objective.name) }) : own,
    );
    const base = { folder, config: described.config, described };
    return { recipe: withBase(recipe, base), base };
  }
  if (!isShaped(recipe)) {
    throw new Error("A checked recipe without model.init_from has a shape.");
  }
  return { recipe, base: null };
}
