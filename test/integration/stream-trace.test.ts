// From a step of a run that streamed back to its documents: whatever the place in its passes, the tokens of what is named are
// those of the window that the order has there, which is gathered here from the shards alone.
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parseCompression } from "#core/corpus/mds/compression";
import { readMdsIndex } from "#core/corpus/mds/index-file";
import { openShard } from "#core/corpus/mds/shard";
import { shardCorpus } from "#core/corpus/mds/write-corpus";
import { MdsWriter } from "#core/corpus/mds/writer";
import type { Trace } from "#core/corpus/trace";
import { traceRun } from "#core/corpus/trace-run";
import type { NativeTokenizer } from "#core/engine/addon";
import { createBranch, planBranch } from "#core/runs/branch";
import { listCheckpoints, readCheckpoint } from "#core/runs/checkpoints";
import { readRunRecipe } from "#core/runs/prepare";
import { streamCacheFolder } from "#core/runs/prepare-text";
import { loadTokenizer } from "#core/tokenizer/load";
import { assay } from "../support/command-line.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type ObjectStore, startObjectStore } from "../support/object-store.ts";
import { createTinyRun, requireAddon, runToEnd } from "../support/runner.ts";
import { writeStreamRunTexts } from "../support/stream-runs.ts";
import { storeEnvironment, tokensOfShards, upload, windowsOf } from "../support/streams.ts";
import { temporaryFolder } from "../support/workspace.ts";

const seqLen = 32;
const batchSize = 4;
const blockShards = 2;
const lastStep = 48;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let shards: string;
let heldOut: string;
let tokenizer: string;
let loaded: NativeTokenizer;
/** Of every document, as training reads it: the end of its text included. */
const tokensOf = new Map<string, readonly number[]>();
/** By id, the shard that holds it. */
const shardOf = new Map<string, string>();
let tokensOfText: number[][];
let store: ObjectStore;
/** It streamed over a local folder, and kept every checkpoint. */
let parent: string;

const workspaceOf = (name: string): string => path.join(folder.path, name);

async function run(name: string, overrides: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const { directory } = await createTinyRun(workspaceOf(name), [
    `tokenizer={path: "${tokenizer}"}`,
    `data.eval=${heldOut}`,
    `max_duration=${lastStep}ba`,
    "eval_interval=24ba",
    "samples.prompts=[]",
    "data.streaming.predownload=2",
    `data.streaming.shuffle_block_shards=${blockShards}`,
    ...overrides,
  ]);
  expect(await runToEnd(directory, env)).toMatchObject({ status: "completed", exitReason: null });
  return directory;
}

async function windowsFor(directory: string, shardTokens: readonly (readonly number[])[], epochs: number) {
  const { recipe } = await readRunRecipe(directory);
  return windowsOf(shardTokens, { seqLen, blockShards, seed: recipe.data.shuffle_seed }, epochs);
}

/** The tokens that the named documents have at the named places. */
function tokensTraced(trace: Trace): readonly number[] {
  return trace.documents.flatMap(({ id, from, to, documentOffset }) => {
    expect(shardOf.get(id)).toBe(trace.shard?.file);
    return (tokensOf.get(id) ?? []).slice(documentOffset, documentOffset + to - from);
  });
}

beforeAll(async () => {
  requireAddon();
  await bundleWorkers();
  folder = await temporaryFolder("assay-stream-trace-");
  ({ tokenizer, heldOut, shards } = await writeStreamRunTexts(folder.path));
  loaded = await loadTokenizer(tokenizer);
  for (const entry of (await readMdsIndex(shards)).shards) {
    const shard = await openShard(shards, entry);
    for (let sample = 0; sample < shard.sampleCount; sample += 1) {
      const id = shard.columnBytes(sample, "id").toString("utf8");
      const text = shard.columnBytes(sample, "text").toString("utf8");
      tokensOf.set(id, [...loaded.encode(text).ids, loaded.endOfTextId ?? 0]);
      shardOf.set(id, entry.raw_data.basename);
    }
  }
  tokensOfText = await tokensOfShards([shards], loaded);
  store = await startObjectStore();
  await upload(store, shards, "shards");
  const local = [`data.train=${shards}`, "data.streaming.enabled=true"];
  parent = await run("parent", [...local, "save_num_checkpoints_to_keep=100"]);
}, 120_000);
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

