// The life of a run, with real runners: from queued to completed, pause and stop, signals, the queue, resume, and what it
// says when something is wrong.
import { appendFile, readdir, readFile, stat, truncate, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkpointPath, newestWholeCheckpoint } from "#core/runs/checkpoints";
import { requestControl } from "#core/runs/control";
import { findRun } from "#core/runs/directory";
import { followRun } from "#core/runs/follow";
import { resumeRun, stopNow } from "#core/runs/launch";
import { readManifest } from "#core/runs/manifest";
import { foldMetrics, metricsFile, readMetrics } from "#core/runs/metrics";
import { listRuns, readSummary } from "#core/runs/status";
import {
  createTinyRun,
  outcomeOf,
  requireAddon,
  runnerCommand,
  runToEnd,
  spawnRunner,
  startFromDoomedProcess,
  waitUntil,
  writeCorpus,
} from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

let workspace: string;
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(requireAddon);
beforeEach(async () => {
  folder = await temporaryFolder("assay-run-");
  workspace = folder.path;
});
afterEach(() => folder[Symbol.asyncDispose]());

/** Long enough to be met while it runs, and ended by the test. */
const long = ["max_duration=100000ba", "eval_interval=1000000ba", "save_interval=1000000ba", "samples.prompts=[]"];
/** Long enough to be stopped in the middle, and ends by itself. */
const unhurried = ["max_duration=400ba", "eval_interval=100ba", "save_interval=50ba", "samples.prompts=[]"];
const stepOf = async (directory: string): Promise<number> => (await readSummary(directory)).step;
const statusOf = async (directory: string): Promise<string> => (await readSummary(directory)).status;
const logOf = (directory: string): Promise<string> => readFile(path.join(directory, "log.txt"), "utf8");

describe("a run", () => {
  it("goes from queued to completed and leaves what its format promises", async () => {
    const { directory } = await createTinyRun(workspace);
    expect(await statusOf(directory)).toBe("queued");
    expect(await runToEnd(directory)).toMatchObject({
      status: "completed",
      step: 24,
      totalSteps: 24,
      tokens: 24 * 4 * 32,
      code: 0,
    });

    const manifest = await readManifest(directory);
    expect(manifest).toMatchObject({
      phase: null,
      exit_reason: null,
      seed: 17,
      resumes: 0,
      best: { metric: "eval/loss" },
    });
    expect(manifest.data_fingerprint).toMatch(/^[0-9a-f]{32}$/);
    expect((await readdir(directory)).toSorted()).toEqual([
      "checkpoints",
      "control",
      "log.txt",
      "metrics.jsonl",
      "recipe.yaml",
      "run.json",
      "samples.jsonl",
      "tokenizer",
    ]);
    expect(await readFile(path.join(directory, "recipe.yaml"), "utf8")).not.toContain("auto");

    const { records } = foldMetrics((await readMetrics(directory)).lines);
    expect(records.map((record) => record.step)).toEqual(Array.from({ length: 25 }, (_, step) => step));
    expect(records.filter((record) => "eval/loss" in record).map((record) => record.step)).toEqual([
      0, 5, 10, 15, 20, 24,
    ]);
    expect(records[1]?.["train/learning_rate"]).toBe(0);
    expect(records[5]?.["train/learning_rate"]).toBe(3e-3);
    const last = records.at(-1);
    expect(last?.["eval/perplexity"]).toBeCloseTo(Math.exp(last?.["eval/loss"] ?? 0), 9);
    expect(last?.["eval/loss"]).toBeLessThan(records[0]?.["eval/loss"] ?? 0);
    const times = records.map((record) => record["time"] ?? Number.NaN);
    expect(times.toSorted((a, b) => a - b)).toEqual(times);

    expect((await readdir(checkpointPath(directory, 24))).toSorted()).toEqual([
      "config.json",
      "generation_config.json",
      "merges.txt",
      "model.safetensors",
      "optimizer.safetensors",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
      "training_state.json",
      "vocab.json",
    ]);
    const samples = (await readFile(path.join(directory, "samples.jsonl"), "utf8")).trim().split("\n");
    expect(samples.map((line) => JSON.parse(line).step)).toEqual([0, 5, 10, 15, 20, 24]);
    const log = await logOf(directory);
    for (const phase of [
      "reading corpus",
      "training tokenizer",
      "tokenizing",
      /allocating \d+ MB/,
      "Z step 1\n",
      "Completed at step 24",
    ]) {
      expect(log).toMatch(phase);
    }
  });

  it("ends at the first step that reaches a duration in tokens", async () => {
    const { directory } = await createTinyRun(workspace, ["max_duration=300tok", "scheduler.t_warmup=0ba"]);
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 3, tokens: 384 });
  });

  it("outlives the process that started it, and can be followed to its end", async () => {
    const { directory } = await createTinyRun(workspace, unhurried);
    await startFromDoomedProcess(directory);
    expect(await statusOf(directory)).not.toBe("lost");
    const steps: number[] = [];
    let last = "";
    for await (const change of followRun(directory, { pollMs: 20 })) {
      last = change.summary.status;
      for (const line of change.metrics) {
        steps.push(line.kind === "record" ? line.record.step : -1);
      }
    }
    expect(last).toBe("completed");
    expect(steps).toEqual(Array.from({ length: 401 }, (_, step) => step));
  });
});

