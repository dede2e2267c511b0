// The text of a run made ready: tokenized into caches, or opened as a stream of shards with only the held-out text cached.
// Which of the two it is the recipe says, and of pre-tokenized shards their index.
import path from "node:path";
import type { Recipe, ResolvedRecipe } from "#shared/domain/recipe";
import { parseBytes } from "#shared/domain/recipe-bytes";
import { isAddress, isStream, streamFindings, trainLocations } from "#shared/domain/recipe-stream";
import type { Phase } from "#shared/domain/run";
import { AppError } from "#shared/errors";
import { TEXT_COLUMN, TOKENS_COLUMN } from "../corpus/mds/documents.ts";
import { findMdsIndex } from "../corpus/mds/index-file.ts";
import { buildHeldOutCache, buildTokenCache, type CacheCounts, type TokenCacheOptions } from "../corpus/token-cache.ts";
import type { NativeAddon, NativeTokenData, NativeTokenizer } from "../engine/addon.ts";
import { openTokenStream, type StreamOptions } from "../streaming/token-stream.ts";
import { StreamSource, TokenDataSource, type TrainingSource } from "./training-source.ts";

export type PreparedText = {
  readonly training: TrainingSource;
  readonly evaluation: { readonly data: NativeTokenData; readonly textBytes: number };
  /** Of the text as it is read; changes with text and tokenizer. */
  readonly fingerprint: string;
};

type TextOptions = {
  readonly recipe: ResolvedRecipe;
  readonly addon: NativeAddon;
  readonly tokenizer: NativeTokenizer;
  readonly endOfTextId: number;
  readonly tokenizerFolder: string;
  readonly workspace: string;
  readonly signal: AbortSignal;
  readonly onPhase: (phase: Phase) => void;
  /** A sentence for the log. */
  readonly onNotice: (sentence: string) => void;
};

/** Where the shards that streams fetched are kept. */
export function streamCacheFolder(workspace: string): string {
  return path.join(workspace, "cache", "streams");
}

/** How the stream of a recipe is opened: the same for all who walk in a run's order. */
export function streamOptions(
  { data, max_seq_len: seqLen }: Pick<Recipe, "data" | "max_seq_len">,
  options: {
    /** The run's own. */
    readonly tokenizerFolder: string;
    readonly workspace: string;
    readonly signal: AbortSignal;
    readonly onNotice: (sentence: string) => void;
  },
): StreamOptions {
  const { streaming } = data;
  return {
    sources: trainLocations(data).map((location) => ({ location })),
    tokenizerFolder: options.tokenizerFolder,
    tokenBytes: streaming.token_bytes,
    seqLen,
    seed: data.shuffle_seed,
    blockShards: streaming.shuffle_block_shards,
    cacheFolder: streamCacheFolder(options.workspace),
    cacheLimitBytes: parseBytes(streaming.cache_limit),
    predownloadShards: streaming.predownload,
    signal: options.signal,
    onNotice: options.onNotice,
  };
}

async function isPreTokenized(location: string): Promise<boolean> {
  const index = isAddress(location) ? null : await findMdsIndex(location);
  return (
    index !== null &&
    index.shards.some(({ column_names: names }) => names.includes(TOKENS_COLUMN) && !names.includes(TEXT_COLUMN))
  );
}

/** Whether the training text streams. */
export async function findsStream({ data }: Pick<Recipe, "data">): Promise<boolean> {
  if (isStream(data) || data.streaming.enabled === false) {
    return isStream(data);
  }
  const found = await Promise.all(trainLocations(data).map(isPreTokenized));
  return found.includes(true);
}

/** Refuses folders of this machine that hold something else; those at addresses tell when they are opened. */
export async function checkShardFolders(data: Recipe["data"]): Promise<void> {
  for (const location of trainLocations(data)) {
    if (!isAddress(location) && (await findMdsIndex(location)) === null) {
      throw new AppError(
        "RECIPE_INVALID",
        `${location} is not a folder of MDS shards, and this text is streamed; make shards of it with \`assay corpus shard\`, or leave data.streaming.enabled out.`,
      );
    }
  }
}

/** Refuses what a stream cannot do, before anything is fetched. Says whether the training text streams. */
export async function checkStream(recipe: Recipe): Promise<boolean> {
  if (!(await findsStream(recipe))) {
    return false;
  }
  const [first] = streamFindings(recipe);
  if (first !== undefined) {
    throw new AppError("RECIPE_INVALID", first.message);
  }
  await checkShardFolders(recipe.data);
  return true;
}

function caching(options: TextOptions): Omit<TokenCacheOptions, "recipe"> {
  const { tokenizer, workspace, signal, onPhase, onNotice } = options;
  return {
    tokenizer,
    cacheRoot: path.join(workspace, "cache"),
    signal,
    onNotice,
    onProgress: ({ phase, done, total }) =>
      onPhase({ name: phase === "hashing" ? "reading corpus" : "tokenizing", done, total, unit: "bytes" }),
  };
}

function counted({ documents, tokens }: CacheCounts): string {
  return `${documents} documents and ${tokens} tokens`;
}

async function prepareData(options: TextOptions): Promise<PreparedText> {
  const { recipe, addon } = options;
  const caches = await buildTokenCache({ ...caching(options), recipe });
  const how = caches.wasReused ? "already tokenized" : "tokenized";
  const { documents, tokens } = caches.eval;
  options.onNotice(`Text (${how}): ${counted(caches.train)} for training, ${documents} and ${tokens} held out.`);
  const facts = { globalBatchSize: recipe.global_train_batch_size, seqLen: recipe.max_seq_len };
  return {
    training: new TokenDataSource(addon.openTokenData(caches.trainDirectory), facts, recipe.data.shuffle_seed),
    evaluation: { data: addon.openTokenData(caches.evalDirectory), textBytes: caches.eval.textBytes },
    fingerprint: caches.fingerprint,
  };
}

async function prepareStream(options: TextOptions): Promise<PreparedText> {
  const { recipe, addon, onNotice } = options;
  const { data, max_seq_len: seqLen, global_train_batch_size: globalBatchSize } = recipe;
  const { eval: evaluation } = data;
  if (typeof evaluation !== "string") {
    throw new Error("A stream with a share of its text held out was let through.");
  }
  const held = await buildHeldOutCache({ ...caching(options), source: evaluation });
  options.onPhase({ name: "reading the index of the shards" });
  const stream = await openTokenStream(streamOptions(recipe, options));
  const what = stream.isPreTokenized ? "pre-tokenized" : "raw text";
  onNotice(
    `Stream of ${stream.shardCount} shards (${what}): ${megabytes(stream.totalBytes)}, ${megabytes(stream.storedBytes)} to fetch; ${counted(held.eval)} held out.`,
  );
  return {
    training: new StreamSource(stream, { globalBatchSize, seqLen }, options.endOfTextId),
    evaluation: { data: addon.openTokenData(held.evalDirectory), textBytes: held.eval.textBytes },
    fingerprint: `${stream.fingerprint}-${held.fingerprint}`,
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toPrecision(3)} MB`;
}

export function prepareText(options: TextOptions & { readonly isStream: boolean }): Promise<PreparedText> {
  return options.isStream ? prepareStream(options) : prepareData(options);
}
