// Streams under test: shards of a made-up corpus, a tokenizer for them, and the batches that must come, computed here from
// the shards and the order alone.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { parseCompression } from "#core/corpus/mds/compression";
import { TEXT_COLUMN } from "#core/corpus/mds/documents";
import { readMdsIndex } from "#core/corpus/mds/index-file";
import { openShard } from "#core/corpus/mds/shard";
import { MdsWriter } from "#core/corpus/mds/writer";
import type { NativeTokenizer } from "#core/engine/addon";
import {
  openTokenStream,
  type StreamOptions,
  type StreamPosition,
  type TokenStream,
} from "#core/streaming/token-stream";
import { trainTokenizer } from "#core/tokenizer/train";
import { windowAt, windowCount } from "#shared/domain/data-order";
import { blockCount, blockPermutation, shardPermutation, shardsOfBlock } from "#shared/domain/stream-order";
import { type ObjectStore, storeKey } from "./object-store.ts";

const words =
  "insulin lowers glucose in patients with type two diabetes and naïve β-cells 漢字 trial of metformin".split(" ");

/** Always the same text for the same number. */
export function textOf(number: number): string {
  const length = 5 + ((number * 37) % 60);
  return Array.from({ length }, (_, at) => words[(number * 31 + at * at * 7 + at) % words.length]).join(" ");
}

export async function makeTokenizer(folder: string): Promise<NativeTokenizer> {
  async function* documents() {
    for (let number = 0; number < 40; number += 1) {
      yield { id: `${number}`, text: textOf(number) };
    }
  }
  const { tokenizer } = await trainTokenizer({
    type: "byte-bpe",
    vocabSize: 320,
    minFrequency: 2,
    documents: documents(),
  });
  await tokenizer.saveTokenizerJson(path.join(folder, "tokenizer.json"));
  return tokenizer;
}

export type MadeShards = {
  readonly directory: string;
  readonly documents: readonly string[];
  readonly compression?: string | null;
  readonly hashes?: readonly string[];
  readonly sizeLimitBytes?: number;
  /** With a tokenizer they hold its tokens, in this encoding. */
  readonly tokens?: {
    readonly tokenizer: NativeTokenizer;
    readonly encoding: "bytes" | "ndarray:uint16" | "ndarray:int64";
  };
};

export async function makeShards(made: MadeShards): Promise<void> {
  const { tokens } = made;
  const column: Record<string, string> = tokens === undefined ? { text: "str" } : { tokens: tokens.encoding };
  const writer = await MdsWriter.create({
    directory: made.directory,
    columns: { id: "str", ...column },
    compression: made.compression == null ? null : parseCompression(made.compression, "the test"),
    hashes: made.hashes ?? ["sha1"],
    sizeLimitBytes: made.sizeLimitBytes ?? 4096,
  });
  for (const [number, text] of made.documents.entries()) {
    const id = `document ${number}`;
    if (tokens === undefined) {
      await writer.add({ id, text });
      continue;
    }
    const ids = [...tokens.tokenizer.encode(text).ids, tokens.tokenizer.endOfTextId ?? 0];
    if (tokens.encoding === "ndarray:uint16") {
      const bytes = new Uint8Array(Uint16Array.from(ids).buffer);
      await writer.add({ id, tokens: { dtype: "uint16", shape: [ids.length], bytes } });
    } else {
      const bytes = new Uint8Array(BigInt64Array.from(ids.map(BigInt)).buffer);
      await writer.add({
        id,
        tokens: tokens.encoding === "bytes" ? bytes : { dtype: "int64", shape: [ids.length], bytes },
      });
    }
  }
  await writer.finish();
}

/** Every file of a folder of shards under a prefix of the store. */
export async function upload(store: ObjectStore, directory: string, prefix: string): Promise<void> {
  for (const name of await readdir(directory)) {
    store.put(`${prefix}/${name}`, await readFile(path.join(directory, name)));
  }
}

/** The tokens of each shard of raw text, by the format's own words. */
export async function tokensOfShards(directories: readonly string[], tokenizer: NativeTokenizer): Promise<number[][]> {
  const shards: number[][] = [];
  for (const directory of directories) {
    for (const entry of (await readMdsIndex(directory)).shards) {
      const shard = await openShard(directory, entry);
      const tokens: number[] = [];
      for (let sample = 0; sample < shard.sampleCount; sample += 1) {
        const text = shard.columnBytes(sample, TEXT_COLUMN).toString("utf8");
        if (text.trim() !== "") {
          tokens.push(...tokenizer.encode(text).ids, tokenizer.endOfTextId ?? 0);
        }
      }
      shards.push(tokens);
    }
  }
  return shards;
}

