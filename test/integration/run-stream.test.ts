// Runs that train from streams of shards: whatever the way there is like, the weights are those of the same shards read from
// this disk, bit for bit; a run that was killed or cut off goes on at the exact sample; a second pass asks no server.
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { readMdsIndex } from "#core/corpus/mds/index-file";
import { shardCorpus } from "#core/corpus/mds/write-corpus";
import { createBranch, planBranch } from "#core/runs/branch";
import { listCheckpoints, readCheckpoint } from "#core/runs/checkpoints";
import { dryRun } from "#core/runs/dry-run";
import { resumeRun } from "#core/runs/launch";
import { foldMetrics, type MetricRecord, readMetrics } from "#core/runs/metrics";
import { readRunRecipe } from "#core/runs/prepare";
import { streamCacheFolder } from "#core/runs/prepare-text";
import { readSummary } from "#core/runs/status";
import { loadTokenizer } from "#core/tokenizer/load";
import { assay } from "../support/command-line.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type ObjectStore, refusal, startObjectStore } from "../support/object-store.ts";
import {
  createTinyRun,
  type Outcome,
  outcomeOf,
  requireAddon,
  runnerCommand,
  runToEnd,
  spawnRunner,
  waitUntil,
} from "../support/runner.ts";
import { writeStreamRunTexts } from "../support/stream-runs.ts";
import { storeEnvironment, upload } from "../support/streams.ts";
import { temporaryFolder } from "../support/workspace.ts";

const lastStep = 48;
/** Batches of four windows; an epoch has some twenty of them. */
const common = [
  `max_duration=${lastStep}ba`,
  "eval_interval=12ba",
  "samples.prompts=[]",
  "data.streaming.predownload=2",
  "data.streaming.shuffle_block_shards=2",
];
const address = "s3://texts/shards";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let shards: string;
let heldOut: string;
let tokenizer: string;
/** Of the run that reads the shards where they lie on this disk. */
let reference: Outcome;
let store: ObjectStore;

/** Each run has a workspace, and so a cache, of its own. */
async function createStreamRun(name: string, overrides: readonly string[]): Promise<string> {
  const { directory } = await createTinyRun(path.join(folder.path, name), [
    `tokenizer={path: "${tokenizer}"}`,
    `data.eval=${heldOut}`,
    ...common,
    ...overrides,
  ]);
  return directory;
}

async function recordsOf(directory: string): Promise<readonly MetricRecord[]> {
  return foldMetrics((await readMetrics(directory)).lines).records;
}

function sumOf(records: readonly MetricRecord[], key: string): number {
  return records.reduce((sum, record) => sum + (record[key] ?? 0), 0);
}

function shardRequests(): readonly string[] {
  return store.requests.map(({ url }) => url).filter((url) => url.includes("shard."));
}

beforeAll(async () => {
  requireAddon();
  await bundleWorkers();
  folder = await temporaryFolder("assay-run-stream-");
  ({ tokenizer, heldOut, shards } = await writeStreamRunTexts(folder.path));
  const directory = await createStreamRun("local", [`data.train=${shards}`, "data.streaming.enabled=true"]);
  expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: lastStep, exitReason: null });
  reference = await outcomeOf(directory);
  store = await startObjectStore();
  await upload(store, shards, "shards");
}, 120_000);
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});
beforeEach(() => {
  store.requests.length = 0;
  store.faults.length = 0;
});

