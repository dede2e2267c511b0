// Real runners for tests: the bundle of src/runner as it is now, a corpus of a few kilobytes, a model that takes
// milliseconds a step, and what a run must leave behind.
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { addonCandidates } from "#core/engine/addon";
import { loadRecipe, recipeError } from "#core/recipe/load";
import { checkpointPath, listCheckpoints } from "#core/runs/checkpoints";
import { createRun } from "#core/runs/directory";
import type { RunnerCommand } from "#core/runs/launch";
import { foldMetrics, readMetrics } from "#core/runs/metrics";
import { readSummary } from "#core/runs/status";
import type { RunSummary } from "#shared/domain/run";

const root = path.resolve(import.meta.dirname, "..", "..");

/** The engine these tests train with; without it they cannot run. */
export function requireAddon(): void {
  if (!addonCandidates().some((candidate) => existsSync(candidate))) {
    throw new Error("The native engine is not built: run `npm run build:native` before the integration tests.");
  }
}

/** Bundles a source as scripts/build.mjs does, so that the tests never meet an old build. */
export async function bundle(name: string, contents: string): Promise<string> {
  const file = path.join(root, "build", "test", name, "main.js");
  const { outputFiles } = await build({
    absWorkingDir: root,
    stdin: { contents, resolveDir: root, loader: "ts" },
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    write: false,
    logLevel: "warning",
    external: ["@anush008/tokenizers", "tiktoken"],
    banner: {
      js: 'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);',
    },
  });
  await mkdir(path.dirname(file), { recursive: true });
  // Other test files may be starting the last one's bundle right now.
  const temporary = `${file}.${process.pid}`;
  await writeFile(temporary, outputFiles[0]?.contents ?? "");
  await rename(temporary, file);
  return file;
}

let bundled: Promise<string> | undefined;

function buildRunner(): Promise<string> {
  bundled ??= bundle("runner", 'import "./src/runner/main.ts";');
  return bundled;
}

/** Starts the run from a process of its own, as an app or a terminal does, and kills that with everything it can reach. */
export async function startFromDoomedProcess(directory: string): Promise<void> {
  const { executable, args } = await runnerCommand();
  const file = await bundle(
    "launcher",
    `import { startRun } from "./src/core/runs/launch.ts";
     await startRun(process.argv[2], { command: { executable: ${JSON.stringify(executable)}, args: ${JSON.stringify(args)}, env: process.env } });
     console.log("started");
     setInterval(() => undefined, 1000);`,
  );
  const launcher = spawn(process.execPath, [file, directory], { detached: true, stdio: ["ignore", "pipe", "inherit"] });
  await once(launcher.stdout, "data");
  // The whole process group, as closing a terminal or quitting an app would.
  process.kill(-(launcher.pid ?? 0), "SIGKILL");
  await once(launcher, "exit");
}

export async function runnerCommand(env: NodeJS.ProcessEnv = {}): Promise<RunnerCommand> {
  return { executable: process.execPath, args: [await buildRunner()], env: { ...process.env, ...env } };
}

const words =
  "patients treated with metformin showed lower glucose levels than controls in this randomized trial of type two diabetes while aspirin reduced the risk of stroke and myocardial infarction among adults".split(
    " ",
  );

/** Deterministic text: a small corpus that has something to learn. */
export async function writeCorpus(file: string, documents = 80): Promise<void> {
  let state = 12_345;
  const next = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
  const lines = Array.from({ length: documents }, (_, id) => {
    const text = Array.from({ length: 40 + next(60) }, () => words[next(words.length)]).join(" ");
    return JSON.stringify({ id: `doc-${id}`, text: `${text}.` });
  });
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, `${lines.join("\n")}\n`);
}

export type TinyRun = { readonly workspace: string; readonly directory: string };

