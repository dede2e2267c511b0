// Checkpoints on disk (docs/formats/run-directory.md): folders that are whole or not there. Written beside their place,
// fsynced and renamed; each says the size and SHA-256 of its files, so that one that was damaged later is noticed.
// What goes into one is the runner's matter; here is when it may be trusted, and when it may go.
import { readdir, readFile, rename, rm, stat, statfs } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { CheckpointInfo } from "#shared/domain/run";
import { AppError, toErrorEnvelope } from "#shared/errors";
import { baseReferenceSchema, sha256Of } from "./adapter-base.ts";
import { asFileError, makeFolder, syncFile, syncFolder, systemErrorCode, writeFileDurably } from "./durable-file.ts";
import { refuseForeignVersion } from "./manifest.ts";

export const TRAINING_STATE_VERSION = 1;

export const trainingStateSchema = z.object({
  format_version: z.literal(TRAINING_STATE_VERSION),
  /** Id of the run that made it; rotation touches no other's. */
  run: z.string(),
  created_at: z.string(),
  step: z.number().int(),
  tokens: z.number(),
  /** Seconds of training. */
  time: z.number(),
  data: z.object({
    /** Null in the first checkpoint of a branch to other text: it fits whatever text the branch has. */
    fingerprint: z.string().nullable(),
    shuffle_seed: z.number(),
    /** Index of the next sample in the endless sequence of docs/formats/data-order.md. */
    next_sample: z.number(),
    /** Of a stream: the next sample in its order, and the passes until there. */
    stream: z
      .object({
        epoch: z.number().int().min(0),
        block: z.number().int().min(0),
        window: z.number().int().min(0),
        passes: z.number().min(0),
      })
      .nullable()
      .default(null),
  }),
  /** The generators are counter-based: seed and step are their whole state. */
  random_state: z.object({ generator: z.string(), seed: z.number() }),
  /** True when a stop came before this step's evaluation was done: a resume begins with it. */
  is_evaluation_due: z.boolean(),
  /** The evaluation at exactly this step. */
  eval: z.object({ loss: z.number(), perplexity: z.number(), bits_per_byte: z.number().nullable() }).nullable(),
  /** The best evaluation of the run so far. */
  best: z.object({ metric: z.string(), value: z.number(), step: z.number().int() }).nullable(),
  /** Of a LoRA run: the model under the adapter. */
  base: baseReferenceSchema.nullable().default(null),
  files: z.record(z.string(), z.object({ size: z.number(), sha256: z.string() })),
});
export type TrainingState = z.infer<typeof trainingStateSchema>;

export type WholeCheckpoint = { readonly step: number; readonly path: string; readonly state: TrainingState };

export function checkpointsFolder(runDirectory: string): string {
  return path.join(runDirectory, "checkpoints");
}

export function checkpointPath(runDirectory: string, step: number): string {
  return path.join(checkpointsFolder(runDirectory), `step-${step}`);
}

const stateName = "training_state.json";

/** Steps that have a folder, as numbers, newest first. */
async function listSteps(runDirectory: string): Promise<readonly number[]> {
  try {
    const names = await readdir(checkpointsFolder(runDirectory));
    return names
      .map((name) => /^step-(\d+)$/.exec(name)?.[1])
      .filter((digits) => digits !== undefined)
      .map(Number)
      .toSorted((a, b) => b - a);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return [];
    }
    throw asFileError(error, `read ${checkpointsFolder(runDirectory)}`);
  }
}

/**
 * Reads a checkpoint that is whole. CHECKPOINT_DAMAGED names the file that is missing, of the wrong size or, with
 * `contents`, of other bytes than were written; FORMAT_VERSION_UNKNOWN means whole perhaps, but not for this build.
 */
export async function readCheckpoint(folder: string, check: "sizes" | "contents"): Promise<WholeCheckpoint> {
  const file = path.join(folder, stateName);
  const damaged = (why: string): AppError =>
    new AppError("CHECKPOINT_DAMAGED", `The checkpoint ${folder} is damaged: ${why}.`);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(file, "utf8"));
  } catch (error) {
    throw damaged(systemErrorCode(error) === "ENOENT" ? `${stateName} is missing` : `${stateName} cannot be read`);
  }
  refuseForeignVersion(value, file, TRAINING_STATE_VERSION);
  const parsed = trainingStateSchema.safeParse(value);
  if (!parsed.success) {
    throw damaged(`${stateName} lacks ${parsed.error.issues[0]?.path.join(".") ?? "what it should say"}`);
  }
  for (const [name, expected] of Object.entries(parsed.data.files)) {
    const found = await stat(path.join(folder, name)).catch(() => null);
    if (found === null) {
      throw damaged(`${name} is missing`);
    }
    if (found.size !== expected.size) {
      throw damaged(`${name} has ${found.size} bytes instead of ${expected.size}`);
    }
    if (check === "contents" && (await sha256Of(path.join(folder, name))) !== expected.sha256) {
      throw damaged(`${name} has other bytes than were written`);
    }
  }
  return { step: parsed.data.step, path: folder, state: parsed.data };
}

