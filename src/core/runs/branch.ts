// A branch: a new run whose first checkpoint is another run's. It keeps weights, optimizer, step and place in the text;
// what its recipe changes is listed. The other run is only read.
import { constants } from "node:fs";
import { copyFile, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Recipe } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { findRunCheckpoint } from "../recipe/init-from.ts";
import { loadRecipe, prepareRecipe, recipeError } from "../recipe/load.ts";
import { isWithin, parseOverride } from "../recipe/overrides.ts";
import { changesBetween, checkBranchChanges, describeChange, type RecipeChange } from "./changes.ts";
import { readCheckpoint, type WholeCheckpoint, writeCheckpoint } from "./checkpoints.ts";
import { createRun, type RunDirectory } from "./directory.ts";
import { makeFolder, syncFile, syncFolder } from "./durable-file.ts";
import { readManifest } from "./manifest.ts";
import { recipeTextWith } from "./recipe-text.ts";
import { isReached } from "./schedule.ts";

export type BranchRequest = {
  /** `RUN@STEP`, or a run, whose newest checkpoint it then is. */
  readonly from: string;
  /** A recipe for the branch, its paths absolute; the other run's own where absent. */
  readonly recipe?: { readonly recipe: Recipe; readonly text: string };
  readonly overrides?: readonly string[];
  readonly workspace: string;
  readonly currentDirectory?: string;
};

export type BranchPlan = {
  readonly parent: string;
  readonly parentId: string;
  readonly checkpoint: WholeCheckpoint;
  readonly recipe: Recipe;
  readonly text: string;
  readonly changes: readonly RecipeChange[];
};

const namesAside: ReadonlySet<string> = new Set(["run_name"]);

/** What a recipe leaves open stands as the other run has it: `auto`, the shape, the vocabulary, the tokenizer. */
function filledFrom(recipe: Recipe, parent: Recipe): Recipe {
  const kept = <T>(value: T | "auto", before: T | "auto"): T | "auto" => (value === "auto" ? before : value);
  const { model } = recipe;
  const hasTokenizer = recipe.tokenizer.path !== undefined || recipe.tokenizer.train !== undefined;
  const whole: Recipe = {
    ...recipe,
    device: kept(recipe.device, parent.device),
    threads: kept(recipe.threads, parent.threads),
    device_train_microbatch_size: kept(recipe.device_train_microbatch_size, parent.device_train_microbatch_size),
    tokenizer: hasTokenizer ? recipe.tokenizer : parent.tokenizer,
    model: { ...parent.model, ...model },
  };
  // The base of the other run is what its weights began with; a branch begins with none.
  return parent.model.init_from === undefined
    ? whole
    : { ...whole, model: { ...whole.model, init_from: parent.model.init_from } };
}

function branchName(parentName: string, step: number): string {
  const suffix = `-from-${step}`;
  return `${parentName.slice(0, 64 - suffix.length)}${suffix}`;
}

async function parentRecipe(parent: string): Promise<{ readonly recipe: Recipe; readonly text: string }> {
  const file = path.join(parent, "recipe.yaml");
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new AppError("RECIPE_NOT_FOUND", `The run ${parent} has no recipe.yaml that can be read.`, { cause });
  });
  const { recipe, problems } = loadRecipe({ text, file });
  if (recipe === null) {
    throw recipeError(file, problems);
  }
  return { recipe, text };
}

/** What overrides would change of a recipe, before they are checked. */
function overrideChanges(recipe: Recipe, overrides: readonly string[]): readonly RecipeChange[] {
  return overrides.flatMap((text): readonly RecipeChange[] => {
    const { path: at, value: to } = parseOverride(text);
    const from = at.reduce<unknown>(
      (inner, part) => (inner as Record<string, unknown> | null | undefined)?.[part],
      recipe,
    );
    return JSON.stringify(from) === JSON.stringify(to) ? [] : [{ key: at.join("."), from: from ?? null, to }];
  });
}

