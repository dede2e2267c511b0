// Where a tokenizer lies on disk and in which format, found out by names alone, before anything is opened.
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { AppError, assertNever } from "#shared/errors";
import { nearestWord } from "../recipe/nearest-key.ts";

export type TokenizerPlace =
  | { readonly kind: "gpt2" }
  | { readonly kind: "tokenizer.json"; readonly file: string }
  | { readonly kind: "vocab+merges"; readonly vocab: string; readonly merges: string }
  | { readonly kind: "vocab.txt"; readonly file: string }
  | { readonly kind: "fastbpe"; readonly codes: string; readonly dictionary: string }
  | { readonly kind: "sentencepiece"; readonly file: string }
  | { readonly kind: "gguf"; readonly file: string };

export type PlaceOptions = { readonly workspace?: string | undefined; readonly currentDirectory?: string };

/** The file that changes when the tokenizer does; null for one that is built in. */
export function fileOfPlace(place: TokenizerPlace): string | null {
  switch (place.kind) {
    case "gpt2":
      return null;
    case "vocab+merges":
      return place.vocab;
    case "fastbpe":
      return place.codes;
    case "tokenizer.json":
    case "vocab.txt":
    case "sentencepiece":
    case "gguf":
      return place.file;
    default:
      return assertNever(place);
  }
}

async function kindOf(place: string): Promise<"file" | "folder" | null> {
  const found = await stat(place).catch(() => null);
  return found === null ? null : found.isDirectory() ? "folder" : "file";
}

/** SentencePiece's files by the names that published models give them. */
const sentencePieceNames = ["tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"];

async function placeInFolder(folder: string): Promise<TokenizerPlace> {
  const names = await readdir(folder);
  const at = (name: string): string => path.join(folder, name);
  if (names.includes("tokenizer.json")) {
    return { kind: "tokenizer.json", file: at("tokenizer.json") };
  }
  if (names.includes("vocab.json") && names.includes("merges.txt")) {
    return { kind: "vocab+merges", vocab: at("vocab.json"), merges: at("merges.txt") };
  }
  if (names.includes("bpecodes") && names.includes("dict.txt")) {
    return { kind: "fastbpe", codes: at("bpecodes"), dictionary: at("dict.txt") };
  }
  if (names.includes("vocab.txt")) {
    return { kind: "vocab.txt", file: at("vocab.txt") };
  }
  const models = names.filter((name) => name.endsWith(".model"));
  const model =
    sentencePieceNames.find((name) => models.includes(name)) ?? (models.length === 1 ? models[0] : undefined);
  if (model !== undefined) {
    return { kind: "sentencepiece", file: at(model) };
  }
  if (names.includes("tokenizer")) {
    return placeInFolder(at("tokenizer")); // a run directory
  }
  throw new AppError(
    "TOKENIZER_NOT_FOUND",
    `${folder} holds no tokenizer: no tokenizer.json, no vocab.json with merges.txt, no vocab.txt, no bpecodes with dict.txt, no .model; name a folder that does.`,
  );
}

function placeOfFile(file: string): TokenizerPlace {
  const name = path.basename(file);
  const beside = (other: string): string => path.join(path.dirname(file), other);
  if (name === "vocab.json" || name === "merges.txt") {
    return { kind: "vocab+merges", vocab: beside("vocab.json"), merges: beside("merges.txt") };
  }
  if (name === "bpecodes" || name === "dict.txt") {
    return { kind: "fastbpe", codes: beside("bpecodes"), dictionary: beside("dict.txt") };
  }
  if (name.endsWith(".txt")) {
    return { kind: "vocab.txt", file };
  }
  if (name.endsWith(".model")) {
    return { kind: "sentencepiece", file };
  }
  return name.endsWith(".gguf") ? { kind: "gguf", file } : { kind: "tokenizer.json", file };
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
