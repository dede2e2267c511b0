// Runs that go on: a branch begins with another run's checkpoint, weights, optimizer and place in the text; a completed
// run is extended; a run may begin with another's weights alone.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findModel } from "#core/models/load";
import { createBranch, planBranch } from "#core/runs/branch";
import { checkpointPath, readCheckpoint } from "#core/runs/checkpoints";
import { resumeRun } from "#core/runs/launch";
import { readManifest } from "#core/runs/manifest";
import { foldMetrics, readMetrics } from "#core/runs/metrics";
import { readRunRecipe } from "#core/runs/prepare";
import { readSummary } from "#core/runs/status";
import {
  createTinyRun,
  outcomeOf,
  requireAddon,
  runnerCommand,
  runToEnd,
  waitUntil,
  writeCorpus,
} from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let workspace: string;
/** Completed at step 24, with checkpoints at 24 and 20. */
let parent: string;

beforeAll(async () => {
  requireAddon();
  folder = await temporaryFolder("assay-branch-");
  workspace = folder.path;
  ({ directory: parent } = await createTinyRun(workspace, ["save_num_checkpoints_to_keep=10"]));
  expect(await runToEnd(parent)).toMatchObject({ status: "completed", step: 24 });
}, 60_000);
afterAll(() => folder[Symbol.asyncDispose]());

async function branch(step: number, overrides: readonly string[]): Promise<string> {
  const plan = await planBranch({ from: `${parent}@${step}`, overrides, workspace });
  return (await createBranch(plan, { workspace })).path;
}

async function recordsOf(directory: string) {
  return foldMetrics((await readMetrics(directory)).lines).records;
}

describe("a branch", () => {
  it("that changes nothing equals the run it came from, bit for bit", async () => {
    const directory = await branch(12, []);
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 24 });
    const [own, before] = await Promise.all([outcomeOf(directory), outcomeOf(parent)]);
    expect(own.weights).toEqual(before.weights);
    expect(own.records).toEqual(before.records.filter((record) => (record["step"] ?? 0) > 12));
  });

  it("begins with a copy of the checkpoint that is its own, and says where it came from and what changed", async () => {
    const directory = await branch(12, ["optimizer.lr=1e-3", "max_duration=30ba"]);
    const [manifest, parentManifest] = await Promise.all([readManifest(directory), readManifest(parent)]);
    expect(manifest).toMatchObject({
      name: "tiny-from-12",
      status: "queued",
      step: 12,
      tokens: 12 * 4 * 32,
      branched_from: { run: parentManifest.id, step: 12, changed: ["optimizer.lr", "max_duration"] },
    });
    const { state } = await readCheckpoint(checkpointPath(directory, 12), "contents");
    const original = await readCheckpoint(checkpointPath(parent, 12), "contents");
    expect(state.run).toBe(manifest.id);
    expect(state.files).toEqual(original.state.files);
    expect(await readFile(path.join(directory, "log.txt"), "utf8")).toContain(
      `Branched from ${parentManifest.id} at step 12: optimizer.lr 0.003 → 0.001; max_duration 24ba → 30ba.`,
    );
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 30 });
    const records = await recordsOf(directory);
    expect(records[0]).toMatchObject({ step: 13 });
    expect(records[0]?.["train/learning_rate"]).toBeLessThan(1e-3);
    expect((await recordsOf(parent)).length).toBe(25);
  });

  it("goes on with other text: nothing of the old evaluation is kept, and the step counts on", async () => {
    const other = path.join(workspace, "corpora", "other.jsonl");
    await writeCorpus(other, 120);
    const directory = await branch(8, [`data.train=${other}`, "max_duration=12ba"]);
    const { state } = await readCheckpoint(checkpointPath(directory, 8), "sizes");
    expect(state).toMatchObject({ is_evaluation_due: true, eval: null, best: null, data: { fingerprint: null } });
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 12 });
    const [own, before] = [await readManifest(directory), await readManifest(parent)];
    expect(own.data_fingerprint).not.toBe(before.data_fingerprint);
    const records = await recordsOf(directory);
    expect(records[0]).toMatchObject({ step: 8, "eval/loss": expect.any(Number) });
  });

  it.each([
    ["model.n_layers=3", "model.n_layers"],
    ["max_seq_len=16", "max_seq_len"],
    ["tokenizer.train.vocab_size=400", "tokenizer.train.vocab_size"],
    ["optimizer.state=8bit", "optimizer.state"],
    ["global_train_batch_size=8", "global_train_batch_size"],
  ])("refuses %s by its name", async (change, key) => {
    await expect(planBranch({ from: `${parent}@12`, overrides: [change], workspace })).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      message: expect.stringContaining(`A branch cannot change ${key}`),
    });
  });

  it("takes a recipe of its own, whose open values are the other run's", async () => {
    const { recipe, text } = await readRunRecipe(parent);
    const given = { ...recipe, threads: "auto", device_train_microbatch_size: "auto", seed: 3 } as const;
    const plan = await planBranch({ from: `${path.basename(parent)}@12`, recipe: { recipe: given, text }, workspace });
    expect(plan.changes).toEqual([{ key: "seed", from: 17, to: 3 }]);
    expect(plan.recipe).toMatchObject({ threads: 1, device_train_microbatch_size: 2 });
  });

  it("is refused where nothing is left to train", async () => {
    await expect(planBranch({ from: `${parent}@24`, workspace })).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      message: expect.stringContaining("is not beyond step 24"),
    });
  });

  it("names a step that has no checkpoint", async () => {
    await expect(planBranch({ from: `${parent}@13`, overrides: [], workspace })).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
      message: expect.stringContaining("no checkpoint of step 13"),
    });
  });

  it("names a step that is no number, and a run that is not there", async () => {
    await expect(planBranch({ from: `${parent}@abc`, overrides: [], workspace })).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
      message: expect.stringContaining('"abc" is not a step of the run'),
    });
    await expect(planBranch({ from: "nobody@12", overrides: [], workspace })).rejects.toMatchObject({
      code: "RUN_NOT_FOUND",
    });
  });
});

