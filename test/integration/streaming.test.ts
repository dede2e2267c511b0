// Streams of shards: the batches are those that the order and the shards alone give, whatever the network does to them on
// their way, however little the disk may hold, and wherever the stream begins.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { serveFolder } from "#core/bench/stream-server";
import type { NativeTokenizer } from "#core/engine/addon";
import { openTokenStream, type StreamOptions } from "#core/streaming/token-stream";
import { readWholeStream } from "#core/streaming/whole-stream";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { type Fault, type ObjectStore, refusal, startObjectStore } from "../support/object-store.ts";
import {
  cacheContents,
  makeShards,
  makeTokenizer,
  storeEnvironment,
  streamOptions,
  take,
  textOf,
  tokensOfShards,
  upload,
  windowsOf,
  withStream,
} from "../support/streams.ts";

const order = { seqLen: 16, seed: 17, blockShards: 3 };
const short = ["insulin"];
const documents = Array.from({ length: 150 }, (_, number) => (number % 29 === 3 ? " \n" : textOf(number)));

let store: ObjectStore;
let folder: string;
let tokenizer: NativeTokenizer;
let sources: StreamOptions["sources"];
/** Of one epoch. */
let expected: number[][];
let shardCount: number;
let bytesOfShards: number;

beforeAll(async () => {
  await bundleWorkers();
  store = await startObjectStore();
  folder = await mkdtemp(path.join(tmpdir(), "assay-streams-"));
  tokenizer = await makeTokenizer(folder);
  const local = [path.join(folder, "a"), path.join(folder, "b")] as const;
  await makeShards({ directory: local[0], documents });
  await makeShards({ directory: local[1], documents: short });
  await upload(store, local[0], "a");
  await upload(store, local[1], "b");
  sources = [{ location: local[0] }, { location: local[1] }];
  const shards = await tokensOfShards(local, tokenizer);
  shardCount = shards.length;
  expected = windowsOf(shards, order, 2);
  expect(shardCount).toBeGreaterThan(9);
  const cacheFolder = path.join(folder, "measured");
  await withStream(streamOptions({ sources, tokenizerFolder: folder, cacheFolder }), (stream) =>
    take(stream, expected.length / 2),
  );
  bytesOfShards = (await cacheContents(cacheFolder)).bytes;
});
afterAll(async () => {
  await store[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

let cacheFolder: string;
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

const remote = [{ location: "s3://texts/a/" }, { location: "s3://texts/b" }];

function options(changes: Partial<StreamOptions> = {}): StreamOptions {
  return streamOptions({ sources, tokenizerFolder: folder, cacheFolder, ...changes });
}

describe("the batches of a stream", () => {
  it("are what shards and order give, through two epochs, with a shard that has no window", async () => {
    await withStream(options(), async (stream) => {
      expect(stream).toMatchObject({ shardCount, isPreTokenized: false });
      await stream.ready();
      const { windows, position, epoch } = await take(stream, expected.length);
      expect(windows).toEqual(expected);
      expect(position).toEqual({ epoch: 2, block: 0, window: 0 });
      expect(epoch).toBe(2);
    });
  });

  it("are the same through a server that refuses, cuts, dawdles and sends wrong bytes", async () => {
    // The indexes come first. Wrong bytes twice: a third time in a row for one shard would be the end.
    const faults: Fault[] = [{ kind: "none" }, { kind: "drop" }, { kind: "none" }];
    for (let round = 0; round < 5; round += 1) {
      faults.push(
        { kind: "status", status: 503, body: refusal("SlowDown"), headers: { "retry-after": "0" } },
        round < 2 ? { kind: "wrong", atByte: 700 + round } : { kind: "none" },
        { kind: "cut", afterBytes: 900 * round },
        { kind: "slow", pauseMs: 20 },
      );
    }
    store.faults.push(...faults);
    await withStream(options({ sources: remote }), async (stream) => {
      expect((await take(stream, expected.length)).windows).toEqual(expected);
      expect(store.faults).toHaveLength(0);
      const counters = stream.counters();
      expect(counters.requests).toBe(store.requests.length);
      expect(counters.retries).toBeGreaterThanOrEqual(10);
      expect(counters.shardsFetched).toBe(shardCount);
      expect(counters.bytesFetched).toBeGreaterThanOrEqual(stream.storedBytes);
      expect(counters.cacheBytes).toBe((await cacheContents(cacheFolder)).bytes);
    });
  });

  it("are the same from a plain server, and from shards that are named twice", async () => {
    const directory = path.join(folder, "a");
    const server = await serveFolder(directory);
    try {
      const twice = [{ location: `${server.address}/` }, { location: directory }];
      const shards = await tokensOfShards([directory, directory], tokenizer);
      await withStream(options({ sources: twice }), async (stream) => {
        const wanted = windowsOf(shards, order, 1);
        expect((await take(stream, wanted.length)).windows).toEqual(wanted);
        expect(stream.counters()).toMatchObject({ shardsFetched: shards.length / 2 });
        expect(stream.counters().retries).toBeGreaterThan(2);
      });
    } finally {
      await server.close();
    }
  });

  it.each(["zstd:3", "gz:6"])("are the same from shards packed as %s", async (compression) => {
    const directory = path.join(cacheFolder, "packed");
    await makeShards({ directory, documents, compression, hashes: ["xxh64", "sha256"] });
    await upload(store, directory, compression);
    const packed = [{ location: `s3://texts/${compression}` }, { location: "s3://texts/b" }];
    await withStream(options({ sources: packed }), async (stream) => {
      expect(stream.storedBytes).toBeLessThan(stream.totalBytes);
      expect((await take(stream, expected.length)).windows).toEqual(expected);
    });
    await withStream(
      options({ sources: [{ location: directory }, { location: path.join(folder, "b") }] }),
      async (stream) => {
        expect((await take(stream, 40)).windows).toEqual(expected.slice(0, 40));
      },
    );
  });

  it.each(["bytes", "ndarray:uint16", "ndarray:int64"] as const)(
    "are the same from tokens in shards (%s), local and remote, packed and not",
    async (encoding) => {
      for (const compression of [null, "zstd:3", "gz"]) {
        const name = `tokens-${encoding.replace(":", "-")}-${compression}`;
        const directory = path.join(cacheFolder, name);
        const full = documents.filter((text) => text.trim() !== "");
        // The shards are cut in other places, so the windows are their own; Python's writer has int64 in `bytes`.
        await makeShards({
          directory,
          documents: full,
          compression,
          tokens: { tokenizer, encoding },
          sizeLimitBytes: 8192,
        });
        await upload(store, directory, name);
        const fromFolder = await withStream(options({ sources: [{ location: directory }] }), async (stream) => {
          expect(stream.isPreTokenized).toBe(true);
          return take(stream, 150);
        });
        const fromStore = await withStream(options({ sources: [{ location: `s3://texts/${name}` }] }), (stream) =>
          take(stream, 150),
        );
        expect(fromStore).toEqual(fromFolder);
        const known = new Set((await allTokens(full)).map((tokens) => tokens.join()));
        expect(fromFolder.windows.every((window) => [...known].some((text) => text.includes(window.join())))).toBe(
          true,
        );
        const kept = (await cacheContents(cacheFolder)).names.filter(
          (each) => each.endsWith(".mds") && !each.startsWith(name),
        );
        expect(kept.length).toBeGreaterThan(0);
      }
    },
  );

  it("do not depend on how many shards are fetched ahead, nor on a limit", async () => {
    for (const [predownloadShards, cacheLimitBytes] of [
      [0, 1e9],
      [1, 0],
      [50, 1e9],
      [50, bytesOfShards / 2],
    ] as const) {
      const cache = path.join(cacheFolder, `${predownloadShards}-${cacheLimitBytes}`);
      const changed = options({ predownloadShards, cacheLimitBytes, cacheFolder: cache });
      await withStream(changed, async (stream) => {
        expect((await take(stream, expected.length)).windows).toEqual(expected);
      });
    }
  });

  it("go on from any place as if the stream had been walked there", async () => {
    const walked = await withStream(options(), async (stream) => {
      const found: { after: number; position: Awaited<ReturnType<typeof take>>["position"] }[] = [];
      for (let after = 0; after < expected.length - 40; after += 23) {
        await take(stream, 23, 16, 23).then(({ position }) => found.push({ after: after + 23, position }));
      }
      return found;
    });
    expect(new Set(walked.map(({ position }) => `${position.epoch}:${position.block}`)).size).toBeGreaterThan(5);
    const stream = await openTokenStream(options());
    try {
      for (const { after, position } of walked.toReversed()) {
        stream.seek(position);
        expect((await take(stream, 17)).windows, JSON.stringify(position)).toEqual(expected.slice(after, after + 17));
      }
      for (const wrong of [
        { epoch: 0, block: 99, window: 0 },
        { epoch: -1, block: 0, window: 0 },
      ]) {
        expect(() => stream.seek(wrong)).toThrow(expect.objectContaining({ code: "CHECKPOINT_MISMATCH" }));
      }
      stream.seek({ epoch: 0, block: 0, window: 1e6 });
      await expect(stream.ready()).rejects.toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    } finally {
      await stream.close();
    }
  });
});

async function allTokens(texts: readonly string[]): Promise<number[][]> {
  return [texts.flatMap((text) => [...tokenizer.encode(text).ids, tokenizer.endOfTextId ?? 0])];
}

describe("the cache of a stream", () => {
  it("leaves nothing to ask for in the second epoch, nor for the next run", async () => {
    await withStream(options({ sources: remote }), async (stream) => {
      const half = expected.length / 2;
      await take(stream, half);
      const before = { asked: store.requests.length, ...stream.counters() };
      expect(before.shardsFetched).toBe(shardCount);
      expect((await take(stream, half)).windows).toEqual(expected.slice(half));
      expect({ asked: store.requests.length, ...stream.counters() }).toEqual({
        ...before,
        hits: before.hits + shardCount,
      });
    });
    store.requests.length = 0;
    await withStream(options({ sources: remote }), async (stream) => {
      expect((await take(stream, expected.length)).windows).toEqual(expected);
      expect(store.requests.map(({ url }) => url)).toEqual(["/texts/a/index.json", "/texts/b/index.json"]);
      expect(stream.counters()).toMatchObject({ requests: 2, bytesFetched: 0, shardsFetched: 0 });
    });
  });

  it("stays within its limit and the shards of two blocks, and fetches again what it gave up", async () => {
    const cacheLimitBytes = Math.round(bytesOfShards / 3);
    const largest = Math.ceil(bytesOfShards / shardCount) * 2;
    await withStream(
      options({ sources: remote, cacheLimitBytes, blockShards: 1, predownloadShards: 6 }),
      async (stream) => {
        const seen: number[] = [];
        const total = expected.length;
        for (let taken = 0; taken < total; taken += 20) {
          await take(stream, 20);
          seen.push((await cacheContents(cacheFolder)).bytes);
        }
        expect(Math.max(...seen)).toBeLessThanOrEqual(cacheLimitBytes + 2 * largest);
        expect(Math.max(...seen)).toBeGreaterThan(cacheLimitBytes / 2);
        expect(stream.counters().shardsFetched).toBeGreaterThan(shardCount);
      },
    );
  });

  it("keeps what is needed soonest, so that half a cache saves a part of the second epoch", async () => {
    const half = { cacheLimitBytes: Math.round(bytesOfShards / 2), blockShards: 1, predownloadShards: 1 };
    await withStream(options({ sources: remote, ...half }), async (stream) => {
      await take(stream, expected.length);
      const { shardsFetched, hits } = stream.counters();
      expect(shardsFetched).toBeGreaterThan(shardCount + 2);
      expect(hits).toBeGreaterThanOrEqual(Math.floor(shardCount / 3) - 1);
    });
  });

  it("is shared by two streams at once, whose order differs", async () => {
    const cacheLimitBytes = Math.round(bytesOfShards / 2);
    const [one, two] = await Promise.all(
      [17, 18].map((seed) =>
        withStream(options({ sources: remote, cacheLimitBytes, seed }), (stream) => take(stream, expected.length)),
      ),
    );
    expect(one?.windows).toEqual(expected);
    const shards = await tokensOfShards(
      sources.map(({ location }) => location),
      tokenizer,
    );
    expect(two?.windows).toEqual(windowsOf(shards, { ...order, seed: 18 }, 2));
  });
});

describe("a stream's fingerprint", () => {
  it("tells what is trained on and not where it lies", async () => {
    const fingerprintOf = (changes: Partial<StreamOptions>) =>
      withStream(options(changes), async (stream) => stream.fingerprint);
    const own = await fingerprintOf({});
    expect(await fingerprintOf({ sources: remote, predownloadShards: 1, cacheLimitBytes: 0 })).toBe(own);
    const others = [
      { seqLen: 8 },
      { blockShards: 4 },
      { sources: sources.slice(0, 1) },
      { sources: sources.toReversed() },
    ];
    const found = await Promise.all(others.map(fingerprintOf));
    expect(new Set([own, ...found]).size).toBe(5);
  });
});

describe("a stream that is read whole", () => {
  it("gives the documents of its shards in their order, without empty ones", async () => {
    store.faults.push(
      { kind: "none" },
      { kind: "none" },
      { kind: "wrong", atByte: 100 },
      { kind: "drop" },
      { kind: "cut", afterBytes: 50 },
    );
    for (const from of [sources, remote]) {
      const found: { id: string; text: string }[] = [];
      for await (const { id, text } of readWholeStream({ sources: from, policy: options().policy })) {
        found.push({ id, text });
      }
      const named = documents.map((text, number) => ({ id: `document ${number}`, text }));
      expect(found).toEqual([...named.filter(({ text }) => text.trim() !== ""), { id: "document 0", text: "insulin" }]);
    }
    expect(store.faults).toHaveLength(0);
  });
});
