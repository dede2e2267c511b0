// What the window asks about runs, answered from their directories. Knows nothing of Electron; events go out through
// `emit`.
import { open, readFile } from "node:fs/promises";
import path from "node:path";
import { isShaped } from "#shared/domain/recipe";
import type { RequestHandlers } from "#shared/ipc/contract";
import type { runsContract } from "#shared/ipc/runs.contract";
import { readModelConfig } from "../models/hugging-face.ts";
import { programRoot } from "../paths.ts";
import { modelParameterCount } from "../planner/model-size.ts";
import { modelConfigOf } from "../recipe/engine-options.ts";
import { loadRecipe, loadRecipeSource, recipeError } from "../recipe/load.ts";
import { withAbsolutePaths } from "../recipe/paths.ts";
import { createBranch, planBranch } from "./branch.ts";
import { listCheckpoints } from "./checkpoints.ts";
import { requestControl } from "./control.ts";
import { createRun, findRun } from "./directory.ts";
import { asFileError, systemErrorCode } from "./durable-file.ts";
import { type LaunchOptions, resumeRun, startRun } from "./launch.ts";
import { readManifest } from "./manifest.ts";
import { readLines } from "./metrics.ts";
import { previewChange } from "./preview-change.ts";
import { reduceSeries } from "./series.ts";
import { SeriesStore } from "./series-store.ts";
import { listRuns, readSummary } from "./status.ts";
import { RunWatcher } from "./watch.ts";

export type RunEvents = {
  "runs.changed": { readonly run: string };
  "runs.list-changed": Record<string, never>;
};

export type RunHandlers = {
  readonly requests: RequestHandlers<typeof runsContract>;
  /** Ends the watching. Closing twice is fine. */
  close(): void;
};

const maxLogBytes = 1 << 20;

export function createRunHandlers(options: {
  readonly workspace: () => string;
  readonly emit: <N extends keyof RunEvents>(name: N, payload: RunEvents[N]) => void;
  /** How runners are started; by default with this process's own runtime. */
  readonly command?: LaunchOptions["command"];
}): RunHandlers {
  const { workspace, emit } = options;
  const store = new SeriesStore();
  const idOf = (directory: string): string => path.basename(directory);
  const watcher = new RunWatcher({
    workspace,
    onRunChanged: (directory) => emit("runs.changed", { run: idOf(directory) }),
    onListChanged: () => emit("runs.list-changed", {}),
  });
  const launch = (): LaunchOptions => ({
    workspace: workspace(),
    ...(options.command === undefined ? {} : { command: options.command }),
  });
  const find = async (reference: string): Promise<string> => {
    const directory = await findRun(workspace(), reference);
    watcher.followRun(directory);
    return directory;
  };
  const nameOfRun = async (id: string | null): Promise<string | null> => {
    const directory = id === null ? null : await findRun(workspace(), id).catch(() => null);
    return directory === null ? null : ((await readManifest(directory).catch(() => null))?.name ?? null);
  };
  const start = async (recipeRun: Parameters<typeof createRun>[0]) => {
    const created = await createRun(recipeRun);
    await startRun(created.path, launch());
    const { status } = await readSummary(created.path);
    return { run: created.id, directory: created.path, status };
  };

  const requests: RunHandlers["requests"] = {
    "runs.list": async () => {
      watcher.followList();
      return listRuns(workspace());
    },

    "runs.show": async ({ run }) => {
      const directory = await find(run);
      const [summary, manifest, checkpoints, recipeYaml, table] = await Promise.all([
        readSummary(directory),
        readManifest(directory),
        listCheckpoints(directory),
        readFile(path.join(directory, "recipe.yaml"), "utf8").catch(() => ""),
        store.read(directory),
      ]);
      return {
        summary,
        manifest,
        recipeYaml,
        checkpoints,
        parameterCount: await parameterCount(recipeYaml, checkpoints[0]?.path),
        parentName: await nameOfRun(manifest.branched_from?.run ?? null),
        latest: Object.fromEntries(
          Object.entries(table.latest()).map(([key, value]) => [key, Number.isFinite(value) ? value : String(value)]),
        ),
        resumes: table.resumes.map((marker) => ({ resumed: marker.resumed, fromStep: marker.from_step })),
      };
    },

    "runs.series": async ({ run, keys, x, buckets, from, to, smoothing }) => {
      const directory = await find(run);
      const table = await store.read(directory);
      return {
        series: keys.flatMap((key) => {
          const series = table.series(key);
          if (series === undefined) {
            return [];
          }
          const reduced = reduceSeries(series, {
            axis: x,
            buckets,
            ...(from === undefined ? {} : { from }),
            ...(to === undefined ? {} : { to }),
            ...(smoothing === undefined || smoothing === 0 ? {} : { smoothing }),
          });
          return [{ key, ...reduced, nonFinite: [...reduced.nonFinite] }];
        }),
      };
    },

    "runs.log": async ({ run, cursor, tailBytes }) => readLog(await find(run), cursor, tailBytes),

    "runs.samples": async ({ run }) => readSamples(await find(run)),

    "runs.start": async ({ recipeText, recipeFile }) => {
      const loaded = loadRecipe({ text: recipeText, file: recipeFile });
      if (loaded.recipe === null) {
        throw recipeError(recipeFile ?? "this recipe", loaded.problems);
      }
      // A recipe that is no file yet: paths start where its presets' do.
      const baseDirectory = recipeFile === null ? programRoot() : path.dirname(recipeFile);
      const recipe = withAbsolutePaths(loaded.recipe, { baseDirectory, workspace: workspace() });
      return start({ recipe, recipeText, workspace: workspace() });
    },

    "runs.start-quickstart": async () => {
      const loaded = await loadRecipeSource("biomedlm-tiny", { workspace: workspace() });
      const { run, directory } = await start({
        recipe: loaded.recipe,
        recipeText: loaded.text,
        workspace: workspace(),
      });
      return { run, directory };
    },

    "runs.control": async ({ run, action }) => {
      await requestControl(await find(run), action);
      return {};
    },

    "runs.resume": async ({ run, set = [] }) => {
      const directory = await find(run);
      await resumeRun(directory, { ...launch(), set });
      return { run: idOf(directory) };
    },

    "runs.branch": async ({ run, step, set }) => {
      const plan = await planBranch({
        from: `${await find(run)}@${step}`,
        overrides: set,
        workspace: workspace(),
      });
      const created = await createBranch(plan, { workspace: workspace() });
      await startRun(created.path, launch());
      const { status } = await readSummary(created.path);
      return { run: created.id, directory: created.path, status };
    },

    "runs.preview-change": async ({ run, step, set }) =>
      previewChange(await find(run), set, step === null ? "resume" : "branch"),
  };
  return { requests, close: () => watcher.close() };
}

