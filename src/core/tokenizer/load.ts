// Opens a tokenizer by what a person calls it: a folder, a file, the name of one in the workspace, or gpt2.
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { z } from "zod";
import { AppError, assertNever } from "#shared/errors";
import type { tokenizerInfoSchema } from "#shared/ipc/tokenizers.contract";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { readGgufHeader } from "../models/gguf/reader.ts";
import { tokenizerJsonOfGgufVocabulary } from "../models/gguf/vocabulary.ts";
import { loadGpt2Tokenizer } from "./gpt2.ts";
import { fileOfPlace, findTokenizer, type PlaceOptions, type TokenizerPlace } from "./place.ts";
import { readTokenizerSettings } from "./settings.ts";

export { fileOfPlace, findTokenizer, type TokenizerPlace } from "./place.ts";

export type TokenizerInfo = z.infer<typeof tokenizerInfoSchema>;

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
    case "tokenizer.json": {
      const { roles } = await readTokenizerSettings(path.dirname(place.file));
      return opened(place.file, () => addon.loadTokenizer(place.file, { roles }));
    }
    case "vocab+merges":
      return opened(path.dirname(place.vocab), () => addon.loadVocabAndMerges(place.vocab, place.merges));
    case "vocab.txt": {
      const settings = await readTokenizerSettings(path.dirname(place.file));
      return opened(place.file, () => addon.loadVocabTxt(place.file, settings));
    }
    case "fastbpe": {
      const settings = await readTokenizerSettings(path.dirname(place.codes));
      return opened(path.dirname(place.codes), () => addon.loadFastBpe(place.codes, place.dictionary, settings));
    }
    case "sentencepiece":
      return opened(place.file, () => addon.loadSentencePiece(place.file));
    case "gguf": {
      const json = JSON.stringify(tokenizerJsonOfGgufVocabulary(readGgufHeader(place.file)));
      return opened(place.file, () => addon.tokenizerFromJson(json, place.file));
    }
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

type Described = { readonly vocabSize: number; readonly kind: string };

type TokenizerJson = {
  readonly model?: { readonly vocab?: unknown; readonly type?: unknown; readonly merges?: unknown };
  readonly added_tokens?: unknown;
  readonly pre_tokenizer?: unknown;
};

function kindOfJson(json: TokenizerJson): string {
  const type = json.model?.type ?? (json.model?.merges === undefined ? "WordPiece" : "BPE");
  const isByteLevel = JSON.stringify(json.pre_tokenizer ?? null).includes('"ByteLevel"');
  const kinds: Readonly<Record<string, string>> = {
    BPE: isByteLevel ? "byte-bpe" : "character-bpe",
    WordPiece: "wordpiece",
    Unigram: "unigram",
    WordLevel: "word-level",
  };
  return typeof type === "string" ? (kinds[type] ?? type) : "unknown";
}

/** Kind and number of tokens; those in JSON are read without opening them in the engine. */
async function describePlace(place: TokenizerPlace): Promise<Described> {
  if (place.kind === "gpt2") {
    return { kind: "byte-bpe", vocabSize: GPT2_VOCAB_SIZE };
  }
  if (place.kind !== "tokenizer.json" && place.kind !== "vocab+merges") {
    const { kind, vocabSize } = await openTokenizer(place);
    return { kind, vocabSize };
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
  const whole = json as TokenizerJson;
  const vocab = place.kind === "tokenizer.json" ? whole.model?.vocab : json;
  if (typeof vocab !== "object" || vocab === null) {
    throw new AppError("TOKENIZER_INVALID", `${file} holds no vocabulary; name a tokenizer that does.`);
  }
  const ids = new Set<unknown>(Array.isArray(vocab) ? vocab.keys() : Object.values(vocab));
  for (const token of Array.isArray(whole.added_tokens) ? whole.added_tokens : []) {
    ids.add((token as { id?: unknown }).id);
  }
  return { kind: place.kind === "vocab+merges" ? "byte-bpe" : kindOfJson(whole), vocabSize: ids.size };
}

const described = new Map<string, { readonly stamp: string; readonly found: Described }>();

/** What a list shows of a tokenizer. Cheap: a file is read again only when it has changed. */
export async function describeTokenizer(source: string, options: PlaceOptions = {}): Promise<TokenizerInfo> {
  const place = await findTokenizer(source, options);
  const file = fileOfPlace(place);
  const found = file === null ? null : await stat(file);
  const stamp = found === null ? "built-in" : `${found.mtimeMs}:${found.size}`;
  const key = file ?? "gpt2";
  const known = described.get(key);
  const { kind, vocabSize } = known?.stamp === stamp ? known.found : await describePlace(place);
  described.set(key, { stamp, found: { kind, vocabSize } });
  const isRun = file !== null && path.basename(path.dirname(file)) === "tokenizer";
  const named = file === null ? "gpt2" : path.basename(isRun ? path.dirname(path.dirname(file)) : path.dirname(file));
  return {
    source,
    name: named,
    kind,
    vocabSize,
    origin: file === null ? "built-in" : isRun ? "run" : "workspace",
  };
}