describe("control files", () => {
  it("pause, go on, save and stop, between steps", async () => {
    const { directory } = await createTinyRun(workspace, long);
    const { ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 2);

    await requestControl(directory, "pause");
    await waitUntil("it is paused", async () => (await statusOf(directory)) === "paused");
    const pausedAt = await stepOf(directory);

    const save = await requestControl(directory, "checkpoint");
    await waitUntil("the checkpoint is written", () => save.isTaken());
    expect((await newestWholeCheckpoint(directory)).checkpoint?.step).toBe(pausedAt);

    await requestControl(directory, "unpause");
    await waitUntil("it goes on", async () => (await stepOf(directory)) > pausedAt);

    await requestControl(directory, "stop");
    expect(await ended).toMatchObject({ code: 0 });
    const summary = await readSummary(directory);
    expect(summary).toMatchObject({ status: "stopped", exitReason: { code: "STOPPED" } });
    expect((await newestWholeCheckpoint(directory)).checkpoint?.step).toBe(summary.step);
    expect(await readdir(path.join(directory, "control"))).toEqual([]);
    await expect(requestControl(directory, "pause")).rejects.toMatchObject({ code: "RUN_STATE_WRONG" });
  });

  it("stop a paused run, and a pause changes nothing in what is learned", async () => {
    const whole = await createTinyRun(workspace, unhurried);
    await runToEnd(whole.directory);
    const { directory } = await createTinyRun(workspace, unhurried);
    // What is there before the start was meant for an earlier runner.
    await writeFile(path.join(directory, "control", "stop"), "");
    const { ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 0);
    await requestControl(directory, "pause");
    await waitUntil("it is paused", async () => (await statusOf(directory)) === "paused");
    await requestControl(directory, "stop");
    await ended;
    expect(await statusOf(directory)).toBe("stopped");
    expect((await runToEnd(directory)).status).toBe("completed");
    expect((await outcomeOf(directory)).weights).toEqual((await outcomeOf(whole.directory)).weights);
  });
});

describe("signals", () => {
  it("once saves and stops, and a closed terminal is nothing to it", async () => {
    const { directory } = await createTinyRun(workspace, long);
    const { child, ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 0);
    child.kill("SIGHUP");
    const step = await stepOf(directory);
    await waitUntil("it goes on", async () => (await stepOf(directory)) > step);
    child.kill("SIGINT");
    expect(await ended).toMatchObject({ code: 0 });
    const summary = await readSummary(directory);
    expect(summary).toMatchObject({ status: "stopped" });
    expect(summary.exitReason?.message).toMatch(/SIGINT/);
    expect((await newestWholeCheckpoint(directory)).checkpoint?.step).toBe(summary.step);
  });

  it("twice stop at once", async () => {
    const { directory } = await createTinyRun(workspace, long);
    const { ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 0);
    await requestControl(directory, "pause");
    await waitUntil("it is paused", async () => (await statusOf(directory)) === "paused");
    await stopNow(directory);
    await ended;
    expect((await readSummary(directory)).status).toBe("stopped");
    // The lock is free again.
    expect(await readdir(directory)).not.toContain("lock");
  });
});