describe("a model named by its run", () => {
  it("is the checkpoint of the step behind @, or else the newest", async () => {
    const name = path.basename(parent);
    expect(await findModel(`${name}@12`, workspace)).toBe(checkpointPath(parent, 12));
    expect(await findModel(name, workspace)).toBe(checkpointPath(parent, 24));
    await expect(findModel(`${name}@13`, workspace)).rejects.toMatchObject({ code: "CHECKPOINT_NOT_FOUND" });
    await expect(findModel("nobody@12", workspace)).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
      message: expect.stringContaining("or RUN@STEP"),
    });
  });
});

describe("a longer run", () => {
  it("goes on where a completed one ended", async () => {
    const { directory } = await createTinyRun(workspace);
    await runToEnd(directory);
    const command = await runnerCommand();
    await expect(resumeRun(directory, { command, set: ["max_duration=20ba"] })).rejects.toMatchObject({
      code: "RECIPE_INVALID",
      message: expect.stringContaining("max_duration 20ba is not beyond step 24"),
    });
    for (const [change, key] of [
      ["optimizer.state=8bit", "optimizer.state"],
      ["model.dropout=0", "model.dropout"],
      ["data.shuffle_seed=3", "data.shuffle_seed"],
    ]) {
      await expect(resumeRun(directory, { command, set: ["max_duration=30ba", change ?? ""] })).rejects.toMatchObject({
        message: expect.stringContaining(`A resume cannot change ${key}`),
      });
    }
    await resumeRun(directory, { command, set: ["max_duration=30ba", "optimizer.lr=1e-3"] });
    await waitUntil("it is completed", async () => (await readSummary(directory)).status === "completed");
    expect(await readSummary(directory)).toMatchObject({ step: 30, totalSteps: 30 });
    expect(await readFile(path.join(directory, "log.txt"), "utf8")).toContain(
      "Changed for the resume: optimizer.lr 0.003 → 0.001; max_duration 24ba → 30ba.",
    );
    expect((await recordsOf(directory)).at(-1)).toMatchObject({ step: 30 });
  });
});

describe("model.init_from", () => {
  it("begins with another run's weights, its shape and its tokenizer, and a fresh optimizer", async () => {
    const from = [
      `model={name: gpt2, init_from: ${path.basename(parent)}@24}`,
      "tokenizer={}",
      "max_duration=4ba",
      "eval_interval=4ba",
      "device_train_microbatch_size=auto",
    ];
    const { directory } = await createTinyRun(workspace, from);
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 4 });
    const { recipe } = await readRunRecipe(directory);
    expect(recipe.model).toMatchObject({ n_layers: 2, n_heads: 2, d_model: 32, vocab_size: 300 });
    expect(recipe.model.init_from).toBe(checkpointPath(parent, 24));
    expect(recipe.device_train_microbatch_size).toBe(4);
    const [first] = await recordsOf(directory);
    const last = (await recordsOf(parent)).at(-1);
    expect(first).toMatchObject({ step: 0 });
    // Evaluated in groups of another size, whose sums may round otherwise.
    expect(first?.["eval/loss"]).toBeCloseTo(last?.["eval/loss"] ?? Number.NaN, 6);
  });

  it("refuses a shape that is not the model's", async () => {
    const { directory } = await createTinyRun(workspace, [
      `model={name: gpt2, init_from: "${parent}@24", n_layers: 3}`,
      "tokenizer={}",
    ]);
    expect(await runToEnd(directory)).toMatchObject({
      status: "failed",
      exitReason: { code: "RECIPE_INVALID", message: expect.stringContaining("model.n_layers 3 is not the 2 of") },
    });
  });
});
