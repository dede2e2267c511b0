// Starting the detached process that drives a run, and starting it again. The process outlives window and terminal; what
// it is run with differs between Node and the packaged app, so callers may say so.
import { spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { appendFile, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunManifest } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import { programRoot } from "../paths.ts";
import { loadRecipe, recipeError } from "../recipe/load.ts";
import { parseOverride } from "../recipe/overrides.ts";
import { changesBetween, checkResumeKeys, describeChange } from "./changes.ts";
import { checkFreeDisk } from "./checkpoints.ts";
import { asFileError, writeFileDurably } from "./durable-file.ts";
import { acquireLock } from "./lock.ts";
import { readManifest } from "./manifest.ts";
import { isReached } from "./schedule.ts";
import { derivedStatus } from "./status.ts";

export type RunnerCommand = {
  readonly executable: string;
  /** Before the run directory. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
};

/** This process's own runtime. In Electron that is the app's binary, run as Node without a window. */
export function defaultRunnerCommand(): RunnerCommand {
  const isElectron = process.versions["electron"] !== undefined;
  const file = path.join(programRoot(), "dist", "runner", "main.js");
  if (!existsSync(file)) {
    throw new AppError("FILE_NOT_FOUND", `The runner is not built (looked for ${file}); run "npm run build".`);
  }
  return {
    executable: process.execPath,
    args: [file],
    env: isElectron ? { ...process.env, ELECTRON_RUN_AS_NODE: "1" } : process.env,
  };
}

export type LaunchOptions = {
  readonly command?: RunnerCommand;
  /** Whose cache and queue the runner uses; by default the one the directory lies in. */
  readonly workspace?: string;
};

/** A runner without it could not even say why it ended. */
const leastFreeBytes = 256 * 1024;
/** How long a runner may take to say its first word. */
const firstWordSeconds = 30;

/** Starts the runner and returns once it has taken the run, as a rule within a second. It goes on when this process ends. */
export async function startRun(runDirectory: string, options: LaunchOptions = {}): Promise<{ readonly pid: number }> {
  const directory = path.resolve(runDirectory);
  const command = options.command ?? defaultRunnerCommand();
  const logFile = path.join(directory, "log.txt");
  await checkFreeDisk(directory, leastFreeBytes, "starting the run");
  let log: number;
  try {
    log = openSync(logFile, "a");
  } catch (error) {
    throw asFileError(error, `write ${logFile}`);
  }
  const end: { how: string | null } = { how: null };
  const workspaceArgs = options.workspace === undefined ? [] : ["--workspace", path.resolve(options.workspace)];
  const child = spawn(command.executable, [...command.args, directory, ...workspaceArgs], {
    detached: true,
    // What a crash of the engine or of Node itself prints belongs into the log.
    stdio: ["ignore", log, log],
    env: command.env,
    cwd: directory,
    windowsHide: true,
  });
  child.once("error", (error) => {
    end.how = error.message;
  });
  child.once("exit", (code, signal) => {
    end.how ??= signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
  });
  closeSync(log);
  child.unref();

  const deadline = performance.now() + firstWordSeconds * 1000;
  while (performance.now() < deadline) {
    const manifest = await readManifest(directory);
    if (child.pid !== undefined && manifest.pid === child.pid) {
      return { pid: child.pid };
    }
    if (end.how !== null) {
      throw new AppError(
        "RUNNER_LOST",
        `The runner of ${manifest.name} did not start: ${end.how}${await lastLogLine(logFile)}; see ${logFile}.`,
      );
    }
    await sleep(20);
  }
  throw new AppError(
    "RUNNER_LOST",
    `The runner of ${path.basename(directory)} has said nothing for ${firstWordSeconds} s; see ${logFile}.`,
  );
}

async function lastLogLine(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch(() => "");
  // Node ends what it prints of a crash with its version.
  const last = text.split("\n").findLast((line) => line.trim() !== "" && !line.startsWith("Node.js v"));
  return last === undefined ? "" : ` (${last.trim()})`;
}

/** Goes on with a stopped, failed or lost run, with some keys of its recipe changed if `set` says so (`max_duration=800ba`). */
export async function resumeRun(
  runDirectory: string,
  options: LaunchOptions & { readonly set?: readonly string[] } = {},
): Promise<{ readonly pid: number }> {
  const manifest = await readManifest(runDirectory);
  const status = await derivedStatus(manifest);
  const set = options.set ?? [];
  const isLonger = set.some((each) => each.startsWith("max_duration="));
  if (status !== "lost" && status !== "failed" && status !== "stopped" && !(status === "completed" && isLonger)) {
    throw new AppError(
      "RUN_STATE_WRONG",
      status === "completed"
        ? `${manifest.name} is completed at step ${manifest.step}, so there is nothing to resume; a longer one goes on with --set max_duration=….`
        : `${manifest.name} is ${status}, so it cannot be resumed.`,
    );
  }
  if (set.length > 0) {
    await changeRecipe(runDirectory, set, status === "completed" ? manifest : null);
  }
  return startRun(runDirectory, options);
}

async function changeRecipe(
  runDirectory: string,
  set: readonly string[],
  completed: RunManifest | null,
): Promise<void> {
  checkResumeKeys(set.map((each) => parseOverride(each).path.join(".")));
  const lock = await acquireLock(runDirectory);
  try {
    const file = path.join(runDirectory, "recipe.yaml");
    const before = loadRecipe({ text: await readFile(file, "utf8"), file });
    const { recipe, text, problems } = loadRecipe({ text: before.text, file, overrides: set });
    if (recipe === null) {
      throw recipeError(file, problems);
    }
    if (completed !== null && isReached(recipe.max_duration, completed)) {
      throw new AppError(
        "RECIPE_INVALID",
        `max_duration ${recipe.max_duration} is not beyond step ${completed.step}, where ${completed.name} ended; give a longer one.`,
      );
    }
    await writeFileDurably(file, text);
    const changes = before.recipe === null ? [] : changesBetween(before.recipe, recipe);
    if (changes.length > 0) {
      const sentence = `Changed for the resume: ${changes.map(describeChange).join("; ")}.`;
      await appendFile(path.join(runDirectory, "log.txt"), `${new Date().toISOString()} ${sentence}\n`);
    }
  } finally {
    await lock.release();
  }
}

/** Ends a run at once, without a checkpoint, as a second Ctrl-C does. What was saved stays. */
export async function stopNow(runDirectory: string): Promise<void> {
  const manifest = await readManifest(runDirectory);
  if (manifest.pid === null || (await derivedStatus(manifest)) === "lost") {
    return;
  }
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const status = await derivedStatus(await readManifest(runDirectory));
    if (status === "lost" || status === "stopped" || status === "completed" || status === "failed") {
      return;
    }
    try {
      process.kill(manifest.pid, "SIGTERM"); // the first asks, every further one insists
    } catch {
      return; // gone in between
    }
    await sleep(100);
  }
}