describe("the queue", () => {
  it("lets one run train and the next wait, which may be stopped while it waits", async () => {
    const one = await createTinyRun(workspace, long);
    const two = await createTinyRun(workspace);
    const three = await createTinyRun(workspace);
    const first = await spawnRunner(one.directory);
    await waitUntil("the first trains", async () => (await stepOf(one.directory)) > 0);
    const second = await spawnRunner(two.directory);
    const third = await spawnRunner(three.directory);
    for (const waiting of [two, three]) {
      await waitUntil(
        "it waits",
        async () => (await readSummary(waiting.directory)).phase?.name === "waiting for another run to end",
      );
    }
    await expect(requestControl(three.directory, "pause")).rejects.toMatchObject({ code: "RUN_STATE_WRONG" });
    await requestControl(three.directory, "stop");
    await third.ended;
    expect(await statusOf(three.directory)).toBe("stopped");
    expect(await statusOf(two.directory)).toBe("queued");
    await requestControl(one.directory, "stop");
    await first.ended;
    await second.ended;
    expect(await statusOf(two.directory)).toBe("completed");
  });

  it("is not held up by a run that was killed", async () => {
    const one = await createTinyRun(workspace, long);
    const first = await spawnRunner(one.directory);
    await waitUntil("it trains", async () => (await stepOf(one.directory)) > 0);
    first.child.kill("SIGKILL");
    await first.ended;
    const two = await createTinyRun(workspace);
    expect((await runToEnd(two.directory)).status).toBe("completed");
    expect(await statusOf(one.directory)).toBe("lost");
  });
});

describe("a second runner", () => {
  it("is refused with the number of the first, and disturbs nothing", async () => {
    const { directory } = await createTinyRun(workspace, long);
    const first = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 0);
    const second = await (await spawnRunner(directory)).ended;
    expect(second.code).toBe(1);
    expect(second.output).toContain(`held by process ${first.child.pid}; stop it first. (RUN_LOCKED)`);
    expect(await statusOf(directory)).toBe("running");
    first.child.kill("SIGKILL");
    await first.ended;
  });

  it("takes a run whose lock names a pid that was used again", async () => {
    const { directory } = await createTinyRun(workspace);
    const lock = { pid: process.pid, start_time: "1", host: (await readManifest(directory)).host };
    await writeFile(path.join(directory, "lock"), JSON.stringify(lock));
    expect((await runToEnd(directory)).status).toBe("completed");
  });
});