/**
 * The newest checkpoint that can be trusted, and a sentence for each newer one that cannot. Damaged ones stay where they
 * are. One of a foreign format version is an error: going on from an older one would throw work away unasked.
 */
export async function newestWholeCheckpoint(
  runDirectory: string,
  check: "sizes" | "contents" = "contents",
): Promise<{ readonly checkpoint: WholeCheckpoint | null; readonly problems: readonly string[] }> {
  const problems: string[] = [];
  for (const step of await listSteps(runDirectory)) {
    try {
      return { checkpoint: await readCheckpoint(checkpointPath(runDirectory, step), check), problems };
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== "CHECKPOINT_DAMAGED") {
        throw error;
      }
      problems.push(`${error.message} It is left as it is; the one before it is used.`);
    }
  }
  return { checkpoint: null, problems };
}

/** Those that are whole, newest first, read one by one as they are asked for. */
export async function* wholeCheckpoints(runDirectory: string): AsyncGenerator<WholeCheckpoint> {
  for (const step of await listSteps(runDirectory)) {
    const checkpoint = await readCheckpoint(checkpointPath(runDirectory, step), "sizes").catch(() => null);
    if (checkpoint !== null) {
      yield checkpoint;
    }
  }
}

/** For lists: newest first. The best is the one of the lowest eval/loss. */
export async function listCheckpoints(runDirectory: string): Promise<CheckpointInfo[]> {
  const found: WholeCheckpoint[] = [];
  for await (const checkpoint of wholeCheckpoints(runDirectory)) {
    found.push(checkpoint);
  }
  const best = bestOf(found);
  return found.map((checkpoint) => ({
    step: checkpoint.step,
    path: checkpoint.path,
    sizeBytes: Object.values(checkpoint.state.files).reduce((sum, file) => sum + file.size, 0),
    createdAt: checkpoint.state.created_at,
    evalLoss: checkpoint.state.eval?.loss ?? null,
    isBest: checkpoint === best,
  }));
}

function bestOf(checkpoints: readonly WholeCheckpoint[]): WholeCheckpoint | undefined {
  let best: WholeCheckpoint | undefined;
  for (const checkpoint of checkpoints) {
    const loss = checkpoint.state.eval?.loss;
    const bestLoss = best?.state.eval?.loss ?? Infinity;
    // Of equals the older, so that the answer does not depend on the order of the list.
    if (loss !== undefined && (loss < bestLoss || (loss === bestLoss && checkpoint.step < (best?.step ?? Infinity)))) {
      best = checkpoint;
    }
  }
  return best;
}

export type CheckpointStage = "begun" | "files-written" | "before-rename" | "after-rename";

/**
 * Writes a checkpoint. `writeFiles` fills a temporary folder; the sizes, hashes, syncs and the rename are done here. A
 * damaged one that stands in the place is set aside under `step-<n>.damaged-<k>`; a whole one is replaced.
 */
export async function writeCheckpoint(options: {
  readonly runDirectory: string;
  readonly state: Omit<TrainingState, "files">;
  readonly writeFiles: (folder: string) => Promise<void>;
  /** What it will need; checked first, so that a full disk is told with numbers before anything is written. */
  readonly neededBytes: number;
  readonly onStage?: (stage: CheckpointStage) => void;
}): Promise<{ readonly checkpoint: WholeCheckpoint; readonly setAside: string | null }> {
  const { runDirectory, state } = options;
  const parent = checkpointsFolder(runDirectory);
  const target = checkpointPath(runDirectory, state.step);
  const temporary = path.join(parent, `.tmp-step-${state.step}-${process.pid}`);
  await makeFolder(parent);
  await checkFreeDisk(parent, options.neededBytes, `the checkpoint of step ${state.step}`);
  try {
    await rm(temporary, { recursive: true, force: true });
    await makeFolder(temporary);
    options.onStage?.("begun");
    await options.writeFiles(temporary);
    options.onStage?.("files-written");
    const files: Record<string, { size: number; sha256: string }> = {};
    for (const name of (await readdir(temporary)).toSorted()) {
      const file = path.join(temporary, name);
      await syncFile(file);
      files[name] = { size: (await stat(file)).size, sha256: await sha256Of(file) };
    }
    const whole: TrainingState = { ...state, files };
    await writeFileDurably(path.join(temporary, stateName), `${JSON.stringify(whole, null, 2)}\n`);
    await syncFolder(temporary);
    const setAside = await clearPlace(target);
    options.onStage?.("before-rename");
    await rename(temporary, target);
    await syncFolder(parent);
    await rm(replacedPath(target), { recursive: true, force: true });
    options.onStage?.("after-rename");
    return { checkpoint: { step: state.step, path: target, state: whole }, setAside };
  } catch (error) {
    // Gives the disk back what was half written; the status still has to be told.
    await rm(temporary, { recursive: true, force: true }).catch(() => undefined);
    throw asFileError(error, `write the checkpoint of step ${state.step} in ${parent}`);
  }
}

