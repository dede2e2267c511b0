// What the data benchmark reads: folders of shards that our own writer made, in the two forms that pre-tokenized shards
// are met in, and the same ids as one flat file for the peer. Ids are random: nothing that is timed depends on them.
import { mkdir, open } from "node:fs/promises";
import path from "node:path";
import type { MdsValue } from "../corpus/mds/encodings.ts";
import { type MdsShardEntry, readMdsIndex } from "../corpus/mds/index-file.ts";
import { tokenShardOf } from "../corpus/mds/token-shard.ts";
import { DEFAULT_SHARD_BYTES, MdsWriter } from "../corpus/mds/writer.ts";
import type { NativeTokenShard } from "../engine/addon.ts";

export const BENCH_VOCAB_SIZE = 50_257;
/** Of a sample, as llm-foundry's converter concatenates text. */
const SAMPLE_TOKENS = 2048;
const SHARDS_OF_A_KIND = 2;

export type TokenKind = {
  readonly name: string;
  readonly encoding: string;
  readonly tokenBytes: 2 | 8;
  /** NumPy's name for the flat file's ids. */
  readonly dtype: "uint16" | "int64";
};

export const tokenKinds: readonly TokenKind[] = [
  { name: "uint16 arrays", encoding: "ndarray:uint16", tokenBytes: 2, dtype: "uint16" },
  { name: "int64 bytes", encoding: "bytes", tokenBytes: 8, dtype: "int64" },
];

export type TokenFiles = {
  readonly entries: readonly MdsShardEntry[];
  readonly shards: readonly NativeTokenShard[];
  /** The ids of all shards, one after the other. */
  readonly flatFile: string;
};

/** Marsaglia's xorshift32: fast, and the same everywhere. */
function fillWithIds(ids: Uint16Array, seed: number): void {
  let state = seed >>> 0 || 1;
  for (let index = 0; index < ids.length; index += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    ids[index] = (state >>> 0) % BENCH_VOCAB_SIZE;
  }
}

function storedIds(ids: Uint16Array, { tokenBytes }: TokenKind): Uint8Array {
  if (tokenBytes === 2) {
    return new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);
  }
  // The low halves of little-endian int64.
  const words = new Uint32Array(2 * ids.length);
  for (let index = 0; index < ids.length; index += 1) {
    words[2 * index] = ids[index] ?? 0;
  }
  return new Uint8Array(words.buffer);
}

/** Shards of 64 MB, as many of either kind. */
export async function writeTokenFiles(folder: string, kind: TokenKind): Promise<TokenFiles> {
  await mkdir(folder, { recursive: true });
  const flatFile = path.join(folder, "tokens.flat");
  const flat = await open(flatFile, "w");
  const directory = path.join(folder, "shards");
  const writer = await MdsWriter.create({
    directory,
    columns: { tokens: kind.encoding },
    compression: null,
    hashes: [],
    sizeLimitBytes: DEFAULT_SHARD_BYTES,
  });
  try {
    const ids = new Uint16Array(SAMPLE_TOKENS);
    for (let sample = 0; writer.shards.length < SHARDS_OF_A_KIND; sample += 1) {
      fillWithIds(ids, sample + 1);
      const bytes = storedIds(ids, kind).slice();
      const value: MdsValue = kind.encoding === "bytes" ? bytes : { dtype: "uint16", shape: [ids.length], bytes };
      await writer.add({ tokens: value });
      await flat.write(bytes);
    }
    // The sample that did not fit any more makes a small last shard, which a real folder has too.
    await writer.finish();
  } finally {
    await flat.close();
  }
  const { shards: entries } = await readMdsIndex(directory);
  return { entries, flatFile, shards: describeShards(directory, entries, kind) };
}

export function describeShards(
  folder: string,
  entries: readonly MdsShardEntry[],
  { tokenBytes }: TokenKind,
): readonly NativeTokenShard[] {
  return entries.map((entry) =>
    tokenShardOf(entry, path.join(folder, entry.raw_data.basename), { tokenBytes, vocabSize: BENCH_VOCAB_SIZE }),
  );
}
