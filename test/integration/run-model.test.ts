// What comes out of a run is a model: it evaluates on the same text to the same figures, generates the same text for the
// same seed, and is found by run, id, name and folder.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isHeldOut } from "#core/corpus/split";
import { evaluateTexts } from "#core/evaluate/language-model";
import { generateText, generateWhole } from "#core/models/generate";
import { type LoadedModel, loadModel } from "#core/models/load";
import { runCaches } from "#core/runs/caches";
import { checkpointPath } from "#core/runs/checkpoints";
import { dryRun } from "#core/runs/dry-run";
import { foldMetrics, metricsFile, readMetrics } from "#core/runs/metrics";
import { readRunRecipe } from "#core/runs/prepare";
import { createTinyRun, outcomeOf, requireAddon, runToEnd, spawnRunner } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

describe("a completed run", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let directory: string;
  let loaded: LoadedModel;

  beforeAll(async () => {
    requireAddon();
    folder = await temporaryFolder("assay-model-");
    ({ directory } = await createTinyRun(folder.path));
    await runToEnd(directory);
    loaded = await loadModel("tiny", { workspace: folder.path, threads: 1 });
  });
  afterAll(async () => {
    loaded.model.dispose();
    await folder[Symbol.asyncDispose]();
  });

  it("evaluates on its held-out documents to the figures it logged", async () => {
    const corpus = await readFile(path.join(folder.path, "corpora", "tiny.jsonl"), "utf8");
    const heldOut = corpus
      .trim()
      .split("\n")
      .filter((line) => isHeldOut(JSON.parse(line).id, 0.1));
    const file = path.join(folder.path, "held-out.jsonl");
    await writeFile(file, `${heldOut.join("\n")}\n`);
    const result = await evaluateTexts(loaded, { inputs: [file] });
    const last = foldMetrics((await readMetrics(directory)).lines).records.at(-1);
    // In groups of another size than beside training, whose sums may round otherwise.
    expect(result.loss).toBeCloseTo(last?.["eval/loss"] ?? Number.NaN, 6);
    expect(result.bitsPerByte).toBeCloseTo(last?.["eval/bits_per_byte"] ?? Number.NaN, 6);
    expect(result.documents).toBe(heldOut.length);
  });

  it("generates the same text for the same seed, and what it streams is what it says", async () => {
    const request = {
      prompt: "patients treated",
      maxNewTokens: 12,
      temperature: 0.8,
      topK: 40,
      topP: 1,
      seed: 3,
      stopAtEndOfText: false,
    };
    let streamed = "";
    const report = await generateText(loaded, request, (piece) => {
      streamed += piece.text;
    });
    expect(report).toMatchObject({ newTokens: 12, stopReason: "length" });
    const again = await generateWhole(loaded, request);
    expect(again.startsWith(streamed)).toBe(true);
    expect(await generateWhole(loaded, { ...request, seed: 4 })).not.toBe(again);
  });

  it("is found by directory and by checkpoint folder, and what is neither is told", async () => {
    for (const source of [directory, path.basename(directory), checkpointPath(directory, 24)]) {
      const found = await loadModel(source, { workspace: folder.path, threads: 1 });
      expect(found.directory).toBe(checkpointPath(directory, 24));
      found.model.dispose();
    }
    await expect(loadModel("nothing", { workspace: folder.path })).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
    });
  });

  it("still knows its token caches", async () => {
    const caches = await runCaches(directory);
    const meta = JSON.parse(await readFile(path.join(caches.eval, "meta.json"), "utf8"));
    expect(meta.document_count).toBeGreaterThan(0);
    expect(path.dirname(caches.train)).toBe(path.join(folder.path, "cache"));
  });

  it("was forecast by a dry run, which leaves no run behind", async () => {
    const phases: string[] = [];
    const { recipe } = await readRunRecipe(directory);
    const forecast = await dryRun({ recipe, workspace: folder.path, onPhase: (name) => phases.push(name) });
    const first = foldMetrics((await readMetrics(directory)).lines).records[2];
    expect(forecast).toMatchObject({ totalSteps: 24, totalTokens: 24 * 4 * 32, threads: 1, microbatchSize: 2 });
    expect(forecast.loss).toBe(first?.["train/loss"]);
    expect(phases).toContain("step 1");
  });
});

describe("a stop in the middle of an evaluation", () => {
  it("is made up for by the resume", async () => {
    requireAddon();
    await using folder = await temporaryFolder("assay-pending-");
    const whole = await createTinyRun(folder.path, ["save_interval=5ba"]);
    await runToEnd(whole.directory);
    const { directory } = await createTinyRun(folder.path, ["save_interval=5ba"]);
    await (await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:11" })).ended;
    // What the runner writes when a stop comes before the evaluation of step 10 is done.
    const stateFile = path.join(checkpointPath(directory, 10), "training_state.json");
    const state = JSON.parse(await readFile(stateFile, "utf8"));
    await writeFile(stateFile, JSON.stringify({ ...state, is_evaluation_due: true, eval: null }));
    const text = await readFile(metricsFile(directory), "utf8");
    await writeFile(metricsFile(directory), text.replace(/("step":10,.*),"eval\/loss".*/, "$1}"));
    expect((await runToEnd(directory)).status).toBe("completed");
    expect(await outcomeOf(directory)).toEqual(await outcomeOf(whole.directory));
  });
});