/** The windows of so many epochs, in order. */
export function windowsOf(
  shards: readonly (readonly number[])[],
  { seqLen, seed, blockShards }: { readonly seqLen: number; readonly seed: number; readonly blockShards: number },
  epochs: number,
): number[][] {
  const windows: number[][] = [];
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const order = shardPermutation(shards.length, seed, epoch);
    for (let block = 0; block < blockCount(shards.length, blockShards); block += 1) {
      const numbered = shardsOfBlock(order, blockShards, block).flatMap((shard) => {
        const tokens = shards[shard] ?? [];
        return Array.from({ length: windowCount(tokens.length, seqLen) }, (_, window) =>
          tokens.slice(window * seqLen, (window + 1) * seqLen + 1),
        );
      });
      if (numbered.length === 0) {
        continue;
      }
      const within = blockPermutation(numbered.length, seed, epoch, block);
      windows.push(...numbered.map((_, at) => numbered[windowAt(within, at)] ?? []));
    }
  }
  return windows;
}

export const quickPolicy = { attempts: 5, firstPauseMs: 5, longestPauseMs: 20, silenceMs: 2000 };

export function streamOptions(
  changes: Pick<StreamOptions, "sources" | "tokenizerFolder" | "cacheFolder"> & Partial<StreamOptions>,
): StreamOptions {
  return {
    tokenBytes: 8,
    seqLen: 16,
    seed: 17,
    blockShards: 3,
    cacheLimitBytes: 1e9,
    predownloadShards: 4,
    signal: new AbortController().signal,
    onNotice: () => undefined,
    policy: quickPolicy,
    ...changes,
  };
}

export type Taken = {
  readonly windows: number[][];
  readonly position: StreamPosition;
  readonly epoch: number;
};

/** The environment in which a store of the tests answers. */
export function storeEnvironment(store: ObjectStore): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: store.endpoint,
    AWS_ENDPOINT_URL_S3: "",
    AWS_REGION: "us-east-1",
    AWS_PROFILE: "",
    AWS_ACCESS_KEY_ID: storeKey.id,
    AWS_SECRET_ACCESS_KEY: storeKey.secret,
    AWS_SESSION_TOKEN: "",
    AWS_SHARED_CREDENTIALS_FILE: "/nowhere",
  };
}

/** So many windows in batches of an odd size. */
export async function take(stream: TokenStream, count: number, seqLen = 16, batch = 7): Promise<Taken> {
  const windows: number[][] = [];
  let last = { position: { epoch: 0, block: 0, window: 0 }, epoch: 0 };
  while (windows.length < count) {
    const size = Math.min(batch, count - windows.length);
    const out = new Int32Array(size * (seqLen + 1));
    last = await stream.next(size, out);
    for (let row = 0; row < size; row += 1) {
      windows.push([...out.subarray(row * (seqLen + 1), (row + 1) * (seqLen + 1))]);
    }
  }
  return { windows, position: last.position, epoch: last.epoch };
}

export async function withStream<T>(options: StreamOptions, use: (stream: TokenStream) => Promise<T>): Promise<T> {
  const stream = await openTokenStream(options);
  try {
    stream.seek({ epoch: 0, block: 0, window: 0 });
    return await use(stream);
  } finally {
    await stream.close();
  }
}

/** What a cache folder holds: files of whole shards, what is being made or taken away, and the bytes of all of it. */
export async function cacheContents(folder: string): Promise<{ names: string[]; bytes: number; building: string[] }> {
  const found = { names: [] as string[], bytes: 0, building: [] as string[] };
  for (const each of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
    const inside = path.relative(folder, path.join(each.parentPath, each.name));
    if (inside.includes(".building-")) {
      found.building.push(inside);
    } else if (each.isFile()) {
      found.names.push(inside);
    }
    if (each.isFile()) {
      const gone = { size: 0 };
      found.bytes += (await stat(path.join(folder, inside)).catch(() => gone)).size;
    }
  }
  return found;
}