describe("a run from a stream", () => {
  it("goes over its shards more than once, and says how far it is", async () => {
    expect((await readMdsIndex(shards)).shards.length).toBeGreaterThan(8);
    const epochs = reference.records.map(({ epoch }) => epoch ?? 0);
    expect(epochs.at(-1)).toBeGreaterThan(1.5);
    expect(epochs).toEqual(epochs.toSorted((a, b) => a - b));
    const losses = reference.records.map((record) => record["eval/loss"]).filter((loss) => loss !== undefined);
    expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) - 1);
  });

  it("gives the same weights from an object store that fails now and then", async () => {
    const body = refusal("SlowDown");
    for (let turn = 0; turn < 3; turn += 1) {
      store.faults.push({ kind: "none" }, { kind: "status", status: 503, body });
      store.faults.push({ kind: "none" }, { kind: "cut", afterBytes: 100 }, { kind: "drop" });
    }
    const directory = await createStreamRun("faults", [`data.train=${address}`]);
    const end = await runToEnd(directory, storeEnvironment(store));
    expect(end).toMatchObject({ status: "completed", step: lastStep, exitReason: null });
    expect(store.faults).toEqual([]);
    expect(await outcomeOf(directory)).toEqual(reference);
  });

  it("asks the server for each shard once, however many passes it makes, and counts what came", async () => {
    const directory = await createStreamRun("once", [`data.train=${address}`]);
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed" });
    const { shards: entries } = await readMdsIndex(shards);
    expect(shardRequests().length).toBe(entries.length);
    expect(new Set(shardRequests()).size).toBe(entries.length);
    const records = await recordsOf(directory);
    const stored = entries.reduce((sum, { zip_data: zip }) => sum + (zip?.bytes ?? 0), 0);
    const fetched = sumOf(records, "data/bytes_fetched");
    expect(fetched).toBeGreaterThanOrEqual(stored);
    expect(
      sumOf(
        records.filter(({ epoch = 0 }) => epoch > 1.2),
        "data/bytes_fetched",
      ),
    ).toBe(0);
    expect(sumOf(records, "data/stall_seconds")).toBeGreaterThanOrEqual(0);
    expect(records.at(-1)).toHaveProperty(["data/stall_seconds"]);
    // A second run of the workspace finds what the first one kept.
    store.requests.length = 0;
    const again = await createStreamRun("once", [`data.train=${address}`]);
    expect(await runToEnd(again, storeEnvironment(store))).toMatchObject({ status: "completed" });
    expect(shardRequests()).toEqual([]);
    expect(await outcomeOf(again)).toEqual(reference);
  });

  it("trains the same with a cache that holds next to nothing", async () => {
    const directory = await createStreamRun("small", [
      `data.train=${address}`,
      "data.streaming.cache_limit=1kb",
      "data.streaming.predownload=1",
    ]);
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed" });
    expect(shardRequests().length).toBeGreaterThan(new Set(shardRequests()).size);
    expect(await outcomeOf(directory)).toEqual(reference);
  });

  it("evaluates on shards at an address as on the text they were made from", async () => {
    const held = path.join(folder.path, "held-out-shards");
    await shardCorpus({ inputs: [heldOut], directory: held, tokenizer: null, compression: null, hashes: ["sha1"] });
    await upload(store, held, "held-out");
    const overrides = [`data.train=${address}`, "data.eval=s3://texts/held-out"];
    const directory = await createStreamRun("held-out", overrides);
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed" });
    expect(await outcomeOf(directory)).toEqual(reference);
  });

  it("is planned by its index: bytes to download and their price, or why nobody knows", async () => {
    const directory = await createStreamRun("planned", [`data.train=${address}`]);
    const stored = (await readMdsIndex(shards)).shards.reduce((sum, { zip_data: zip }) => sum + (zip?.bytes ?? 0), 0);
    const plan = async (env: Record<string, string>) => {
      const words = ["plan", path.join(directory, "recipe.yaml"), "--egress-price", "1000", "--json"];
      const { code, stdout, stderr } = await assay(words, env);
      expect([code, stderr]).toEqual([0, ""]);
      return JSON.parse(stdout);
    };
    const { egress_bytes: bytes, egress_cost_usd: cost, how } = await plan(storeEnvironment(store));
    expect(bytes).toBe(stored);
    expect(cost).toBeCloseTo(stored / 1e6);
    expect(how).toMatchObject({ egress_bytes: expect.stringContaining("passes over") });
    expect(shardRequests()).toEqual([]);
    const unknown = await plan({ ...storeEnvironment(store), AWS_SECRET_ACCESS_KEY: "wrong" });
    expect(unknown).toMatchObject({
      egress_bytes: null,
      egress_cost_usd: null,
      how: { egress_bytes: expect.any(String) },
    });
    expect(unknown["steps"]).toBe(lastStep);
  });

  it("takes its first steps in a dry run", async () => {
    const directory = await createStreamRun("dry", [`data.train=${shards}`, "data.streaming.enabled=true"]);
    const { recipe } = await readRunRecipe(directory);
    const phases: string[] = [];
    const result = await dryRun({
      recipe,
      workspace: path.join(folder.path, "dry"),
      onPhase: (name) => phases.push(name),
    });
    expect(result).toMatchObject({ totalSteps: lastStep, totalTokens: lastStep * 4 * 32 });
    // Nothing is applied before the second step, whose loss the run has too.
    expect(result.loss).toBe(reference.records[2]?.["train/loss"]);
    expect(phases).toContain("fetching the first shards");
  });
});

