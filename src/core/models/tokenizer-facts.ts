// What a tokenizer's files say of it, read as JSON or text without opening it in the engine: kind, size, special tokens.
// Enough to tell whether it belongs to a model.
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";

export type TokenizerFacts = {
  readonly kind: "byte-bpe" | "wordpiece" | "other";
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
  };
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

async function fromTokenizerJson(file: string, settings: Json | null, specialMap: Json | null) {
  const json = await readJson(file);
  const model = asObject(json?.["model"]);
  const vocabulary = numbersOf(model["vocab"]);
  const declaredSpecial: string[] = [];
  for (const token of Array.isArray(json?.["added_tokens"]) ? (json["added_tokens"] as unknown[]) : []) {
    const { content, id, special } = asObject(token) as { content?: unknown; id?: unknown; special?: unknown };
    if (typeof content === "string" && typeof id === "number") {
      vocabulary.set(content, id);
      if (special === true) {
        declaredSpecial.push(content);
      }
    }
  }
  if (vocabulary.size === 0) {
    return null;
  }
  const type = model["type"] ?? ("merges" in model ? "BPE" : undefined);
  const lowerCases = asObject(json?.["normalizer"])["lowercase"];
  return tokenizerFacts({
    kind: type === "BPE" ? "byte-bpe" : type === "WordPiece" ? "wordpiece" : "other",
    source: file,
    vocabulary,
    declaredSpecial,
    settings,
    specialMap,
    lowerCases: typeof lowerCases === "boolean" ? lowerCases : null,
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
      : tokenizerFacts({ kind: "byte-bpe", source: at("vocab.json"), vocabulary, settings, specialMap });
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