/** Finds the checkpoint and works out the recipe. Nothing is written. */
export async function planBranch(request: BranchRequest): Promise<BranchPlan> {
  const { overrides = [], workspace } = request;
  const found = await findRunCheckpoint(request.from, workspace);
  const manifest = await readManifest(found.run);
  const parent = await parentRecipe(found.run);
  // Before they are put into the recipe, where a key that cannot change may be wrong for another reason as well.
  checkBranchChanges(overrideChanges(parent.recipe, overrides));
  const given =
    request.recipe ??
    prepareRecipe({
      text: parent.text,
      file: path.join(found.run, "recipe.yaml"),
      overrides,
      workspace,
      ...(request.currentDirectory === undefined ? {} : { currentDirectory: request.currentDirectory }),
    });
  const filled = filledFrom(given.recipe, parent.recipe);
  const isNamed =
    request.recipe === undefined
      ? overrides.some((each) => parseOverride(each).path.join(".") === "run_name")
      : filled.run_name !== parent.recipe.run_name;
  const recipe = isNamed ? filled : { ...filled, run_name: branchName(manifest.name, found.step) };
  const changes = changesBetween(parent.recipe, recipe).filter(({ key }) => !namesAside.has(key));
  checkBranchChanges(changes);
  const checkpoint = await readCheckpoint(found.folder, "contents");
  // Else the branch would be called completed with nothing trained.
  if (isReached(recipe.max_duration, checkpoint.state)) {
    throw new AppError(
      "RECIPE_INVALID",
      `max_duration ${recipe.max_duration} is not beyond step ${found.step} of ${manifest.name}, where the branch begins; give a longer one with --set max_duration=…, or branch from an earlier step.`,
    );
  }
  return {
    parent: found.run,
    parentId: manifest.id,
    checkpoint,
    recipe,
    text: recipeTextWith(given.text, recipe),
    changes,
  };
}

/** Copies share their blocks with the original where the file system can do that. */
async function copyWhole(from: string, to: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await copyFile(path.join(from, name), path.join(to, name), constants.COPYFILE_FICLONE);
  }
}

async function copyTokenizer(from: string, to: string): Promise<void> {
  await makeFolder(to);
  const names = await readdir(from);
  await copyWhole(from, to, names);
  for (const name of names) {
    await syncFile(path.join(to, name));
  }
  await syncFolder(to);
}

/** Keys of `data` that leave the text as it is. */
const keepsText = ["data.shuffle_seed", "data.streaming.cache_limit", "data.streaming.predownload"];

/** What becomes of the place in the text when these keys are changed. */
export function orderChanges(keys: readonly string[]): {
  readonly isOtherText: boolean;
  readonly isOtherOrder: boolean;
} {
  return {
    isOtherText: keys.some((key) => isWithin(key, "data") && !keepsText.some((kept) => isWithin(key, kept))),
    isOtherOrder: keys.includes("data.shuffle_seed"),
  };
}

/** A place within a block means nothing in another order: a stream goes on with the next pass. */
export function nextPass(epoch: number): { readonly epoch: number; readonly block: number; readonly window: number } {
  return { epoch: epoch + 1, block: 0, window: 0 };
}

async function copyCheckpoint(plan: BranchPlan, directory: string, runId: string): Promise<void> {
  const { checkpoint, recipe, changes } = plan;
  const { files, ...state } = checkpoint.state;
  const { isOtherText, isOtherOrder } = orderChanges(changes.map(({ key }) => key));
  const { stream } = state.data;
  // What was measured on other text does not compare.
  const evaluation = isOtherText ? null : state.eval;
  await writeCheckpoint({
    runDirectory: directory,
    state: {
      ...state,
      run: runId,
      created_at: new Date().toISOString(),
      data: {
        ...state.data,
        fingerprint: isOtherText ? null : state.data.fingerprint,
        shuffle_seed: recipe.data.shuffle_seed,
        stream:
          stream === null || isOtherText
            ? null
            : isOtherOrder
              ? { ...nextPass(stream.epoch), passes: stream.epoch + 1 }
              : stream,
      },
      random_state: { ...state.random_state, seed: recipe.seed },
      is_evaluation_due: isOtherText || state.is_evaluation_due,
      eval: evaluation,
      best: evaluation === null ? null : { metric: "eval/loss", value: evaluation.loss, step: state.step },
    },
    neededBytes: Object.values(files).reduce((sum, { size }) => sum + size, 0),
    writeFiles: (folder) => copyWhole(checkpoint.path, folder, Object.keys(files)),
  });
}

/** Makes the run, queued as any other; startRun starts it. */
export async function createBranch(
  plan: BranchPlan,
  options: { readonly workspace: string; readonly directory?: string },
): Promise<RunDirectory> {
  const { checkpoint, parentId, changes } = plan;
  const changed = changes.map(({ key }) => key);
  return createRun({
    recipe: plan.recipe,
    recipeText: plan.text,
    workspace: options.workspace,
    ...(options.directory === undefined ? {} : { directory: options.directory }),
    branch: {
      from: { run: parentId, step: checkpoint.step, changed },
      tokens: checkpoint.state.tokens,
      fill: async (directory, id) => {
        await copyTokenizer(path.join(plan.parent, "tokenizer"), path.join(directory, "tokenizer"));
        await copyCheckpoint(plan, directory, id);
        const what = changes.length === 0 ? "nothing changed" : changes.map(describeChange).join("; ");
        await writeFile(
          path.join(directory, "log.txt"),
          `${new Date().toISOString()} Branched from ${parentId} at step ${checkpoint.step}: ${what}.\n`,
        );
      },
    },
  });
}
