// What a stream does where it cannot go on: every refusal is a sentence with a code, comes in time, and leaves neither a
// thread nor half a file.
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { MdsWriter } from "#core/corpus/mds/writer";
import type { NativeTokenizer } from "#core/engine/addon";
import { openTokenStream, type StreamOptions } from "#core/streaming/token-stream";
import { readWholeStream } from "#core/streaming/whole-stream";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type Fault, type ObjectStore, startObjectStore } from "../support/object-store.ts";
import {
  cacheContents,
  makeShards,
  makeTokenizer,
  storeEnvironment,
  streamOptions,
  take,
  textOf,
  upload,
  withStream,
} from "../support/streams.ts";

let store: ObjectStore;
let folder: string;
let local: string;
let tokenizer: NativeTokenizer;
let cacheFolder: string;

beforeAll(async () => {
  await bundleWorkers();
  store = await startObjectStore();
  folder = await mkdtemp(path.join(tmpdir(), "assay-streams-"));
  tokenizer = await makeTokenizer(folder);
  local = path.join(folder, "a");
  await makeShards({ directory: local, documents: Array.from({ length: 90 }, (_, number) => textOf(number)) });
  await upload(store, local, "a");
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
beforeEach(async () => {
  for (const [name, value] of Object.entries(storeEnvironment(store))) {
    vi.stubEnv(name, value);
  }
  store.faults.length = 0;
  store.requests.length = 0;
  cacheFolder = await mkdtemp(path.join(folder, "cache-"));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

function options(changes: Partial<StreamOptions> = {}): StreamOptions {
  return streamOptions({
    sources: [{ location: "s3://texts/a" }],
    tokenizerFolder: folder,
    cacheFolder,
    blockShards: 2,
    ...changes,
  });
}

const failure = (code: string, text: string) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(`^[^\n]*${text}[^\n]*\\.$`)) });

/** What the first batches throw. */
async function firstError(changes: Partial<StreamOptions>): Promise<unknown> {
  return withStream(options(changes), (stream) => take(stream, 12, changes.seqLen)).catch((error: unknown) => error);
}

describe("a shard that is not what its index says", () => {
  it("is SHARD_HASH_MISMATCH once it came wrong three times, and names the file", async () => {
    await upload(store, local, "wrong");
    const bytes = new Uint8Array(await readFile(path.join(local, "shard.00003.mds")));
    bytes[bytes.length - 3] = (bytes.at(-3) ?? 0) ^ 4;
    store.put("wrong/shard.00003.mds", bytes);
    const stream = await openTokenStream(options({ sources: [{ location: "s3://texts/wrong" }] }));
    try {
      stream.seek({ epoch: 0, block: 0, window: 0 });
      const error = await take(stream, 2000).catch((thrown: unknown) => thrown);
      expect(error).toEqual(failure("SHARD_HASH_MISMATCH", "s3://texts/wrong/shard.00003.mds .*sha1"));
      expect(store.requests.filter(({ url }) => url.includes("shard.00003"))).toHaveLength(3);
    } finally {
      await stream.close();
    }
    expect((await cacheContents(cacheFolder)).building).toEqual([]);
  });

  it("is refused on this disk at once", async () => {
    const directory = path.join(cacheFolder, "cut");
    await makeShards({ directory, documents: [textOf(1), textOf(2)] });
    await truncate(path.join(directory, "shard.00000.mds"), 100);
    expect(await firstError({ sources: [{ location: directory }] })).toEqual(failure("MDS_INVALID", "100 bytes"));
  });

  it("is refused where it is longer or shorter than its index says, before its bytes are gathered", async () => {
    for (const content of [new Uint8Array(50_000_000), new Uint8Array(10)]) {
      await upload(store, local, "sizes");
      for (const name of await readdir(local)) {
        if (name !== "index.json") {
          store.put(`sizes/${name}`, content);
        }
      }
      store.sent.bytes = 0;
      expect(await firstError({ sources: [{ location: "s3://texts/sizes" }] })).toEqual(
        failure("SHARD_HASH_MISMATCH", "and its index says"),
      );
      expect(store.sent.bytes).toBeLessThan(200_000_000);
    }
  });

  it("is named where it is missing", async () => {
    store.put("missing/index.json", await readFile(path.join(local, "index.json")));
    expect(await firstError({ sources: [{ location: "s3://texts/missing" }] })).toEqual(
      failure(
        "FETCH_NOT_FOUND",
        "There is no s3://texts/missing/shard.0000\\d.mds, which the index of s3://texts/missing names",
      ),
    );
  });
});

describe("an index", () => {
  it("that is cut, is none, or names no shards is a sentence that names it", async () => {
    const text = await readFile(path.join(local, "index.json"), "utf8");
    const cases = [
      [text.slice(0, text.length / 2), "MDS_INVALID", "s3://texts/i/index.json: this is not JSON"],
      ["<html></html>", "MDS_INVALID", "s3://texts/i/index.json: this is not JSON"],
      ['{"version": 2, "shards": []}', "CORPUS_EMPTY", "s3://texts/i names no shards"],
      [text.replaceAll('"version":2', '"version":3'), "MDS_INVALID", "version"],
      [text.replace("shard.00001.mds", "../../secret"), "MDS_INVALID", "does not lie in the folder"],
    ] as const;
    for (const [content, code, what] of cases) {
      store.put("i/index.json", Buffer.from(content));
      const error = await openTokenStream(options({ sources: [{ location: "s3://texts/i" }] })).catch(
        (e: unknown) => e,
      );
      expect(error).toEqual(failure(code, what));
    }
    await expect(openTokenStream(options({ sources: [{ location: "s3://texts/nothing" }] }))).rejects.toEqual(
      failure("FETCH_NOT_FOUND", "There is no s3://texts/nothing/index.json"),
    );
    await expect(openTokenStream(options({ sources: [{ location: cacheFolder }] }))).rejects.toEqual(
      failure("MDS_INVALID", "there is no index.json"),
    );
  });

  it("that mixes text and tokens, or holds neither, is refused", async () => {
    const tokens = path.join(cacheFolder, "tokens");
    await makeShards({ directory: tokens, documents: [textOf(1)], tokens: { tokenizer, encoding: "bytes" } });
    await expect(openTokenStream(options({ sources: [{ location: local }, { location: tokens }] }))).rejects.toEqual(
      failure("MDS_INVALID", "shards of text and shards of tokens"),
    );
    await expect(readWholeStream({ sources: [{ location: tokens }] }).next()).rejects.toEqual(
      failure("MDS_INVALID", "holds tokens, not text"),
    );
    const other = path.join(cacheFolder, "other");
    const writer = await MdsWriter.create({
      directory: other,
      columns: { title: "str" },
      compression: null,
      hashes: [],
      sizeLimitBytes: 4096,
    });
    await writer.add({ title: "none" });
    await writer.finish();
    await expect(openTokenStream(options({ sources: [{ location: other }] }))).rejects.toEqual(
      failure("MDS_INVALID", "no column text"),
    );
  });
});

describe("what cannot be trained on", () => {
  it("is refused: tokens of another vocabulary, in this disk's shards and in fetched ones", async () => {
    const directory = path.join(cacheFolder, "foreign");
    const writer = await MdsWriter.create({
      directory,
      columns: { tokens: "bytes" },
      compression: null,
      hashes: ["xxh64"],
      sizeLimitBytes: 4096,
    });
    const ids = BigInt64Array.from({ length: 100 }, (_, at) => BigInt(at === 60 ? 320 : at));
    await writer.add({ tokens: new Uint8Array(ids.buffer) });
    await writer.finish();
    await upload(store, directory, "foreign");
    for (const location of [directory, "s3://texts/foreign"]) {
      const error = await firstError({ sources: [{ location }] });
      expect(error).toMatchObject({ message: expect.stringMatching(/\.mds.* 320.*\.$/) });
      expect((error as { code: string }).code).toMatch(/TOKEN/);
    }
  });

  it("is refused where no shard holds a window, or a tokenizer ends no text", async () => {
    const directory = path.join(cacheFolder, "short");
    await makeShards({ directory, documents: ["insulin", "glucose"] });
    expect(await firstError({ sources: [{ location: directory }], seqLen: 1000 })).toEqual(
      failure("TEXT_SHORTER_THAN_CONTEXT", "1001 tokens"),
    );
    const tokenizerFolder = path.join(cacheFolder, "tokenizer");
    await mkdir(tokenizerFolder);
    const json = await readFile(path.join(folder, "tokenizer.json"), "utf8");
    await writeFile(path.join(tokenizerFolder, "tokenizer.json"), json.replaceAll("<|endoftext|>", "<|nothing|>"));
    await expect(openTokenStream(options({ tokenizerFolder }))).rejects.toEqual(
      failure("TOKENIZER_INVALID", "ends a text"),
    );
  });
});

describe("a server that is gone", () => {
  it("is told when its shards are needed, and what is on the disk is trained on until then", async () => {
    const notices: string[] = [];
    const changed = options({ onNotice: (sentence) => notices.push(sentence), predownloadShards: 2 });
    const faults = Array.from({ length: 500 }, (): Fault => ({ kind: "drop" }));
    await withStream(changed, async (stream) => {
      await stream.ready();
      store.faults.push(...faults);
      const first = await take(stream, 5);
      expect(first.windows).toHaveLength(5);
      await expect(take(stream, 100_000)).rejects.toEqual(failure("FETCH_UNREACHABLE", "s3://texts/a/shard"));
    });
  });
});

describe("the end of a stream", () => {
  const stalled: Fault[] = Array.from({ length: 20 }, () => ({ kind: "stall", afterBytes: 100 }));

  it("comes promptly when it is cancelled, whatever it waits for", async () => {
    const controller = new AbortController();
    const policy = { attempts: 3, firstPauseMs: 20_000, longestPauseMs: 20_000, silenceMs: 50_000 };
    store.faults.push({ kind: "none" }, ...stalled);
    const stream = await openTokenStream(options({ signal: controller.signal, policy }));
    stream.seek({ epoch: 0, block: 0, window: 0 });
    const waiting = take(stream, 10).catch((error: unknown) => error);
    await vi.waitUntil(() => store.requests.length >= 3, { timeout: 30_000 });
    controller.abort();
    expect(await waiting).toMatchObject({ code: "CANCELLED" });
    await stream.close();
    await expect(take(stream, 1)).rejects.toMatchObject({ code: "CANCELLED" });
    const gone = new AbortController();
    gone.abort();
    await expect(openTokenStream(options({ signal: gone.signal }))).rejects.toMatchObject({ code: "CANCELLED" });
  });

  it("leaves no thread and nothing half made, in the middle of fetching and of tokenizing", async () => {
    const threads = () => process.getActiveResourcesInfo().filter((name) => name === "MessagePort").length;
    const before = threads();
    const large = path.join(cacheFolder, "large");
    await makeShards({
      directory: large,
      documents: Array.from({ length: 3000 }, (_, n) => textOf(n).repeat(40)),
      sizeLimitBytes: 2e7,
    });
    for (const sources of [[{ location: "s3://texts/a" }], [{ location: large }]]) {
      const cache = path.join(cacheFolder, "cache");
      store.faults.push({ kind: "none" }, ...stalled);
      const stream = await openTokenStream(options({ sources, cacheFolder: cache }));
      expect(threads()).toBeGreaterThan(before);
      stream.seek({ epoch: 0, block: 0, window: 0 });
      if (sources[0]?.location === large) {
        await vi.waitUntil(async () => (await cacheContents(cache)).building.length > 1, { timeout: 30_000 });
      }
      await stream.close();
      store.faults.length = 0;
      expect(threads()).toBe(before);
      expect((await cacheContents(cache)).building).toEqual([]);
      await stream.close();
    }
  });

  it("that a killed process did not see is made up for by the next", async () => {
    await withStream(options(), (stream) => take(stream, 5));
    const [key = ""] = await readdir(cacheFolder);
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    const left = [`.building-${pid}-00000000`, `.building-${process.ppid}-00000000`];
    for (const name of left) {
      await mkdir(path.join(cacheFolder, key, name));
      await writeFile(path.join(cacheFolder, key, name, "tokens.bin"), "half");
    }
    await writeFile(path.join(cacheFolder, key, `.building-${pid}-11111111`), "half");
    await withStream(options(), (stream) => take(stream, 5));
    const building = (await readdir(path.join(cacheFolder, key))).filter((name) => name.startsWith(".building"));
    // A process that lives is still at it.
    expect(building).toEqual([`.building-${process.ppid}-00000000`]);
  });

  it("of what was cached and is damaged is a notice, and it is made again", async () => {
    const whole = await withStream(options(), (stream) => take(stream, 60));
    const names = (await cacheContents(cacheFolder)).names.filter((name) => name.endsWith("tokens.bin"));
    for (const name of names) {
      await truncate(path.join(cacheFolder, name), 10);
    }
    const notices: string[] = [];
    const again = await withStream(options({ onNotice: (sentence) => notices.push(sentence) }), (stream) =>
      take(stream, 60),
    );
    expect(again).toEqual(whole);
    expect(notices.length).toBeGreaterThan(0);
    expect(notices[0]).toMatch(/is made again/);
  });
});