describe("resume", () => {
  it("goes on from a stop as if there had been none, also when a metrics line was torn", async () => {
    const whole = await createTinyRun(workspace, unhurried);
    await runToEnd(whole.directory);
    const { directory } = await createTinyRun(workspace, unhurried);
    const { child, ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await stepOf(directory)) > 0);
    child.kill("SIGINT");
    await ended;
    expect(await statusOf(directory)).toBe("stopped");
    await appendFile(metricsFile(directory), '{"step":99,"train/lo');
    await resumeRun(directory, { command: await runnerCommand() });
    await waitUntil("it is done", async () => (await statusOf(directory)) === "completed");
    expect((await readManifest(directory)).resumes).toBe(1);
    expect({ ...(await outcomeOf(directory)), checkpointSteps: [] }).toEqual({
      ...(await outcomeOf(whole.directory)),
      checkpointSteps: [],
    });
  });

  it("never trains the tokenizer again", async () => {
    const { directory } = await createTinyRun(workspace, ["max_duration=4ba"]);
    await runToEnd(directory);
    const file = path.join(directory, "tokenizer", "tokenizer.json");
    const before = await stat(file);
    await resumeRun(directory, { command: await runnerCommand(), set: ["max_duration=8ba"] });
    await waitUntil(
      "it is done",
      async () => (await readSummary(directory)).step === 8 && (await statusOf(directory)) === "completed",
    );
    expect((await stat(file)).mtimeMs).toBe(before.mtimeMs);
    expect((await logOf(directory)).match(/training tokenizer/g)).toHaveLength(1);
  });

  it("falls back from a truncated checkpoint with a sentence in the log, and loses nothing else", async () => {
    const whole = await createTinyRun(workspace);
    await runToEnd(whole.directory);
    const { directory } = await createTinyRun(workspace);
    await (await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:11" })).ended;
    await truncate(path.join(checkpointPath(directory, 8), "optimizer.safetensors"), 1000);
    expect((await runToEnd(directory)).status).toBe("completed");
    expect(await logOf(directory)).toMatch(
      /step-8 is damaged: optimizer\.safetensors has 1000 bytes instead of \d+\. It is left/,
    );
    expect(await logOf(directory)).toContain("goes on from step 4");
    expect(await outcomeOf(directory)).toEqual(await outcomeOf(whole.directory));
    expect(await readdir(path.join(directory, "checkpoints"))).toContain("step-8.damaged-1");
  });

  it("refuses a completed run, a running one, and a change that would make it another run", async () => {
    const { directory } = await createTinyRun(workspace, ["max_duration=2ba", "scheduler.t_warmup=0ba"]);
    await runToEnd(directory);
    await expect(resumeRun(directory)).rejects.toMatchObject({
      code: "RUN_STATE_WRONG",
      message: expect.stringContaining("completed at step 2"),
    });
    await expect(resumeRun(directory, { set: ["max_duration=4ba", "model.n_layers=3"] })).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      message: expect.stringContaining("cannot change model.n_layers"),
    });
  });

  it("refuses to go on with other text than it began with", async () => {
    const { directory } = await createTinyRun(workspace);
    await (await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:11" })).ended;
    await writeCorpus(path.join(workspace, "corpora", "tiny.jsonl"), 81);
    const summary = await runToEnd(directory);
    expect(summary).toMatchObject({ status: "failed", code: 1, exitReason: { code: "CHECKPOINT_MISMATCH" } });
    await writeCorpus(path.join(workspace, "corpora", "tiny.jsonl"), 80);
    expect((await runToEnd(directory)).status).toBe("completed");
  });
});

describe("what goes wrong is said", () => {
  it("when run.json is of a foreign format version", async () => {
    const { directory } = await createTinyRun(workspace);
    const file = path.join(directory, "run.json");
    const text = (await readFile(file, "utf8")).replace('"format_version": 1', '"format_version": 2');
    await writeFile(file, text);
    const { code, output } = await (await spawnRunner(directory)).ended;
    expect(code).toBe(1);
    expect(output).toContain(
      `Cannot read ${file}: it says format 2, this build reads 1; update Assay. (FORMAT_VERSION_UNKNOWN)`,
    );
    expect(await readFile(file, "utf8")).toBe(text);
    expect((await listRuns(workspace))[0]?.problem).toContain("it says format 2");
  });

  it("when the text is missing, empty, or shorter than the context", async () => {
    for (const [set, code] of [
      [`data.train=${path.join(workspace, "nothing.jsonl")}`, "CORPUS_NOT_FOUND"],
      [`data.train=${path.join(workspace, "empty.jsonl")}`, "CORPUS_EMPTY"],
      ["max_seq_len=65536", "TEXT_SHORTER_THAN_CONTEXT"],
      ["tokenizer.train.vocab_size=60000", "VOCABULARY_TOO_LARGE"],
      ["model.vocab_size=299", "RECIPE_INVALID"],
    ] as const) {
      await writeFile(path.join(workspace, "empty.jsonl"), "\n");
      const created = createTinyRun(workspace, [set]);
      if (code === "RECIPE_INVALID") {
        await expect(created).rejects.toMatchObject({ code });
        continue;
      }
      const summary = await runToEnd((await created).directory);
      expect(summary).toMatchObject({ status: "failed", code: 1, exitReason: { code } });
    }
  });

  it("when a reference names no run, or more than one", async () => {
    await createTinyRun(workspace);
    const { directory } = await createTinyRun(workspace);
    await expect(findRun(workspace, "tiny")).rejects.toMatchObject({ code: "RUN_AMBIGUOUS" });
    await expect(findRun(workspace, "missing")).rejects.toMatchObject({ code: "RUN_NOT_FOUND" });
    expect(await findRun(workspace, path.basename(directory))).toBe(directory);
    expect(await findRun(workspace, directory)).toBe(directory);
  });
});