describe("a run from a stream that was interrupted", () => {
  it.each(["in-step:13", "checkpoint-before-rename:20", "in-line:27"])(
    "goes on after SIGKILL at %s as if nothing had been",
    async (point) => {
      const directory = await createStreamRun(`killed-${point.replace(":", "-")}`, [`data.train=${address}`]);
      const killed = await spawnRunner(directory, { ...storeEnvironment(store), ASSAY_TEST_KILL_AT: point });
      expect((await killed.ended).signal).toBe("SIGKILL");
      expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed", code: 0 });
      expect(await outcomeOf(directory)).toEqual(reference);
    },
  );

  it("needs nothing of its cache, and takes a new limit for it", async () => {
    const directory = await createStreamRun("emptied", [`data.train=${address}`]);
    const killed = await spawnRunner(directory, { ...storeEnvironment(store), ASSAY_TEST_KILL_AT: "in-step:30" });
    expect((await killed.ended).signal).toBe("SIGKILL");
    await rm(streamCacheFolder(path.join(folder.path, "emptied")), { recursive: true });
    const command = await runnerCommand(storeEnvironment(store));
    await expect(
      resumeRun(directory, { command, set: ["data.streaming.shuffle_block_shards=3"] }),
    ).rejects.toMatchObject({ code: "RECIPE_INVALID" });
    await resumeRun(directory, { command, set: ["data.streaming.cache_limit=4kb"] });
    await waitUntil("the run is completed", async () => (await readSummary(directory)).status === "completed");
    expect(await outcomeOf(directory)).toEqual(reference);
  });

  it("fails with the server's answer and a checkpoint of the last step, and goes on from there", async () => {
    const body = refusal("ExpiredToken");
    store.faults.push(...Array.from({ length: 8 }, () => ({ kind: "none" }) as const));
    store.faults.push(...Array.from({ length: 200 }, () => ({ kind: "status", status: 403, body }) as const));
    const directory = await createStreamRun("refused", [
      `data.train=${address}`,
      "save_interval=1000ba",
      "data.streaming.predownload=1",
    ]);
    const end = await runToEnd(directory, storeEnvironment(store));
    expect(end).toMatchObject({ status: "failed", exitReason: { code: "FETCH_NOT_ALLOWED" } });
    expect(end.step).toBeGreaterThan(0);
    expect((await listCheckpoints(directory)).map(({ step }) => step)).toEqual([end.step]);
    store.faults.length = 0;
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed" });
    const { checkpointSteps: _, ...outcome } = await outcomeOf(directory);
    expect(outcome).toEqual({ weights: reference.weights, records: reference.records });
  });

  it("stops with a checkpoint while it waits for a server that says nothing", async () => {
    store.faults.push(...Array.from({ length: 8 }, () => ({ kind: "none" }) as const));
    store.faults.push(...Array.from({ length: 50 }, () => ({ kind: "stall", afterBytes: 10 }) as const));
    const directory = await createStreamRun("silent", [`data.train=${address}`, "data.streaming.predownload=1"]);
    const runner = await spawnRunner(directory, storeEnvironment(store));
    await waitUntil(
      "the run waits for shards",
      async () => (await readSummary(directory)).phase?.name === "waiting for shards",
    );
    runner.child.kill("SIGTERM");
    expect((await runner.ended).code).toBe(0);
    const { status, step } = await readSummary(directory);
    expect(status).toBe("stopped");
    expect((await listCheckpoints(directory))[0]?.step).toBe(step);
    store.faults.length = 0;
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({ status: "completed" });
    const { checkpointSteps: _, ...outcome } = await outcomeOf(directory);
    expect(outcome).toEqual({ weights: reference.weights, records: reference.records });
  });

  it("does not go on with other shards at the same address", async () => {
    await upload(store, shards, "changing");
    const directory = await createStreamRun("changed", ["data.train=s3://texts/changing"]);
    const killed = await spawnRunner(directory, { ...storeEnvironment(store), ASSAY_TEST_KILL_AT: "in-step:10" });
    expect((await killed.ended).signal).toBe("SIGKILL");
    const other = path.join(folder.path, "other-shards");
    await shardCorpus({ inputs: [heldOut], directory: other, tokenizer: null, compression: null, hashes: ["sha1"] });
    await upload(store, other, "changing");
    expect(await runToEnd(directory, storeEnvironment(store))).toMatchObject({
      status: "failed",
      exitReason: { code: "CHECKPOINT_MISMATCH", message: expect.stringContaining("training text") },
    });
  });
});

