// Making a run directory and finding one again. What lies in it: docs/formats/run-directory.md.
import { randomBytes } from "node:crypto";
import { mkdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import type { Recipe } from "#shared/domain/recipe";
import { RUN_FORMAT_VERSION, type RunManifest } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import { loadAddon } from "../engine/addon.ts";
import { resolveDevice } from "../engine/device.ts";
import { workspacePath } from "../paths.ts";
import { asFileError, makeFolder, syncFolder, systemErrorCode, writeFileDurably } from "./durable-file.ts";
import { manifestFile, readManifest, writeManifest } from "./manifest.ts";
import { recipeTextWith } from "./recipe-text.ts";
import { listRunDirectories, runsFolder } from "./status.ts";

export type RunDirectory = { readonly path: string; readonly id: string };

/** `20261121-143000`, in UTC, so that names sort by time wherever they were made. */
function timeStamp(now: Date): string {
  return now.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
}

/** A name as part of a folder's name. */
function folderName(name: string): string {
  const cleaned = name.replace(/[^A-Za-z0-9._-]+/g, "-").replace(/^[-.]+|[-.]+$/g, "");
  return (cleaned === "" ? "run" : cleaned).slice(0, 80);
}

/**
 * Writes a queued run: recipe.yaml as given, run.json, the folders. `directory` puts it elsewhere than in the workspace;
 * it must be new or empty of a run. A GPU that is asked for and cannot be used is refused before anything is written.
 */
export async function createRun(options: {
  /** Its paths absolute, as loadRecipeSource gives it. */
  readonly recipe: Recipe;
  /** The text it was read from, whose comments are kept. */
  readonly recipeText?: string;
  readonly workspace: string;
  readonly directory?: string;
  /** A run that begins with another's checkpoint. `fill` puts it there, before the folder becomes a run. */
  readonly branch?: {
    readonly from: NonNullable<RunManifest["branched_from"]>;
    readonly tokens: number;
    readonly fill: (directory: string, id: string) => Promise<void>;
  };
  readonly now?: Date;
  readonly random?: () => string;
}): Promise<RunDirectory> {
  if (options.recipe.device.startsWith("cuda")) {
    resolveDevice(options.recipe.device, loadAddon().machine().cuda);
  }
  const now = options.now ?? new Date();
  const random = options.random ?? (() => randomBytes(2).toString("hex"));
  const name = `${timeStamp(now)}-${folderName(options.recipe.run_name)}`;
  const directory =
    options.directory === undefined
      ? await makeNewFolder(() => path.join(runsFolder(options.workspace), `${name}-${random()}`))
      : await makeGivenFolder(path.resolve(options.directory));
  const id = options.directory === undefined ? path.basename(directory) : `${name}-${random()}`;
  const manifest: RunManifest = {
    format_version: RUN_FORMAT_VERSION,
    id,
    name: options.recipe.run_name,
    status: "queued",
    phase: null,
    pid: null,
    pid_start_time: null,
    host: hostname(),
    created_at: now.toISOString(),
    started_at: null,
    ended_at: null,
    seed: options.recipe.seed,
    versions: {},
    data_fingerprint: null,
    step: options.branch?.from.step ?? 0,
    total_steps: null,
    tokens: options.branch?.tokens ?? 0,
    resumes: 0,
    branched_from: options.branch?.from ?? null,
    planned_memory_bytes: null,
    trainable_parameters: null,
    best: null,
    exit_reason: null,
  };
  try {
    for (const folder of ["control", "checkpoints"]) {
      await makeFolder(path.join(directory, folder));
    }
    await writeFileDurably(
      path.join(directory, "recipe.yaml"),
      recipeTextWith(options.recipeText ?? "", options.recipe),
    );
    await options.branch?.fill(directory, id);
    // Last: a folder is a run once it has a run.json, and then it is whole.
    await writeManifest(directory, manifest);
    await syncFolder(path.dirname(directory));
  } catch (error) {
    if (options.directory === undefined) {
      await rm(directory, { recursive: true, force: true }).catch(() => undefined);
    }
    throw error;
  }
  return { path: directory, id };
}

/** Two runs of one second may draw the same letters. */
async function makeNewFolder(draw: () => string): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const directory = draw();
    await makeFolder(path.dirname(directory));
    try {
      await mkdir(directory);
      return directory;
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST" || attempt === 100) {
        throw asFileError(error, `make the run directory ${directory}`);
      }
    }
  }
}

async function makeGivenFolder(directory: string): Promise<string> {
  if (await exists(manifestFile(directory))) {
    throw new AppError("RUN_STATE_WRONG", `${directory} already holds a run; resume it, or name another folder.`);
  }
  await makeFolder(directory);
  return directory;
}

/** The workspace a run lies in; one that lies elsewhere uses `option`, else the user's. */
export function workspaceOfRun(runDirectory: string, option?: string): string {
  const parent = path.dirname(path.resolve(runDirectory));
  return option === undefined && path.basename(parent) === "runs" ? path.dirname(parent) : workspacePath(option);
}

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file);
    return true;
  } catch {
    return false;
  }
}

/** A run by directory, by id, or by a name that only one run has. */
export async function findRun(workspace: string, reference: string): Promise<string> {
  if (reference === "") {
    throw new AppError("RUN_NOT_FOUND", "Name a run by its directory, its id, or a name that only one run has.");
  }
  const asPath = path.resolve(reference);
  if (await exists(manifestFile(asPath))) {
    return asPath;
  }
  const directories = await listRunDirectories(workspace);
  const byId = directories.find((directory) => path.basename(directory) === reference);
  if (byId !== undefined) {
    return byId;
  }
  const matches: string[] = [];
  for (const directory of directories) {
    const manifest = await readManifest(directory).catch(() => null);
    if (manifest !== null && (manifest.name === reference || manifest.id === reference)) {
      matches.push(directory);
    }
  }
  const [only] = matches;
  if (only === undefined) {
    throw new AppError(
      "RUN_NOT_FOUND",
      `There is no run "${reference}" in ${runsFolder(workspace)}; \`assay runs list\` shows what is there.`,
    );
  }
  if (matches.length > 1) {
    throw new AppError(
      "RUN_AMBIGUOUS",
      `${matches.length} runs are called "${reference}": name one by its id, such as ${path.basename(only)}.`,
      { details: { runs: matches.map((match) => path.basename(match)) } },
    );
  }
  return only;
}
