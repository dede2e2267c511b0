// What the thread of a stream does with a shard: text becomes a token cache of its own, tokens a file of the cache, and
// what lies on this disk ready to be read is verified where it is.
import { open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import type { CancelSignal } from "#shared/ipc/contract";
import { buildingPath } from "../corpus/building.ts";
import { tokenizeInto } from "../corpus/token-cache.ts";
import { TokenCacheWriter } from "../corpus/token-cache-writer.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { asFileError, syncFolder } from "../runs/durable-file.ts";
import type { RawShard } from "./fetch-shard.ts";
import { textsOf } from "./shard-texts.ts";
import type { StreamShard } from "./sources.ts";

export type ShardUse = "tokenize" | "keep" | "verify";

/** Training keeps its cores. */
const TOKENIZER_THREADS = 1;

/** Takes its place whole. Another stream that was faster made the same thing, which somebody may be reading: it stays. */
async function publish(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((await stat(to).catch(() => null)) === null) {
      throw asFileError(error, `write ${to}`);
    }
  }
  await syncFolder(path.dirname(to));
}

export type TokenizeFacts = {
  readonly tokenizer: NativeTokenizer;
  readonly endOfTextId: number;
  readonly tokenizerSha256: string;
};

export async function tokenizeShard(
  shard: StreamShard,
  raw: RawShard,
  target: string,
  facts: TokenizeFacts,
  signal: CancelSignal,
): Promise<void> {
  const { tokenizer, endOfTextId, tokenizerSha256 } = facts;
  const building = buildingPath(path.dirname(target));
  let writer: TokenCacheWriter | null = null;
  try {
    const created = await TokenCacheWriter.create(building, {
      vocabSize: tokenizer.vocabSize,
      endOfTextId,
      tokenizerSha256,
    });
    writer = created;
    await tokenizeInto(textsOf(shard, raw, signal), tokenizer, () => created, { threads: TOKENIZER_THREADS });
    await created.finish();
    await publish(building, target);
  } finally {
    await writer?.close().catch(() => undefined);
    await rm(building, { recursive: true, force: true });
  }
}

export async function keepShard(raw: RawShard, target: string): Promise<void> {
  const building = buildingPath(path.dirname(target));
  try {
    const handle = await open(building, "wx");
    try {
      await handle.writeFile(raw.bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await publish(building, target);
  } catch (error) {
    throw asFileError(error, `write ${target}`);
  } finally {
    await rm(building, { force: true });
  }
}
