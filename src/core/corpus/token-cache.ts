// The token caches of a recipe: its text tokenized and split into training and held-out part, in one pass, kept under a
// fingerprint of what they were made from. A moved corpus finds its cache again, a changed one does not.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readFile, rename, rm } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import type { Recipe } from "#shared/domain/recipe";
import { isAddress } from "#shared/domain/recipe-stream";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { asFileError, syncFolder } from "../runs/durable-file.ts";
import { openSources } from "../streaming/sources.ts";
import { readWholeStream } from "../streaming/whole-stream.ts";
import { inBatches } from "./batches.ts";
import { buildingPath, sweepBuilding } from "./building.ts";
import { type CorpusNotes, type CorpusProgress, type Document, describeNotes, readDocuments } from "./documents.ts";
import { type CorpusFile, describeSource, listCorpusFiles } from "./files.ts";
import { isHeldOut } from "./split.ts";
import { TOKEN_CACHE_FORMAT_VERSION, TokenCacheWriter } from "./token-cache-writer.ts";

export type CacheCounts = { readonly documents: number; readonly tokens: number; readonly textBytes: number };

export type HeldOutCache = {
  readonly evalDirectory: string;
  /** Of text, split and tokenizer together. */
  readonly fingerprint: string;
  readonly eval: CacheCounts;
  readonly wasReused: boolean;
};

export type TokenCaches = HeldOutCache & { readonly trainDirectory: string; readonly train: CacheCounts };

export type TokenCacheProgress = {
  readonly phase: "hashing" | "tokenizing";
  /** Bytes on disk. */
  readonly done: number;
  readonly total: number;
};

type Data = Pick<Recipe["data"], "train" | "eval">;