describe("a branch of a run from a stream", () => {
  let parent: string;

  async function branch(name: string, overrides: readonly string[]): Promise<string> {
    const workspace = path.join(folder.path, "parent");
    const plan = await planBranch({ from: `${parent}@24`, workspace, overrides: ["max_duration=30ba", ...overrides] });
    const { path: directory } = await createBranch(plan, { workspace, directory: path.join(workspace, "runs", name) });
    return directory;
  }

  async function placeOf(directory: string) {
    const at = path.join(directory, "checkpoints", "step-24");
    return (await readCheckpoint(at, "sizes")).state.data.stream;
  }

  beforeAll(async () => {
    parent = await createStreamRun("parent", [
      `data.train=${shards}`,
      "data.streaming.enabled=true",
      "save_num_checkpoints_to_keep=100",
    ]);
    expect(await runToEnd(parent)).toMatchObject({ status: "completed" });
  }, 60_000);

  it("goes on in the order of its parent, however its shards come here", async () => {
    const directory = await branch("same", ["data.streaming.predownload=5", `data.train=${shards}`]);
    expect(await placeOf(directory)).toEqual(await placeOf(parent));
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", step: 30 });
    // The schedule is shorter, so that only the place in the text is the parent's.
    const epochs = (await recordsOf(directory)).map(({ epoch }) => epoch);
    const parents = (await recordsOf(parent)).map(({ epoch }) => epoch);
    expect(epochs.slice(-6)).toEqual(parents.slice(25, 31));
  });

  it("begins the next pass with another shuffle, and the first of other text", async () => {
    const { epoch = 0 } = (await placeOf(parent)) ?? {};
    const shuffled = await branch("shuffled", ["data.shuffle_seed=5"]);
    expect(await placeOf(shuffled)).toEqual({ epoch: epoch + 1, block: 0, window: 0, passes: epoch + 1 });
    expect(await runToEnd(shuffled)).toMatchObject({ status: "completed" });
    const other = path.join(folder.path, "branch-shards");
    await shardCorpus({ inputs: [heldOut], directory: other, tokenizer: null, compression: null, hashes: ["sha1"] });
    const moved = await branch("moved", [`data.train=${other}`]);
    expect(await placeOf(moved)).toBeNull();
    expect(await runToEnd(moved)).toMatchObject({ status: "completed" });
    expect((await recordsOf(moved))[1]?.epoch).toBeLessThan(3);
  });
});

