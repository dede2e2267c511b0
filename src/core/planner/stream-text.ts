// What a stream of shards comes to before it is read, from the indexes alone: tokens of a pass, bytes to download for a run,
// and what whoever keeps the shards will ask for them.
import type { Recipe } from "#shared/domain/recipe";
import { parseBytes } from "#shared/domain/recipe-bytes";
import { trainLocations } from "#shared/domain/recipe-stream";
import { AppError } from "#shared/errors";
import { TOKENS_COLUMN } from "../corpus/mds/documents.ts";
import { dtypeBytes, type MdsDtype } from "../corpus/mds/encodings.ts";
import { openSources, type StreamShard } from "../streaming/sources.ts";
import { BYTES_PER_TOKEN } from "./corpus-size.ts";

/** Amazon S3's to the internet, for the first 10 TB of a month from us-east-1: https://aws.amazon.com/s3/pricing/. */
export const LIST_PRICE_PER_GB = 0.09;

export type StreamText = {
  /** Of a pass. */
  readonly tokens: { readonly value: number; readonly how: string };
  /** At addresses, as they are stored there. */
  readonly remoteBytes: number;
  /** What those take in the cache once they are here. */
  readonly remoteCacheBytes: number;
};

export type Egress = {
  readonly bytes: { readonly value: number; readonly how: string };
  readonly cost: { readonly value: number; readonly how: string };
};

/** Of one id in the column tokens. */
function tokenWidth({ entry }: StreamShard, tokenBytes: number): number {
  const encoding = entry.column_encodings[entry.column_names.indexOf(TOKENS_COLUMN)] ?? "";
  const dtype = /^ndarray:([a-z0-9]+)/.exec(encoding)?.[1];
  // as: the sources were opened, which lets no other kind through.
  return dtype === undefined ? tokenBytes : dtypeBytes(dtype as MdsDtype);
}

/** The error where the shards cannot be asked for. */
export async function streamText(data: Recipe["data"], vocabSize: number): Promise<StreamText | AppError> {
  try {
    const { shards, isPreTokenized, totalBytes } = await openSources(
      trainLocations(data).map((location) => ({ location })),
      {},
    );
    const remote = shards.filter(({ isRemote }) => isRemote);
    const tokensOf = (shard: StreamShard): number =>
      shard.entry.raw_data.bytes / (isPreTokenized ? tokenWidth(shard, data.streaming.token_bytes) : BYTES_PER_TOKEN);
    const value = Math.round(shards.reduce((sum, shard) => sum + tokensOf(shard), 0));
    const keptWidth = vocabSize > 65_536 ? 4 : 2;
    const keptOf = (shard: StreamShard): number =>
      isPreTokenized ? shard.entry.raw_data.bytes : tokensOf(shard) * keptWidth;
    const size = `${shards.length} shards of ${(totalBytes / 1e6).toPrecision(3)} MB`;
    return {
      tokens: {
        value,
        how: isPreTokenized
          ? `${size} hold about ${value} tokens by the index.`
          : `${size} at about ${BYTES_PER_TOKEN} bytes a token are ${value} tokens.`,
      },
      remoteBytes: remote.reduce((sum, { candidates }) => sum + (candidates[0]?.bytes ?? 0), 0),
      remoteCacheBytes: Math.round(remote.reduce((sum, shard) => sum + keptOf(shard), 0)),
    };
  } catch (error) {
    if (error instanceof AppError) {
      return error;
    }
    throw error;
  }
}

function gigabytes(bytes: number): string {
  return bytes < 1e8 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toPrecision(3)} GB`;
}

/**
 * What a run over `tokens` tokens downloads. The first pass fetches every shard; of each later one the cache has its
 * share, because what is needed last is what goes.
 */
export function egressOf(
  text: StreamText,
  tokens: number,
  streaming: Recipe["data"]["streaming"],
  pricePerGb: number | null,
): Egress {
  const passes = text.tokens.value === 0 ? 0 : tokens / text.tokens.value;
  const limit = parseBytes(streaming.cache_limit);
  const missing = text.remoteCacheBytes <= limit ? 0 : 1 - limit / text.remoteCacheBytes;
  const fetched = Math.min(passes, 1) + Math.max(0, passes - 1) * missing;
  const value = Math.round(text.remoteBytes * fetched);
  const again =
    passes <= 1
      ? ""
      : missing === 0
        ? `, once: data.streaming.cache_limit ${streaming.cache_limit} keeps them all as tokens`
        : `; data.streaming.cache_limit ${streaming.cache_limit} keeps ${Math.round(100 * (1 - missing))} % of their tokens, so that later passes fetch the others again`;
  const price = pricePerGb ?? LIST_PRICE_PER_GB;
  const assumed =
    pricePerGb === null
      ? " (assumed: Amazon S3's list price to the internet, first 10 TB a month; within its region it is nothing; --egress-price gives another)"
      : "";
  return {
    bytes: {
      value,
      how: `${passes.toPrecision(2)} passes over ${gigabytes(text.remoteBytes)} as they are stored${again}.`,
    },
    cost: { value: (value / 1e9) * price, how: `${gigabytes(value)} × $${price} a GB${assumed}.` },
  };
}