describe("the documents of a step that streamed", () => {
  it("hold the tokens of its windows, in every pass, from checkpoints and from the beginning", async () => {
    const windows = await windowsFor(parent, tokensOfText, 60);
    const perEpoch = windows.length / 60;
    expect((lastStep * batchSize) / perEpoch).toBeGreaterThan(2);
    for (const [step, sequence] of [
      [1, 1],
      [4, 4],
      [5, 1],
      [14, 3],
      [27, 2],
      [41, 4],
      [48, 1],
      [49, 1],
      [1000, 2],
    ] as const) {
      const trace = await traceRun(workspaceOf("parent"), parent, { step, sequence });
      expect(trace.tokenCount).toBe(seqLen + 1);
      expect(tokensTraced(trace)).toEqual(windows[(step - 1) * batchSize + sequence - 1]);
    }
    const local = [`data.train=${shards}`, "data.streaming.enabled=true"];
    const without = await run("few", [...local, "data.streaming.cache_limit=1kb"]);
    await rm(streamCacheFolder(workspaceOf("few")), { recursive: true });
    expect((await listCheckpoints(without)).map(({ step }) => step)).toEqual([48, 44]);
    for (const [step, sequence] of [
      [2, 1],
      [23, 4],
      [40, 2],
    ] as const) {
      const trace = await traceRun(workspaceOf("few"), without, { step, sequence });
      expect(tokensTraced(trace)).toEqual(windows[(step - 1) * batchSize + sequence - 1]);
    }
  });

  it("are found at an address by the command, or the server's answer says why not", async () => {
    const directory = await run("remote", ["data.train=s3://texts/shards"], storeEnvironment(store));
    const windows = await windowsFor(directory, tokensOfText, 3);
    const words = ["corpus", "trace", "--run", directory, "--workspace", workspaceOf("remote"), "--step", "31"];
    const found = await assay([...words, "--sequence", "3", "--json"], storeEnvironment(store));
    expect(found).toMatchObject({ code: 0, stderr: "" });
    const trace = JSON.parse(found.stdout) as Trace;
    expect(trace.shard?.folder).toBe("s3://texts/shards");
    expect(tokensTraced(trace)).toEqual(windows[30 * batchSize + 2]);
    const shown = await assay([...words, "--sequence", "3"], storeEnvironment(store));
    expect(shown.stdout).toContain(`of ${trace.shard?.file} in s3://texts/shards`);
    const refused = await assay(words, { ...storeEnvironment(store), AWS_SECRET_ACCESS_KEY: "wrong" });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/s3:\/\/texts\/shards/);
  });

  it("are not told for places that no order has", async () => {
    const ask = (place: Parameters<typeof traceRun>[2]) => traceRun(workspaceOf("parent"), parent, place);
    await expect(ask({ token: 3 })).rejects.toMatchObject({ message: expect.stringContaining("--sequence") });
    await expect(ask({ step: 2, sequence: 5 })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    await expect(ask({ step: 1e14, sequence: 1 })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    await expect(ask({ step: 2 ** 53 - 1, sequence: 1 })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    expect(tokensTraced(await ask({ step: 1e9, sequence: 1 }))).toHaveLength(seqLen + 1);
  });

  it("are not guessed from shards that are others than the run read", async () => {
    await upload(store, shards, "changing");
    const directory = await run("changed", ["data.train=s3://texts/changing"], storeEnvironment(store));
    const other = path.join(folder.path, "other-shards");
    await shardCorpus({ inputs: [heldOut], directory: other, tokenizer: null, compression: null, hashes: ["sha1"] });
    await upload(store, other, "changing");
    const words = ["corpus", "trace", "--run", directory, "--workspace", workspaceOf("changed"), "--step", "3"];
    const { code, stderr } = await assay(words, storeEnvironment(store));
    expect(code).toBe(1);
    expect(stderr).toContain("are not those of");
  });
});

describe("the documents of a branch's step", () => {
  async function branch(name: string, overrides: readonly string[]): Promise<string> {
    const workspace = workspaceOf("parent");
    const plan = await planBranch({ from: `${parent}@24`, workspace, overrides: ["max_duration=40ba", ...overrides] });
    const { path: directory } = await createBranch(plan, { workspace, directory: path.join(workspace, "runs", name) });
    expect(await runToEnd(directory)).toMatchObject({ status: "completed", exitReason: null });
    return directory;
  }

  const trace = (directory: string, step: number) => traceRun(workspaceOf("parent"), directory, { step, sequence: 2 });
  const forget = (directory: string, steps: readonly number[]) =>
    Promise.all(steps.map((step) => rm(path.join(directory, "checkpoints", `step-${step}`), { recursive: true })));

  it("follow its own shuffle from the next pass on, and its parent's before", async () => {
    const directory = await branch("shuffled", ["data.shuffle_seed=5", "save_num_checkpoints_to_keep=100"]);
    const at = path.join(parent, "checkpoints", "step-24");
    const { epoch = -1 } = (await readCheckpoint(at, "sizes")).state.data.stream ?? {};
    const windows = await windowsFor(directory, tokensOfText, 6);
    const begin = (windows.length / 6) * (epoch + 1);
    const check = async () => {
      for (const step of [25, 31, 40]) {
        expect(tokensTraced(await trace(directory, step))).toEqual(windows[begin + (step - 25) * batchSize + 1]);
      }
      for (const step of [3, 24]) {
        expect(await trace(directory, step)).toEqual(await trace(parent, step));
      }
    };
    await check();
    const steps = (await listCheckpoints(directory)).map(({ step }) => step);
    await forget(
      directory,
      steps.filter((step) => step < 40),
    );
    await check();
    // Nor need the parent have kept what the branch began with: its order is walked to there.
    const kept = ["step-24", "step-20"];
    const [inside, aside] = [path.join(parent, "checkpoints"), path.join(folder.path, "aside")];
    await mkdir(aside);
    for (const name of kept) {
      await rename(path.join(inside, name), path.join(aside, name));
    }
    await check();
    for (const name of kept) {
      await rename(path.join(aside, name), path.join(inside, name));
    }
  });

  it("follow the parent's order where the branch keeps it", async () => {
    const directory = await branch("same", ["data.streaming.predownload=4"]);
    const steps = (await listCheckpoints(directory)).map(({ step }) => step);
    await forget(directory, steps);
    const windows = await windowsFor(parent, tokensOfText, 4);
    for (const step of [7, 26, 40]) {
      expect(tokensTraced(await trace(directory, step))).toEqual(windows[(step - 1) * batchSize + 1]);
    }
  });
});

describe("the samples of shards of tokens", () => {
  it("are named by their ids, or by file and number", async () => {
    const named = path.join(folder.path, "named");
    const corpus = path.join(folder.path, "corpus.jsonl");
    await shardCorpus({
      inputs: [corpus],
      directory: named,
      tokenizer: loaded,
      compression: parseCompression("zstd:3", "the test"),
      hashes: ["sha1"],
      sizeLimitBytes: 1024,
    });
    const nameless = path.join(folder.path, "nameless");
    const writer = await MdsWriter.create({
      directory: nameless,
      columns: { tokens: "bytes" },
      compression: null,
      hashes: ["sha1"],
      sizeLimitBytes: 1024,
    });
    for (const tokens of tokensOf.values()) {
      await writer.add({ tokens: new Uint8Array(Uint16Array.from(tokens).buffer) });
    }
    await writer.finish();
    const directory = await run("tokens", [
      `data.train=${JSON.stringify([named, nameless])}`,
      "data.streaming.token_bytes=2",
    ]);
    // The documents of each shard with the names they must have; they stand in the order of the corpus in both folders.
    const inOrder = [...tokensOf];
    const samples = new Map<string, readonly number[]>();
    const shardTokens: number[][] = [];
    for (const location of [named, nameless]) {
      let document = 0;
      for (const { samples: count, raw_data: raw } of (await readMdsIndex(location)).shards) {
        const tokens: number[] = [];
        for (let sample = 0; sample < count; sample += 1) {
          const [id, ids] = inOrder[document] ?? ["", []];
          const name = location === named ? id : `${raw.basename}:${sample + 1}`;
          samples.set(`${location}/${raw.basename} ${sample} ${name}`, ids);
          tokens.push(...ids);
          document += 1;
        }
        shardTokens.push(tokens);
      }
      expect(document).toBe(inOrder.length);
    }
    const windows = await windowsFor(directory, shardTokens, 3);
    expect(lastStep * batchSize).toBeGreaterThan(windows.length / 3);
    const folders = new Set<string | undefined>();
    for (let step = 1; step <= lastStep; step += 5) {
      const trace = await traceRun(workspaceOf("tokens"), directory, { step, sequence: 1 + (step % batchSize) });
      folders.add(trace.shard?.folder);
      const found = trace.documents.flatMap(({ id, document, from, to, documentOffset }) => {
        const tokens = samples.get(`${trace.shard?.folder}/${trace.shard?.file} ${document} ${id}`) ?? [];
        return tokens.slice(documentOffset, documentOffset + to - from);
      });
      expect(found).toEqual(windows[(step - 1) * batchSize + (step % batchSize)]);
    }
    expect(folders).toEqual(new Set([named, nameless]));
    expect(await readFile(path.join(nameless, "index.json"), "utf8")).not.toContain('"id"');
  });
});