/** From a checkpoint's own configuration, else from the recipe once it names its vocabulary. */
async function parameterCount(recipeYaml: string, checkpoint: string | undefined): Promise<number | null> {
  const { recipe } = loadRecipe({ text: recipeYaml });
  const config = checkpoint === undefined ? null : await readModelConfig(checkpoint).catch(() => null);
  if (config !== null) {
    return modelParameterCount(config);
  }
  const vocabSize = recipe?.model.vocab_size ?? recipe?.tokenizer.train?.vocab_size;
  return recipe === null || vocabSize === undefined || !isShaped(recipe)
    ? null
    : modelParameterCount(modelConfigOf(recipe, vocabSize));
}

/** Whole lines from the cursor on, or the last `tailBytes` of them, at most a mebibyte an answer. */
export async function readLog(
  directory: string,
  cursor: number | undefined,
  tail: number | undefined,
): Promise<{ text: string; cursor: number }> {
  const file = path.join(directory, "log.txt");
  try {
    const handle = await open(file, "r");
    try {
      const { size } = await handle.stat();
      // One byte earlier, to see whether the tail begins a line.
      const from = cursor ?? Math.max(0, size - (tail ?? maxLogBytes) - 1);
      const buffer = Buffer.alloc(Math.max(0, Math.min(maxLogBytes, size - from)));
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, from);
      const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a) + 1;
      const begin = cursor === undefined && from > 0 ? buffer.indexOf(0x0a) + 1 : 0;
      return { text: buffer.toString("utf8", Math.min(begin, end), end), cursor: from + end };
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return { text: "", cursor: 0 };
    }
    throw asFileError(error, `read ${file}`);
  }
}

type Sample = { step: number; prompt: string; text: string };

/** In step order; of two for the same step and prompt, as a resume writes them, the later. */
export async function readSamples(directory: string): Promise<Sample[]> {
  const samples = new Map<string, Sample>();
  for await (const { lines } of readLines(path.join(directory, "samples.jsonl"))) {
    for (const line of lines) {
      const sample = parseSample(line);
      if (sample !== undefined) {
        samples.set(`${sample.step} ${sample.prompt}`, sample);
      }
    }
  }
  return [...samples.values()].toSorted((a, b) => a.step - b.step);
}

function parseSample(line: string): Sample | undefined {
  try {
    const { step, prompt, text } = JSON.parse(line) as Record<string, unknown>;
    return typeof step === "number" && typeof prompt === "string" && typeof text === "string"
      ? { step, prompt, text }
      : undefined;
  } catch {
    return undefined; // torn by a crash
  }
}