/** Folders cannot be renamed over folders, so what stands in the place steps aside: damaged for good, whole until replaced. */
async function clearPlace(target: string): Promise<string | null> {
  if ((await stat(target).catch(() => null)) === null) {
    return null;
  }
  try {
    await readCheckpoint(target, "contents");
  } catch {
    for (let number = 1; ; number += 1) {
      const aside = `${target}.damaged-${number}`;
      if ((await stat(aside).catch(() => null)) === null) {
        await rename(target, aside);
        return aside;
      }
    }
  }
  await rename(target, replacedPath(target));
  return null;
}

/** Where a whole checkpoint waits for its replacement; cleanCheckpoints puts it back if that never came. */
function replacedPath(target: string): string {
  return path.join(path.dirname(target), `.replaced-${path.basename(target)}`);
}

/** Removes a folder so that a crash in the middle leaves nothing that looks like a checkpoint. */
async function removeWhole(folder: string): Promise<void> {
  const trash = path.join(path.dirname(folder), `.trash-${path.basename(folder)}-${process.pid}`);
  await rm(trash, { recursive: true, force: true });
  await rename(folder, trash);
  await rm(trash, { recursive: true, force: true });
}

export async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

export async function checkFreeDisk(folder: string, neededBytes: number, what: string): Promise<void> {
  const freeBytes = await freeDiskBytes(folder);
  if (freeBytes < neededBytes) {
    throw new AppError(
      "DISK_FULL",
      `There is no room for ${what}: it takes ${formatMegabytes(neededBytes)} and ${formatMegabytes(freeBytes)} are free at ${folder}; free some space, then resume.`,
      { details: { neededBytes, freeBytes } },
    );
  }
}

function formatMegabytes(bytes: number): string {
  const megabytes = bytes / 1e6;
  return `${megabytes < 10 ? megabytes.toFixed(2) : megabytes.toFixed(0)} MB`;
}

/**
 * Keeps the `keep` newest whole checkpoints of this run and its best one, and removes the others of this run. What is damaged,
 * or another run's, is neither counted nor touched.
 */
export async function rotateCheckpoints(runDirectory: string, runId: string, keep: number): Promise<readonly number[]> {
  const own: WholeCheckpoint[] = [];
  for (const step of await listSteps(runDirectory)) {
    try {
      const checkpoint = await readCheckpoint(checkpointPath(runDirectory, step), "sizes");
      if (checkpoint.state.run === runId) {
        own.push(checkpoint);
      }
    } catch (error) {
      const { code } = toErrorEnvelope(error);
      if (code !== "CHECKPOINT_DAMAGED" && code !== "FORMAT_VERSION_UNKNOWN") {
        throw error;
      }
    }
  }
  const best = bestOf(own);
  const removed: number[] = [];
  for (const checkpoint of own.slice(keep)) {
    if (checkpoint !== best) {
      await removeWhole(checkpoint.path);
      removed.push(checkpoint.step);
    }
  }
  return removed;
}

/** Removes what killed runners left half written or half removed. */
export async function cleanCheckpoints(runDirectory: string): Promise<readonly string[]> {
  const folder = checkpointsFolder(runDirectory);
  const removed: string[] = [];
  const names = await readdir(folder).catch(() => [] as string[]);
  for (const name of names) {
    const replaced = /^\.replaced-(step-\d+)$/.exec(name)?.[1];
    if (replaced !== undefined && !names.includes(replaced)) {
      await rename(path.join(folder, name), path.join(folder, replaced));
    } else if (name.startsWith(".tmp-") || name.startsWith(".trash-") || replaced !== undefined) {
      await rm(path.join(folder, name), { recursive: true, force: true });
      removed.push(name);
    }
  }
  return removed;
}
