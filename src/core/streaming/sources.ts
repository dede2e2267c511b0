// The shards of a stream: what the indexes of its folders say, and under which name each is kept once it was prepared.
import { createHash } from "node:crypto";
import path from "node:path";
import { AppError } from "#shared/errors";
import { checkTextColumn, TOKENS_COLUMN } from "../corpus/mds/documents.ts";
import { type MdsFile, type MdsShardEntry, mdsError } from "../corpus/mds/index-file.ts";
import { readIndexOf, shownAddress } from "../corpus/mds/index-source.ts";
import { presentFile } from "../corpus/mds/shard.ts";
import { isTokenShard } from "../corpus/mds/token-shard.ts";
import { isAddress, type StorageOptions } from "../storage/storage.ts";

export type StreamShard = {
  /** Path or address. */
  readonly folder: string;
  readonly isRemote: boolean;
  readonly entry: MdsShardEntry;
  /** The files that may lie there, the likelier first. */
  readonly candidates: readonly MdsFile[];
  /** Without an extension; two shards of one name hold the same. */
  readonly name: string;
};

export type StreamSources = {
  readonly shards: readonly StreamShard[];
  readonly isPreTokenized: boolean;
  /** Of what the shards hold, wherever they lie. */
  readonly contents: unknown;
  readonly totalBytes: number;
  readonly storedBytes: number;
};

const tokenEncoding = /^(?:bytes|ndarray:(?:uint16|uint32|int32|uint64|int64)(?::[\d,]+)?)$/;

function holdsTokens(entry: MdsShardEntry, where: string): boolean {
  if (!isTokenShard(entry)) {
    checkTextColumn(entry, where);
    return false;
  }
  const encoding = entry.column_encodings[entry.column_names.indexOf(TOKENS_COLUMN)] ?? "";
  if (!tokenEncoding.test(encoding)) {
    throw mdsError(
      where,
      `its column tokens has the encoding ${JSON.stringify(encoding)}; bytes and ndarray of uint16, uint32, int32, uint64 or int64 are read`,
    );
  }
  return true;
}

function hashText(value: unknown): string {
  return createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 32);
}

/** What a shard holds, by its index. */
function contentOf(entry: MdsShardEntry): unknown {
  const { basename, bytes, hashes } = entry.raw_data;
  const named = Object.entries(hashes).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [basename, bytes, named, entry.samples, entry.column_names, entry.column_encodings];
}

function shardName(folder: string, entry: MdsShardEntry): string {
  // Without hashes two shards of one size may hold different things: then it matters where they lie.
  const place = Object.keys(entry.raw_data.hashes).length === 0 ? [folder, entry.zip_data] : [];
  return `shard-${hashText([contentOf(entry), ...place])}`;
}

async function openFolder(location: string, options: StorageOptions): Promise<readonly StreamShard[]> {
  const isRemote = isAddress(location);
  const folder = isRemote ? location : path.resolve(location);
  const { shards } = await readIndexOf(folder, options);
  const found: StreamShard[] = [];
  for (const entry of shards) {
    const { raw_data: raw, zip_data: zip } = entry;
    const stored = zip !== null && entry.compression !== null ? [zip, raw] : [raw];
    const candidates = isRemote ? stored : [await presentFile(folder, entry)];
    found.push({ folder, isRemote, entry, candidates, name: shardName(folder, entry) });
  }
  return found;
}

export async function openSources(
  sources: readonly { readonly location: string }[],
  options: StorageOptions,
): Promise<StreamSources> {
  const shards: StreamShard[] = [];
  for (const { location } of sources) {
    for (const shard of await openFolder(location, options)) {
      shards.push(shard);
    }
  }
  const named = sources.map(({ location }) => shownAddress(location)).join(" and ");
  const [first] = shards;
  if (first === undefined) {
    throw new AppError("CORPUS_EMPTY", `The index of ${named} names no shards; name a folder that holds some.`);
  }
  const kinds = shards.map(({ entry, folder }) =>
    holdsTokens(entry, `${shownAddress(folder)}/${entry.raw_data.basename}`),
  );
  const isPreTokenized = kinds[0] === true;
  if (kinds.some((kind) => kind !== isPreTokenized)) {
    throw new AppError(
      "MDS_INVALID",
      `${named} holds shards of text and shards of tokens; train on one kind, as a stream of its own.`,
    );
  }
  return {
    shards,
    isPreTokenized,
    contents: shards.map(({ entry }) => contentOf(entry)),
    totalBytes: shards.reduce((sum, { entry }) => sum + entry.raw_data.bytes, 0),
    storedBytes: shards.reduce((sum, { candidates }) => sum + (candidates[0]?.bytes ?? 0), 0),
  };
}