export type TokenCacheOptions = {
  readonly recipe: Pick<Recipe, "max_seq_len"> & { readonly data: Data };
  readonly tokenizer: NativeTokenizer;
  readonly cacheRoot: string;
  readonly onProgress?: ((progress: TokenCacheProgress) => void) | undefined;
  /** A sentence for the log. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: CancelSignal | undefined;
};

const metaSchema = z.object({
  format_version: z.literal(TOKEN_CACHE_FORMAT_VERSION),
  token_count: z.number().int().min(0),
  document_count: z.number().int().min(0),
  text_bytes: z.number().min(0),
});

/** The counts of a whole cache; null where there is none, or one that the engine refuses. */
async function readCache(directory: string, onNotice: TokenCacheOptions["onNotice"]): Promise<CacheCounts | null> {
  let text: string;
  try {
    text = await readFile(path.join(directory, "meta.json"), "utf8");
  } catch {
    return null;
  }
  try {
    const meta = metaSchema.parse(JSON.parse(text));
    loadAddon().openTokenData(directory).close();
    return { documents: meta.document_count, tokens: meta.token_count, textBytes: meta.text_bytes };
  } catch (error) {
    const reason =
      error instanceof z.ZodError || error instanceof SyntaxError
        ? "its meta.json is not readable"
        : (error as Error).message;
    onNotice?.(`The token cache ${directory} is damaged and is made again: ${reason}`);
    return null;
  }
}

async function hashFile(file: CorpusFile, onBytes: (count: number) => void, signal?: CancelSignal): Promise<string> {
  const hash = createHash("sha256");
  try {
    for await (const chunk of createReadStream(file.path, { highWaterMark: 1 << 20 })) {
      // as: a stream without an encoding yields buffers.
      const bytes = chunk as Buffer;
      hash.update(bytes);
      onBytes(bytes.length);
      if (signal?.aborted === true) {
        throw new AppError("CANCELLED", "Reading the corpus was cancelled.");
      }
    }
  } catch (error) {
    if (error instanceof AppError) {
      throw error;
    }
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${file.path}; check that you may read it.`, { cause: error });
  }
  return hash.digest("hex");
}

/** SHA-256 of the tokenizer.json it would be saved as. */
export async function tokenizerSha256(tokenizer: NativeTokenizer, cacheRoot: string): Promise<string> {
  const folder = buildingPath(cacheRoot);
  try {
    await mkdir(folder);
    const file = path.join(folder, "tokenizer.json");
    await tokenizer.saveTokenizerJson(file);
    return createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  } catch (error) {
    throw asFileError(error, `write the token cache ${cacheRoot}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function fingerprintOf(parts: unknown): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 32);
}

/** What is made: both parts, or, where training streams, the held-out text of a place alone. */
type CacheText = { readonly train: Data["train"] | null; readonly eval: Data["eval"] };
type CacheRequest = Omit<TokenCacheOptions, "recipe"> & { readonly text: CacheText };

type Plan = {
  readonly fingerprint: string;
  /** Null where no training text is cached. */
  readonly trainDirectory: string | null;
  readonly evalDirectory: string;
  readonly tokenizerSha256: string;
};

/** Names within the corpus count (they make ids, and so the split); where it lies does not. */
async function planCaches(options: CacheRequest): Promise<Plan> {
  const { text: data, signal } = options;
  const remote = typeof data.eval === "string" && isAddress(data.eval) ? data.eval : null;
  const trainFiles = data.train === null ? [] : (await listCorpusFiles(data.train)).files;
  const evalFiles = typeof data.eval === "string" && remote === null ? (await listCorpusFiles(data.eval)).files : [];
  const total = [...trainFiles, ...evalFiles].reduce((sum, file) => sum + file.sizeBytes, 0);
  let done = 0;
  const digests = async (files: readonly CorpusFile[]) => {
    const all: (readonly [string, string, string])[] = [];
    for (const file of files) {
      const onBytes = (count: number) => {
        done += count;
        options.onProgress?.({ phase: "hashing", done, total: Math.max(total, done) });
      };
      all.push([file.name, file.format, await hashFile(file, onBytes, signal)]);
    }
    return all;
  };
  const tokenizer = await tokenizerSha256(options.tokenizer, options.cacheRoot);
  const common = { version: TOKEN_CACHE_FORMAT_VERSION, tokenizer };
  const text = await digests(trainFiles);
  const held = typeof data.eval === "string" ? null : data.eval.fraction;
  const train = data.train === null ? null : fingerprintOf({ ...common, text, part: "train", heldOut: held });
  // The index of shards at an address says their hashes.
  const heldText = async () =>
    remote === null ? digests(evalFiles) : (await openSources([{ location: remote }], { signal })).contents;
  const evaluation =
    held === null
      ? fingerprintOf({ ...common, text: await heldText(), part: "all" })
      : fingerprintOf({ ...common, text, part: "held-out", heldOut: held });
  return {
    fingerprint: train === null ? evaluation : fingerprintOf([train, evaluation]),
    trainDirectory: train === null ? null : path.join(options.cacheRoot, train),
    evalDirectory: path.join(options.cacheRoot, evaluation),
    tokenizerSha256: tokenizer,
  };
}

/** Takes `to`'s place whole. A builder that was faster made the same thing, and someone may be reading it: it stays. */
async function publish(from: string, to: string): Promise<void> {
  try {
    await rename(from, to).catch(async () => {
      if ((await readCache(to, undefined)) === null) {
        await rm(to, { recursive: true, force: true });
        await rename(from, to);
      }
    });
    await syncFolder(path.dirname(to));
  } catch (error) {
    throw asFileError(error, `write the token cache ${to}`);
  }
}

/** Tokenizes documents into the caches that `choose` names; by default with all cores. */
export async function tokenizeInto(
  documents: AsyncIterable<Document>,
  tokenizer: NativeTokenizer,
  choose: (document: Document) => TokenCacheWriter | null,
  options: { readonly threads?: number } = {},
): Promise<void> {
  const write = async (batch: readonly Document[], encoding: ReturnType<NativeTokenizer["encodeBatch"]>) => {
    const { ids, offsets, textBytes } = await encoding;
    for (const [index, document] of batch.entries()) {
      const own = ids.subarray(offsets[index] ?? 0, offsets[index + 1] ?? 0);
      await choose(document)?.add(own, textBytes[index] ?? 0, document.id);
    }
  };
  let writing: Promise<void> = Promise.resolve();
  for await (const batch of inBatches(documents)) {
    // The engine encodes one batch while the next is read.
    await writing;
    const texts = batch.map((document) => document.text);
    writing = write(batch, tokenizer.encodeBatch(texts, options));
    writing.catch(() => undefined); // awaited in the next turn; not unhandled until then
  }
  await writing;
}

async function build(options: CacheRequest, plan: Plan, missing: { train: boolean; eval: boolean }): Promise<void> {
  const { text, tokenizer, cacheRoot, signal, onProgress, onNotice } = options;
  const { endOfTextId } = tokenizer;
  if (endOfTextId === null) {
    throw new AppError(
      "TOKENIZER_INVALID",
      "The tokenizer has no token that ends a text (<|endoftext|>, </s> or [SEP]), which stands between documents; choose one that has it.",
    );
  }
  const facts = { vocabSize: tokenizer.vocabSize, endOfTextId, tokenizerSha256: plan.tokenizerSha256 };
  const building = buildingPath(cacheRoot);
  const read = {
    signal,
    onProgress: (progress: CorpusProgress) =>
      onProgress?.({ phase: "tokenizing", done: progress.bytesRead, total: progress.bytesTotal }),
    onNotes: (notes: CorpusNotes) => {
      const sentence = describeNotes(notes);
      if (sentence !== null) {
        onNotice?.(sentence);
      }
    },
  };
  const writers: TokenCacheWriter[] = [];
  const writer = async (part: string) => {
    const made = await TokenCacheWriter.create(path.join(building, part), facts);
    writers.push(made);
    return made;
  };
  try {
    const train = missing.train ? await writer("train") : null;
    const held = missing.eval ? await writer("eval") : null;
    const { eval: evaluation } = text;
    if (typeof evaluation === "string") {
      if (train !== null && text.train !== null) {
        await tokenizeInto(readDocuments(text.train, read), tokenizer, () => train);
      }
      if (held !== null) {
        const documents = isAddress(evaluation)
          ? readWholeStream({ sources: [{ location: evaluation }], signal })
          : readDocuments(evaluation, read);
        await tokenizeInto(documents, tokenizer, () => held);
      }
    } else if (text.train !== null) {
      const choose = (document: Document) => (isHeldOut(document.id, evaluation.fraction) ? held : train);
      await tokenizeInto(readDocuments(text.train, read), tokenizer, choose);
    }
    await train?.finish();
    await held?.finish();
    refuseEmpty(text, train, held);
    if (train !== null && plan.trainDirectory !== null) {
      await publish(train.directory, plan.trainDirectory);
    }
    if (held !== null) {
      await publish(held.directory, plan.evalDirectory);
    }
  } finally {
    for (const each of writers) {
      await each.close().catch(() => undefined);
    }
    await rm(building, { recursive: true, force: true });
  }
}

function refuseEmpty(text: CacheText, train: TokenCacheWriter | null, held: TokenCacheWriter | null): void {
  const { eval: evaluation } = text;
  const source = describeSource(text.train ?? "");
  if (held?.documentCount === 0) {
    if (typeof evaluation === "string") {
      throw new AppError("CORPUS_EMPTY", `The held-out text ${evaluation} has no document; name another in data.eval.`);
    }
    const documents = train?.documentCount ?? 0;
    throw new AppError(
      "CORPUS_EMPTY",
      `The held-out text is empty: none of the ${documents} documents of ${source} falls into data.eval.fraction ${evaluation.fraction}; raise the fraction, add documents, or name a held-out file in data.eval.`,
    );
  }
  if (train?.documentCount === 0) {
    throw new AppError(
      "CORPUS_EMPTY",
      `No document of ${source} is left for training: all are held out; lower data.eval.fraction or add documents.`,
    );
  }
}

function refuseShort(recipe: TokenCacheOptions["recipe"], train: CacheCounts): void {
  const needed = recipe.max_seq_len + 1;
  if (train.tokens < needed) {
    throw new AppError(
      "TEXT_SHORTER_THAN_CONTEXT",
      `The training text has ${train.tokens} tokens in ${train.documents} documents, and one window of max_seq_len ${recipe.max_seq_len} needs ${needed}; add text or lower max_seq_len.`,
      { details: { tokens: train.tokens, needed } },
    );
  }
}

async function makeCaches(options: CacheRequest): Promise<{
  readonly plan: Plan;
  /** Null where no training text is cached. */
  readonly train: CacheCounts | null;
  readonly eval: CacheCounts;
  readonly wasReused: boolean;
}> {
  const { cacheRoot, onNotice } = options;
  try {
    await mkdir(cacheRoot, { recursive: true });
  } catch (error) {
    throw asFileError(error, `make the folder ${cacheRoot}`);
  }
  await sweepBuilding(cacheRoot);
  const plan = await planCaches(options);
  const { trainDirectory, evalDirectory } = plan;
  const readTrain = async () => (trainDirectory === null ? null : readCache(trainDirectory, onNotice));
  const before = { train: await readTrain(), eval: await readCache(evalDirectory, onNotice) };
  const missing = { train: trainDirectory !== null && before.train === null, eval: before.eval === null };
  const wasReused = !missing.train && !missing.eval;
  if (!wasReused) {
    await build(options, plan, missing);
  }
  const train = before.train ?? (await readTrain());
  const held = before.eval ?? (await readCache(evalDirectory, onNotice));
  if ((train === null && trainDirectory !== null) || held === null) {
    throw new AppError(
      "TOKEN_CACHE_DAMAGED",
      `The token cache in ${cacheRoot} cannot be read right after it was written; check the disk.`,
    );
  }
  return { plan, train, eval: held, wasReused };
}

export async function buildTokenCache(options: TokenCacheOptions): Promise<TokenCaches> {
  const { recipe, ...rest } = options;
  const { plan, train, eval: held, wasReused } = await makeCaches({ ...rest, text: recipe.data });
  const { trainDirectory, evalDirectory, fingerprint } = plan;
  if (train === null || trainDirectory === null) {
    throw new Error("A token cache of training text was asked for and not made.");
  }
  refuseShort(recipe, train);
  return { trainDirectory, evalDirectory, fingerprint, train, eval: held, wasReused };
}

/** The held-out text of a run whose training text streams. */
export async function buildHeldOutCache(
  options: Omit<TokenCacheOptions, "recipe"> & { readonly source: string },
): Promise<HeldOutCache> {
  const { source, ...rest } = options;
  const { plan, eval: held, wasReused } = await makeCaches({ ...rest, text: { train: null, eval: source } });
  return { evalDirectory: plan.evalDirectory, fingerprint: plan.fingerprint, eval: held, wasReused };
}
