// What the window is told about runs, answered by the very handlers it calls.
import { appendFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { createModelHandlers } from "#core/models/handlers";
import { createRunHandlers } from "#core/runs/handlers";
import { metricsFile } from "#core/runs/metrics";
import { requireAddon, runnerCommand, waitUntil, writeCorpus } from "../support/runner.ts";
import { aRun, temporaryFolder } from "../support/workspace.ts";

const context = { signal: new AbortController().signal };
const curve = Array.from({ length: 100 }, (_, at) => ({
  step: at + 1,
  tokens: at * 10,
  time: at,
  "train/loss": at === 50 ? 99 : 5,
}));

function handlersOf(workspace: string, command?: Awaited<ReturnType<typeof runnerCommand>>) {
  const events: [string, unknown][] = [];
  const handlers = createRunHandlers({
    workspace: () => workspace,
    emit: (name, payload) => events.push([name, payload]),
    ...(command === undefined ? {} : { command }),
  });
  return { ...handlers, events, [Symbol.dispose]: () => handlers.close() };
}

describe("runs.list", () => {
  it("shows the newest first, with figures, and calls a run without its runner lost", async () => {
    await using folder = await temporaryFolder();
    await aRun()
      .with({ id: "20260101-000000-old-0000", created_at: "2026-01-01T00:00:00.000Z", name: "old" })
      .in(folder.path);
    await aRun()
      .withStatus("running")
      .with({ pid: 999_999, pid_start_time: "1", step: 100, total_steps: 200 })
      .withMetrics(...curve)
      .in(folder.path);
    using runs = handlersOf(folder.path);
    const list = await runs.requests["runs.list"]({}, context);
    expect(list.map((run) => [run.name, run.status, run.trainLoss])).toEqual([
      ["tiny", "lost", 5],
      ["old", "completed", null],
    ]);
  });

  it("tells when a run is new", async () => {
    await using folder = await temporaryFolder();
    using runs = handlersOf(folder.path);
    await runs.requests["runs.list"]({}, context);
    await waitUntil("the list was looked at", () => runs.events.length === 1);
    await aRun().in(folder.path);
    await waitUntil("the list changed", () => runs.events.length === 2);
    expect(runs.events[1]).toEqual(["runs.list-changed", {}]);
  });
});

describe("runs.series", () => {
  it("keeps the spike, smooths beside it, and reads on as the file grows", async () => {
    await using folder = await temporaryFolder();
    const directory = await aRun()
      .withMetrics(...curve)
      .in(folder.path);
    using runs = handlersOf(folder.path);
    const ask = { run: "tiny", keys: ["train/loss", "eval/loss"], x: "step" as const, buckets: 16, smoothing: 0.5 };
    const { series } = await runs.requests["runs.series"](ask, context);
    expect(series.map((each) => each.key)).toEqual(["train/loss"]);
    expect(Math.max(...(series[0]?.y ?? []))).toBe(99);
    expect(series[0]?.smoothed).toHaveLength(series[0]?.x.length ?? -1);
    await appendFile(metricsFile(directory), '{"step":101,"train/loss":"NaN"}\n{"step":102,"eval/loss":3}\n');
    const later = await runs.requests["runs.series"](ask, context);
    expect(later.series.map((each) => each.key)).toEqual(["train/loss", "eval/loss"]);
    expect(later.series[0]?.nonFinite).toEqual([{ x: 101, value: "NaN" }]);
    await waitUntil("the run's change was told", () => runs.events.some(([name]) => name === "runs.changed"));
  });
});

describe("runs.log and runs.samples", () => {
  it("give whole lines from a cursor, and the last samples of each step", async () => {
    await using folder = await temporaryFolder();
    const directory = await aRun().in(folder.path);
    using runs = handlersOf(folder.path);
    expect(await runs.requests["runs.log"]({ run: "tiny" }, context)).toEqual({ text: "", cursor: 0 });
    await writeFile(path.join(directory, "log.txt"), "first\nsecond\nthi");
    const log = await runs.requests["runs.log"]({ run: "tiny" }, context);
    expect(log).toEqual({ text: "first\nsecond\n", cursor: 13 });
    expect((await runs.requests["runs.log"]({ run: "tiny", tailBytes: 12 }, context)).text).toBe("second\n");
    await appendFile(path.join(directory, "log.txt"), "rd\n");
    expect(await runs.requests["runs.log"]({ run: "tiny", cursor: log.cursor }, context)).toEqual({
      text: "third\n",
      cursor: 19,
    });
    await writeFile(
      path.join(directory, "samples.jsonl"),
      '{"step":5,"prompt":"p","text":"a"}\n{"step":0,"prompt":"p","text":"b"}\n{"step":5,"prompt":"p","text":"c"}\n{"step":',
    );
    expect(await runs.requests["runs.samples"]({ run: "tiny" }, context)).toEqual([
      { step: 0, prompt: "p", text: "b" },
      { step: 5, prompt: "p", text: "c" },
    ]);
  });
});

describe("runs.start", () => {
  it("starts a run that can be shown, stopped, resumed and spoken with", async () => {
    requireAddon();
    await using folder = await temporaryFolder();
    await writeCorpus(path.join(folder.path, "recipes", "text.jsonl"));
    using runs = handlersOf(folder.path, await runnerCommand());
    const recipeText = `run_name: windowed
max_seq_len: 32   # short
threads: 1
model: {name: gpt2, n_layers: 1, n_heads: 1, d_model: 16}
tokenizer: {train: {vocab_size: 280}}
data: {train: text.jsonl, eval: {fraction: 0.1}}
optimizer: {lr: 1.0e-3}
max_duration: 100000ba
global_train_batch_size: 2
eval_interval: 100000ba
save_interval: 100000ba
`;
    const recipeFile = path.join(folder.path, "recipes", "windowed.yaml");
    const { run } = await runs.requests["runs.start"]({ recipeText, recipeFile }, context);
    const show = () => runs.requests["runs.show"]({ run }, context);
    await waitUntil("it trains", async () => (await show()).summary.step > 0);
    await runs.requests["runs.control"]({ run, action: "stop" }, context);
    await waitUntil("it is stopped", async () => (await show()).summary.status === "stopped");
    const stopped = await show();
    expect(stopped.recipeYaml).toContain("max_seq_len: 32 # short");
    expect(stopped.parameterCount).toBe(280 * 16 + 32 * 16 + (12 * 16 * 16 + 13 * 16) + 2 * 16);
    expect(stopped.latest["train/loss"]).toBeTypeOf("number");

    await runs.requests["runs.resume"]({ run }, context);
    await waitUntil("it goes on", async () => (await show()).summary.step > stopped.summary.step);
    await expect(runs.requests["runs.resume"]({ run }, context)).rejects.toMatchObject({ code: "RUN_STATE_WRONG" });
    await runs.requests["runs.control"]({ run, action: "stop" }, context);
    await waitUntil("it is stopped", async () => (await show()).summary.status === "stopped");
    expect((await show()).resumes).toEqual([{ resumed: 1, fromStep: stopped.summary.step }]);

    const models = await createModelHandlers({ workspace: () => folder.path }).requests["models.list"](
      { opened: [] },
      context,
    );
    expect(models.map((model) => [model.run, model.name, model.step])).toEqual([
      [run, "windowed", expect.any(Number)],
      [run, "windowed", stopped.summary.step],
    ]);
  });

  it("refuses a wrong recipe with its problems and makes no run", async () => {
    await using folder = await temporaryFolder();
    using runs = handlersOf(folder.path);
    await expect(
      runs.requests["runs.start"]({ recipeText: "max_seqlen: 3\n", recipeFile: null }, context),
    ).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      details: { problems: expect.arrayContaining([expect.objectContaining({ path: "max_seqlen" })]) },
    });
    expect(await runs.requests["runs.list"]({}, context)).toEqual([]);
  });
});