/** A run of a few seconds at most, in its workspace, not started. `set` changes its recipe. */
export async function createTinyRun(workspace: string, set: readonly string[] = []): Promise<TinyRun> {
  const corpus = path.join(workspace, "corpora", "tiny.jsonl");
  if (!existsSync(corpus)) {
    await writeCorpus(corpus);
  }
  const text = `format_version: 1
run_name: tiny
seed: 17
max_seq_len: 32
threads: 1
device: ${process.env["ASSAY_TEST_DEVICE"] ?? "cpu"}
model: {name: gpt2, n_layers: 2, n_heads: 2, d_model: 32, dropout: 0.1}
tokenizer: {train: {type: byte-bpe, vocab_size: 300}}
data: {train: ${JSON.stringify(corpus)}, eval: {fraction: 0.1}}
optimizer: {name: decoupled_adamw, lr: 3.0e-3}
scheduler: {name: cosine_with_warmup, t_warmup: 4ba, alpha_f: 0.1}
max_duration: 24ba
global_train_batch_size: 4
device_train_microbatch_size: 2
log_interval: 1ba
eval_interval: 5ba
save_interval: 4ba
save_num_checkpoints_to_keep: 2
samples: {prompts: ["patients"], max_new_tokens: 4}
`;
  const loaded = loadRecipe({ text, file: "tiny.yaml", overrides: set });
  if (loaded.recipe === null) {
    throw recipeError("tiny.yaml", loaded.problems);
  }
  const run = await createRun({ recipe: loaded.recipe, recipeText: loaded.text, workspace });
  return { workspace, directory: run.path };
}

export type RunnerProcess = {
  readonly child: ChildProcess;
  /** Code or signal it ended with, and what it printed. */
  readonly ended: Promise<{
    readonly code: number | null;
    readonly signal: NodeJS.Signals | null;
    readonly output: string;
  }>;
};

/** Starts the runner as a child, so that a test can see how it ends. */
export async function spawnRunner(directory: string, env: NodeJS.ProcessEnv = {}): Promise<RunnerProcess> {
  const command = await runnerCommand(env);
  const child = spawn(command.executable, [...command.args, directory], {
    env: command.env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  const ended = once(child, "close").then(([code, signal]) => ({
    // as: the two arguments of the event, as Node documents them.
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
    output,
  }));
  return { child, ended };
}

/** Runs to the end and returns the last state. */
export async function runToEnd(
  directory: string,
  env: NodeJS.ProcessEnv = {},
): Promise<RunSummary & { readonly code: number | null }> {
  const { code } = await (await spawnRunner(directory, env)).ended;
  return { ...(await readSummary(directory)), code };
}

export async function waitUntil(what: string, isTrue: () => Promise<boolean> | boolean, seconds = 30): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (!(await isTrue())) {
    if (performance.now() > deadline) {
      throw new Error(`Waited ${seconds} s in vain until ${what}.`);
    }
    await sleep(10);
  }
}

/** What must be equal bit for bit between a run that was interrupted and one that was not. */
export type Outcome = {
  readonly weights: Readonly<Record<string, string>>;
  readonly records: readonly Readonly<Record<string, number>>[];
  readonly checkpointSteps: readonly number[];
};

const deterministicKeys = [
  "step",
  "tokens",
  "epoch",
  "train/loss",
  "train/learning_rate",
  "train/grad_norm",
  "eval/loss",
  "eval/perplexity",
  "eval/bits_per_byte",
];

export async function outcomeOf(directory: string): Promise<Outcome> {
  const checkpoints = await listCheckpoints(directory);
  const newest = checkpoints[0];
  if (newest === undefined) {
    throw new Error(`${directory} has no checkpoint.`);
  }
  const weights: Record<string, string> = {};
  for (const name of ["model.safetensors", "optimizer.safetensors", "tokenizer.json"]) {
    const bytes = await readFile(path.join(checkpointPath(directory, newest.step), name));
    weights[name] = createHash("sha256").update(bytes).digest("hex");
  }
  const { records } = foldMetrics((await readMetrics(directory)).lines);
  return {
    weights,
    records: records.map((record) =>
      Object.fromEntries(
        deterministicKeys.filter((key) => key in record).map((key) => [key, record[key] ?? Number.NaN]),
      ),
    ),
    checkpointSteps: checkpoints.map((each) => each.step),
  };
}
