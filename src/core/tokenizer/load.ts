// Opens a tokenizer by what a person calls it: a folder, a file, the name of one in the workspace, or gpt2.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { z } from "zod";
import { AppError, assertNever } from "#shared/errors";
import type { tokenizerInfoSchema } from "#shared/ipc/tokenizers.contract";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { nearestWord } from "../recipe/nearest-key.ts";
import { loadGpt2Tokenizer } from "./gpt2.ts";

export type TokenizerInfo = z.infer<typeof tokenizerInfoSchema>;

/** What is on disk, before it is opened. */
export type TokenizerPlace =
  | { readonly kind: "gpt2" }
  | { readonly kind: "tokenizer.json"; readonly file: string }
  | { readonly kind: "vocab+merges"; readonly vocab: string; readonly merges: string };

type PlaceOptions = { readonly workspace?: string | undefined; readonly currentDirectory?: string };

async function kindOf(place: string): Promise<"file" | "folder" | null> {
  const found = await stat(place).catch(() => null);
  return found === null ? null : found.isDirectory() ? "folder" : "file";
}

async function placeInFolder(folder: string): Promise<TokenizerPlace> {
  const names = await readdir(folder);
  if (names.includes("tokenizer.json")) {
    return { kind: "tokenizer.json", file: path.join(folder, "tokenizer.json") };
  }
  if (names.includes("vocab.json") && names.includes("merges.txt")) {
    return { kind: "vocab+merges", vocab: path.join(folder, "vocab.json"), merges: path.join(folder, "merges.txt") };
  }
  if (names.includes("tokenizer")) {
    return placeInFolder(path.join(folder, "tokenizer")); // a run directory
  }
  if (names.includes("vocab.txt")) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${folder} holds a vocab.txt: BERT's WordPiece is not built yet in this version; use a byte-level BPE.`,
    );
  }
  throw new AppError(
    "TOKENIZER_NOT_FOUND",
    `${folder} holds no tokenizer: neither tokenizer.json nor vocab.json with merges.txt; name a folder that does.`,
  );
}

export async function findTokenizer(source: string, options: PlaceOptions = {}): Promise<TokenizerPlace> {
  if (source === "gpt2") {
    return { kind: "gpt2" };
  }
  const asPath = path.resolve(options.currentDirectory ?? process.cwd(), source);
  const folder = options.workspace === undefined ? null : path.join(options.workspace, "tokenizers");
  const named = folder === null || /[\\/]/.test(source) || source === "" ? null : path.join(folder, source);
  for (const candidate of named === null ? [asPath] : [asPath, named]) {
    const kind = await kindOf(candidate);
    if (kind === "folder") {
      return placeInFolder(candidate);
    }
    if (kind === "file") {
      return placeOfFile(candidate);
    }
  }
  const beside = await readdir(path.dirname(asPath)).catch((): string[] => []);
  const inWorkspace = folder === null ? [] : await readdir(folder).catch((): string[] => []);
  const near = nearestWord(path.basename(source), ["gpt2", ...inWorkspace, ...beside]);
  const advice = near === null ? "name a folder, a tokenizer.json, or gpt2." : `did you mean ${near}?`;
  throw new AppError("TOKENIZER_NOT_FOUND", `There is no tokenizer ${source} (looked for ${asPath}); ${advice}`);
}

function placeOfFile(file: string): TokenizerPlace {
  const name = path.basename(file);
  if (name === "vocab.json" || name === "merges.txt") {
    const folder = path.dirname(file);
    return { kind: "vocab+merges", vocab: path.join(folder, "vocab.json"), merges: path.join(folder, "merges.txt") };
  }
  if (name.endsWith(".txt")) {
    throw new AppError(
      "NOT_SUPPORTED",
      `${file} looks like BERT's vocab.txt: WordPiece is not built yet in this version; use a byte-level BPE.`,
    );
  }
  return { kind: "tokenizer.json", file };
}

/** Adds which tokenizer it was to what the engine says of a file. */
function opened(source: string, open: () => NativeTokenizer): NativeTokenizer {
  try {
    return open();
  } catch (cause) {
    if (cause instanceof AppError) {
      throw cause;
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError("TOKENIZER_INVALID", `Cannot open the tokenizer ${source}: ${reason}`, { cause });
  }
}

export async function openTokenizer(place: TokenizerPlace): Promise<NativeTokenizer> {
  const addon = loadAddon();
  switch (place.kind) {
    case "gpt2":
      return loadGpt2Tokenizer();
    case "tokenizer.json":
      return opened(place.file, () => addon.loadTokenizer(place.file));
    case "vocab+merges":
      return opened(path.dirname(place.vocab), () => addon.loadVocabAndMerges(place.vocab, place.merges));
    default:
      return assertNever(place);
  }
}

/** GPT-2's takes a moment to derive and never changes. */
let gpt2: Promise<NativeTokenizer> | undefined;

/** Opens a tokenizer by folder, file, name in the workspace, or `gpt2`. */
export async function loadTokenizer(source: string, options: PlaceOptions = {}): Promise<NativeTokenizer> {
  const place = await findTokenizer(source, options);
  if (place.kind !== "gpt2") {
    return openTokenizer(place);
  }
  gpt2 ??= openTokenizer(place);
  try {
    return await gpt2;
  } catch (error) {
    gpt2 = undefined;
    throw error;
  }
}

const GPT2_VOCAB_SIZE = 50_257;

/** The number of tokens, read from the file without opening it in the engine. */
async function vocabSizeOf(place: TokenizerPlace): Promise<number> {
  if (place.kind === "gpt2") {
    return GPT2_VOCAB_SIZE;
  }
  const file = place.kind === "tokenizer.json" ? place.file : place.vocab;
  let json: unknown;
  try {
    json = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    throw new AppError("TOKENIZER_INVALID", `Cannot read the tokenizer ${file}: it is not JSON; make it again.`, {
      cause,
    });
  }
  const { model, added_tokens: added } = json as { model?: { vocab?: unknown }; added_tokens?: unknown };
  const vocab = place.kind === "tokenizer.json" ? model?.vocab : json;
  if (typeof vocab !== "object" || vocab === null) {
    throw new AppError("TOKENIZER_INVALID", `${file} holds no vocabulary; name a byte-level BPE tokenizer.`);
  }
  const ids = new Set<unknown>(Object.values(vocab));
  for (const token of Array.isArray(added) ? added : []) {
    ids.add((token as { id?: unknown }).id);
  }
  return ids.size;
}

const described = new Map<string, { readonly stamp: string; readonly vocabSize: number }>();

/** What a list shows of a tokenizer. Cheap: a file is read again only when it has changed. */
export async function describeTokenizer(source: string, options: PlaceOptions = {}): Promise<TokenizerInfo> {
  const place = await findTokenizer(source, options);
  const file = place.kind === "gpt2" ? null : place.kind === "tokenizer.json" ? place.file : place.vocab;
  const found = file === null ? null : await stat(file);
  const stamp = found === null ? "built-in" : `${found.mtimeMs}:${found.size}`;
  const key = file ?? "gpt2";
  const known = described.get(key);
  const vocabSize = known?.stamp === stamp ? known.vocabSize : await vocabSizeOf(place);
  described.set(key, { stamp, vocabSize });
  const isRun = file !== null && path.basename(path.dirname(file)) === "tokenizer";
  const named = file === null ? "gpt2" : path.basename(isRun ? path.dirname(path.dirname(file)) : path.dirname(file));
  return {
    source,
    name: named,
    kind: "byte-bpe",
    vocabSize,
    origin: file === null ? "built-in" : isRun ? "run" : "workspace",
  };
}
