// A stream of windows from folders of MDS shards, wherever they lie: the next batches are fetched, verified and tokenized
// ahead of training, and what came once is kept on this disk. Its order is docs/formats/data-order.md, "Streams".
import path from "node:path";
import { type StreamPosition, streamStart } from "#shared/domain/stream-order";
import { AppError } from "#shared/errors";
import { sweepBuilding } from "../corpus/building.ts";
import { tokenizerSha256 } from "../corpus/token-cache.ts";
import { makeFolder } from "../runs/durable-file.ts";
import type { Policy } from "../storage/transfer.ts";
import { loadTokenizer } from "../tokenizer/load.ts";
import { OpenTokenStream, streamDigest } from "./open-stream.ts";
import { ShardCache } from "./shard-cache.ts";
import { openSources, type StreamShard } from "./sources.ts";

export { type StreamPosition, streamStart };

/** Since the stream was opened. */
export type StreamCounters = {
  /** Of servers, the repeated ones too. */
  readonly requests: number;
  readonly bytesFetched: number;
  /** Requests made again, whatever was wrong with the first. */
  readonly retries: number;
  readonly shardsFetched: number;
  /** On disk, of this stream's folder. */
  readonly cacheBytes: number;
  /** Shards that a block wanted and the disk had. */
  readonly hits: number;
};

export type StreamOptions = {
  /** Folders of shards, by path or address, one after the other. */
  readonly sources: readonly { readonly location: string }[];
  /** A worker thread loads its own tokenizer from it. */
  readonly tokenizerFolder: string;
  /** Of one token where the encoding of the column tokens is `bytes`. */
  readonly tokenBytes: 2 | 4 | 8;
  readonly seqLen: number;
  readonly seed: number;
  readonly blockShards: number;
  readonly cacheFolder: string;
  readonly cacheLimitBytes: number;
  /** How many shards are fetched ahead of the current block. */
  readonly predownloadShards: number;
  readonly signal: AbortSignal;
  readonly onNotice: (sentence: string) => void;
  readonly policy?: Policy;
};

/** A window of the order, and where its tokens lie on this disk. */
export type LocatedWindow = {
  readonly shard: StreamShard;
  /** The token cache of a shard of text, or the raw file of a shard of tokens. */
  readonly place: string;
  /** Of the shard's tokens. */
  readonly firstToken: number;
  /** The place after this window. */
  readonly after: StreamPosition;
};

export interface TokenStream {
  /** Of what the shards hold, the tokenizer, the context and the blocks; not of where the shards lie. */
  readonly fingerprint: string;
  readonly shardCount: number;
  /** Raw, by the index. */
  readonly totalBytes: number;
  /** What is downloaded once. */
  readonly storedBytes: number;
  readonly isPreTokenized: boolean;
  /** Starts fetching ahead. */
  seek(position: StreamPosition): void;
  /** When the block of the position can be read: the first wait is no stall. */
  ready(): Promise<void>;
  /** The next `count` windows as (count, T + 1) into `out`, waiting for shards if need be. */
  next(
    count: number,
    out: Int32Array,
  ): Promise<{
    /** After these windows. */
    readonly position: StreamPosition;
    readonly epoch: number;
    readonly stallSeconds: number;
  }>;
  /** The window after the next `count`, which are passed over. Reads no shard whose windows were counted before. */
  locate(count: number): Promise<LocatedWindow>;
  counters(): StreamCounters;
  close(): Promise<void>;
}

/** Reads the indexes only. */
export async function openTokenStream(options: StreamOptions): Promise<TokenStream> {
  const { signal, policy, cacheFolder, tokenizerFolder } = options;
  let indexRequests = 0;
  const sources = await openSources(options.sources, { signal, policy, onRequest: () => (indexRequests += 1) });
  const tokenizer = await loadTokenizer(tokenizerFolder);
  if (tokenizer.endOfTextId === null && !sources.isPreTokenized) {
    throw new AppError(
      "TOKENIZER_INVALID",
      "The tokenizer has no token that ends a text (<|endoftext|>, </s> or [SEP]), which stands between documents; choose one that has it.",
    );
  }
  await makeFolder(cacheFolder);
  await sweepBuilding(cacheFolder);
  const sha256 = await tokenizerSha256(tokenizer, cacheFolder);
  // Tokens that were made by others are the same for every tokenizer.
  const key = streamDigest([sources.isPreTokenized ? null : sha256, sources.shards.map(({ name }) => name)]);
  const folder = path.join(cacheFolder, key);
  const cache = await ShardCache.open(folder, sources.isPreTokenized ? ".mds" : "");
  if (signal.aborted) {
    throw new AppError("CANCELLED", "Streaming was cancelled.");
  }
  return new OpenTokenStream(options, sources, { vocabSize: tokenizer.vocabSize, sha256 }, cache, indexRequests);
}
