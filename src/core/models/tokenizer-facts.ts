// What a tokenizer's files say of it, read as JSON or text without opening it in the engine: kind, size, special tokens.
// Enough to tell whether it belongs to a model.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { NativeTokenizerKind } from "../engine/addon.ts";

export type TokenizerFactsKind = NativeTokenizerKind | "other";

export type TokenizerFacts = {
  readonly kind: TokenizerFactsKind;
  /** The file it was read from, or `gpt2`. */
  readonly source: string;
  readonly vocabSize: number;
  readonly highestId: number;
  /** Ids of the tokens that have a role or are declared special, by their text. */
  readonly special: Readonly<Record<string, number>>;
  /** The roles tokenizer_config.json or special_tokens_map.json gives: eos_token → text. */
  readonly roles: Readonly<Record<string, string>>;
  /** The longest input it promises to make; null where it promises none. */
  readonly maxLength: number | null;
  /** Whether it turns text into lower case; null where it does not say. */
  readonly lowerCases: boolean | null;
  readonly hasCapitals: boolean;
  /** Tokens that were added behind the model's own vocabulary, by their text. */
  readonly added?: Readonly<Record<string, number>>;
  /** Merges whose parts or result have no token: the file belongs to another vocabulary, or is cut. */
  readonly mergesWithoutToken?: number;
};

type Json = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