describe("shards of tokens", () => {
  /** Folders of one shard each, so that text and tokens are cut alike. */
  async function folders(kind: "text" | "tokens"): Promise<readonly string[]> {
    const own = kind === "text" ? null : await loadTokenizer(tokenizer);
    const lines = (await readFile(path.join(folder.path, "corpus.jsonl"), "utf8")).trimEnd().split("\n");
    const made: string[] = [];
    for (let part = 0; part < 4; part += 1) {
      const input = path.join(folder.path, `part-${part}.jsonl`);
      await writeFile(input, `${lines.slice(part * 3, (part + 1) * 3).join("\n")}\n`);
      const directory = path.join(folder.path, `${kind}-${part}`);
      await shardCorpus({ inputs: [input], directory, tokenizer: own, compression: null, hashes: ["sha1"] });
      made.push(directory);
    }
    return made;
  }

  it("train as the text they were made from, here and at an address", async () => {
    const list = (locations: readonly string[]) => `data.train=${JSON.stringify(locations)}`;
    const text = await createStreamRun("text", [list(await folders("text")), "data.streaming.enabled=true"]);
    expect(await runToEnd(text)).toMatchObject({ status: "completed", exitReason: null });
    const expected = await outcomeOf(text);
    const tokens = await folders("tokens");
    const local = await createStreamRun("tokens", [list(tokens)]);
    expect(await runToEnd(local)).toMatchObject({ status: "completed", exitReason: null });
    expect(await outcomeOf(local)).toEqual(expected);
    for (const [part, directory] of tokens.entries()) {
      await upload(store, directory, `tokens/${part}`);
    }
    const remote = await createStreamRun("remote", [list(tokens.map((_, part) => `s3://texts/tokens/${part}`))]);
    expect(await runToEnd(remote, storeEnvironment(store))).toMatchObject({ status: "completed", exitReason: null });
    expect(await outcomeOf(remote)).toEqual(expected);
  });

  it("are a stream without being called one, and refuse what a stream cannot do", async () => {
    const run = await createStreamRun("fraction", [
      `data.train=${path.join(folder.path, "tokens-0")}`,
      "data.eval={fraction: 0.1}",
    ]);
    expect(await runToEnd(run)).toMatchObject({
      status: "failed",
      exitReason: { code: "RECIPE_INVALID", message: expect.stringContaining("data.eval is the fraction 0.1") },
    });
  });
});

describe("attention that stays within documents", () => {
  it("is told where they end in a stream, too", async () => {
    const own = ["objective={name: clm, document_mask: true}", "max_duration=6ba", `data.train=${shards}`];
    const directory = await createStreamRun("documents", [...own, "data.streaming.enabled=true"]);
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", exitReason: null });
    const { records } = await outcomeOf(directory);
    // The first step's batch is the reference's, but for what it sees of neighbouring documents.
    const [masked, plain] = [records[1]?.["train/loss"], reference.records[1]?.["train/loss"]];
    expect(masked).not.toBe(plain);
    expect(masked).toBeCloseTo(plain ?? 0, 1);
  });
});

describe("a masked model", () => {
  it("trains from a stream, the same from both ends", async () => {
    const mlm = ["model.name=bert", "objective={name: mlm, mask_probability: 0.2}"];
    const first = await createTinyRun(path.join(folder.path, "first"), [
      "max_duration=4ba",
      "samples.prompts=[]",
      ...mlm,
    ]);
    expect(await runToEnd(first.directory)).toMatchObject({ status: "completed" });
    const own = [...mlm, `tokenizer={path: "${path.join(first.directory, "tokenizer")}"}`, "max_duration=24ba"];
    const local = await createStreamRun("mlm", [...own, `data.train=${shards}`, "data.streaming.enabled=true"]);
    expect(await runToEnd(local)).toMatchObject({ status: "completed", exitReason: null });
    const remote = await createStreamRun("mlm-remote", [...own, `data.train=${address}`]);
    expect(await runToEnd(remote, storeEnvironment(store))).toMatchObject({ status: "completed", exitReason: null });
    const outcome = await outcomeOf(local);
    expect(await outcomeOf(remote)).toEqual(outcome);
    const losses = outcome.records.map((record) => record["eval/loss"]).filter((loss) => loss !== undefined);
    expect(losses.at(-1)).toBeLessThan(losses[0] ?? 0);
  });
});