async function readJson(file: string): Promise<Json | null> {
  try {
    return asObject(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return null;
  }
}

async function isFile(file: string): Promise<boolean> {
  return (await stat(file).catch(() => null))?.isFile() ?? false;
}

const roleNames = ["bos_token", "eos_token", "unk_token", "pad_token", "cls_token", "sep_token", "mask_token"];
const wellKnown = ["<|endoftext|>", "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/** Transformers' word for no limit is a number near 1e30. */
const NO_LIMIT = 1e9;

function rolesOf(...files: readonly (Json | null)[]): Record<string, string> {
  const roles: Record<string, string> = {};
  for (const file of files) {
    for (const role of roleNames) {
      const value = file?.[role];
      const text = typeof value === "string" ? value : asObject(value)["content"];
      if (typeof text === "string") {
        roles[role] = text;
      }
    }
  }
  return roles;
}

/** The facts that follow from the vocabulary and what stands beside it. */
export function tokenizerFacts(known: {
  readonly kind: TokenizerFacts["kind"];
  readonly source: string;
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly declaredSpecial?: readonly string[];
  readonly settings?: Json | null;
  readonly specialMap?: Json | null;
  readonly lowerCases?: boolean | null;
  readonly added?: Readonly<Record<string, number>>;
  readonly mergesWithoutToken?: number;
}): TokenizerFacts {
  const roles = rolesOf(known.specialMap ?? null, known.settings ?? null);
  const special: Record<string, number> = {};
  for (const text of [...wellKnown, ...(known.declaredSpecial ?? []), ...Object.values(roles)]) {
    const id = known.vocabulary.get(text);
    if (id !== undefined) {
      special[text] = id;
    }
  }
  let highestId = -1;
  let hasCapitals = false;
  for (const [text, id] of known.vocabulary) {
    highestId = Math.max(highestId, id);
    // Of whole words: [CLS] and the letters of the byte alphabet are capitals of no text.
    hasCapitals ||= /^[A-Z][a-z]{2,}$/.test(text);
  }
  const limit = known.settings?.["model_max_length"];
  const said = known.settings?.["do_lower_case"];
  return {
    kind: known.kind,
    source: known.source,
    vocabSize: known.vocabulary.size,
    highestId,
    special,
    roles,
    maxLength: typeof limit === "number" && limit > 0 && limit < NO_LIMIT ? limit : null,
    lowerCases: known.lowerCases ?? (typeof said === "boolean" ? said : null),
    hasCapitals,
    ...(known.added === undefined ? {} : { added: known.added }),
    ...(known.mergesWithoutToken === undefined ? {} : { mergesWithoutToken: known.mergesWithoutToken }),
  };
}

/** tokenizer.json writes a merge as "a b" or as ["a", "b"]; merges.txt has one a line under a heading. */
function countMergesWithoutToken(merges: readonly unknown[], vocabulary: ReadonlyMap<string, number>): number {
  return merges.filter((merge) => {
    const parts = typeof merge === "string" ? merge.split(" ") : Array.isArray(merge) ? merge.map(String) : [];
    const [left, right] = parts;
    if (left === undefined || right === undefined || parts.length !== 2) {
      return true;
    }
    // A BPE that marks what goes on a word joins "a" and "##b" to "ab".
    const isMade = vocabulary.has(left + right) || vocabulary.has(left + right.replace(/^##/, ""));
    return !vocabulary.has(left) || !vocabulary.has(right) || !isMade;
  }).length;
}

async function mergesWithoutTokenOf(file: string, vocabulary: ReadonlyMap<string, number>): Promise<number> {
  const lines = (await readFile(file, "utf8")).split(/\r?\n/).filter((line) => line !== "");
  return countMergesWithoutToken(lines[0]?.startsWith("#version") === true ? lines.slice(1) : lines, vocabulary);
}

function numbersOf(vocabulary: unknown): Map<string, number> {
  const map = new Map<string, number>();
  for (const [text, id] of Object.entries(asObject(vocabulary))) {
    if (typeof id === "number") {
      map.set(text, id);
    }
  }
  return map;
}

/** Unigram's vocabulary: [piece, score] by id. */
function scoredPieces(vocabulary: readonly unknown[]): Map<string, number> {
  return new Map(vocabulary.map((entry, id) => [String(Array.isArray(entry) ? entry[0] : entry), id]));
}

function kindOfJson(json: Json, model: Json): TokenizerFactsKind {
  const type = model["type"] ?? ("merges" in model ? "BPE" : "none");
  if (type === "BPE") {
    return JSON.stringify([json["pre_tokenizer"], json["decoder"]]).includes('"ByteLevel"')
      ? "byte-bpe"
      : "character-bpe";
  }
  const kinds: Readonly<Record<string, TokenizerFactsKind>> = {
    WordPiece: "wordpiece",
    Unigram: "unigram",
    WordLevel: "word-level",
  };
  return typeof type === "string" && Object.hasOwn(kinds, type) ? (kinds[type] ?? "other") : "other";
}

async function fromTokenizerJson(file: string, settings: Json | null, specialMap: Json | null) {
  const json = await readJson(file);
  const model = asObject(json?.["model"]);
  const vocabulary = Array.isArray(model["vocab"]) ? scoredPieces(model["vocab"]) : numbersOf(model["vocab"]);
  const ownTokens = new Map(vocabulary);
  const added: Record<string, number> = {};
  const declaredSpecial: string[] = [];
  for (const token of Array.isArray(json?.["added_tokens"]) ? (json["added_tokens"] as unknown[]) : []) {
    const { content, id, special } = asObject(token) as { content?: unknown; id?: unknown; special?: unknown };
    if (typeof content === "string" && typeof id === "number") {
      vocabulary.set(content, id);
      if (!ownTokens.has(content)) {
        added[content] = id;
      }
      if (special === true) {
        declaredSpecial.push(content);
      }
    }
  }
  if (vocabulary.size === 0) {
    return null;
  }
  const merges = model["merges"];
  const lowerCases = asObject(json?.["normalizer"])["lowercase"];
  return tokenizerFacts({
    kind: kindOfJson(json ?? {}, model),
    source: file,
    vocabulary,
    declaredSpecial,
    settings,
    specialMap,
    lowerCases: typeof lowerCases === "boolean" ? lowerCases : null,
    added,
    ...(Array.isArray(merges) ? { mergesWithoutToken: countMergesWithoutToken(merges, ownTokens) } : {}),
  });
}

/** Reads what lies in a folder, or a single file of one; null where there is no tokenizer that can be read. */
export async function readTokenizerFacts(source: string): Promise<TokenizerFacts | null> {
  const isFolder = (await stat(source).catch(() => null))?.isDirectory() ?? false;
  const folder = isFolder ? source : path.dirname(source);
  const at = (name: string): string => path.join(folder, name);
  const [settings, specialMap] = await Promise.all([
    readJson(at("tokenizer_config.json")),
    readJson(at("special_tokens_map.json")),
  ]);
  const single = isFolder ? null : source;
  if (single?.endsWith(".json") === true && path.basename(single) !== "vocab.json") {
    return fromTokenizerJson(single, settings, specialMap);
  }
  if (single === null && (await isFile(at("tokenizer.json")))) {
    return fromTokenizerJson(at("tokenizer.json"), settings, specialMap);
  }
  if (single?.endsWith(".txt") !== true && (await isFile(at("vocab.json"))) && (await isFile(at("merges.txt")))) {
    const vocabulary = numbersOf(await readJson(at("vocab.json")));
    return vocabulary.size === 0
      ? null
      : tokenizerFacts({
          kind: "byte-bpe",
          source: at("vocab.json"),
          vocabulary,
          settings,
          specialMap,
          mergesWithoutToken: await mergesWithoutTokenOf(at("merges.txt"), vocabulary),
        });
  }
  const vocabText = single ?? at("vocab.txt");
  if (await isFile(vocabText)) {
    const lines = (await readFile(vocabText, "utf8")).split(/\r?\n/);
    if (lines.at(-1) === "") {
      lines.pop();
    }
    const vocabulary = new Map(lines.map((line, index) => [line, index]));
    return tokenizerFacts({ kind: "wordpiece", source: vocabText, vocabulary, settings, specialMap });
  }
  const names = await readdir(folder).catch((): string[] => []);
  return single === null && names.includes("tokenizer") ? readTokenizerFacts(at("tokenizer")) : null;
}
