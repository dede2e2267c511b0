// The libraries and programs that tokenizers are measured beside, each found or left out with a sentence.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { BenchProgress } from "./rows.ts";

export type HuggingFace = typeof import("@anush008/tokenizers");
export type HuggingFaceTokenizer = InstanceType<HuggingFace["Tokenizer"]>;
export type Tiktoken = typeof import("tiktoken");

export type TokenizerPeers = {
  readonly huggingFace: HuggingFace | null;
  readonly tiktoken: Tiktoken | null;
  readonly hasSentencePiece: boolean;
};

/** What Hugging Face's trainers make when nothing is said; the npm package cannot tell them otherwise. */
export const HUGGING_FACE_VOCAB_SIZE = 30_000;
const PROGRAM_OUTPUT_BYTES = 1 << 26;

/** From the manifest above the package's entry: not every package exports its package.json. */
function versionOf(packageName: string): string {
  const entry = createRequire(import.meta.url).resolve(packageName);
  const inModules = path.join("node_modules", packageName);
  const folder = entry.slice(0, entry.lastIndexOf(inModules) + inModules.length);
  const manifest = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { readonly version: string }; // as: npm's manifests have one
  return manifest.version;
}

export const huggingFaceName = (): string =>
  `Hugging Face tokenizers (npm @anush008/tokenizers ${versionOf("@anush008/tokenizers")})`;
export const tiktokenName = (): string => `tiktoken WASM (npm tiktoken ${versionOf("tiktoken")})`;

export function sentencePieceName(): string {
  const { stdout, stderr } = spawnSync("spm_train", ["--version"], { encoding: "utf8" });
  return `spm_train (${`${stdout}${stderr}`.trim()})`;
}

/** A package, or null and a sentence where it is not installed. */
async function loadPeer<T>(name: string, load: () => Promise<T>, onProgress: BenchProgress): Promise<T | null> {
  try {
    return await load();
  } catch {
    onProgress(`${name} is not installed, so its rows are left out; run npm ci to have it`);
    return null;
  }
}

export async function loadTokenizerPeers(threads: number, onProgress: BenchProgress): Promise<TokenizerPeers> {
  // Hugging Face's library reads this once, when it starts its first thread.
  process.env["RAYON_NUM_THREADS"] = String(threads);
  const hasSentencePiece = spawnSync("spm_train", ["--version"]).error === undefined;
  if (!hasSentencePiece) {
    onProgress("spm_train is not on the PATH, so its rows are left out; it is in Debian's package sentencepiece");
  }
  return {
    huggingFace: await loadPeer("@anush008/tokenizers", () => import("@anush008/tokenizers"), onProgress),
    tiktoken: await loadPeer("tiktoken", () => import("tiktoken"), onProgress),
    hasSentencePiece,
  };
}

/** With the settings that make it fastest without leaving text out: no normalization, long lines allowed. */
export async function trainSentencePiece(options: {
  readonly input: string;
  readonly prefix: string;
  readonly type: "bpe" | "unigram";
  readonly vocabSize: number;
  readonly threads: number;
}): Promise<readonly string[]> {
  const { input, prefix, type, vocabSize, threads } = options;
  const result = spawnSync(
    "spm_train",
    [
      `--input=${input}`,
      `--model_prefix=${prefix}`,
      `--model_type=${type}`,
      `--vocab_size=${vocabSize}`,
      `--num_threads=${threads}`,
      "--normalization_rule_name=identity",
      "--max_sentence_length=1000000",
      "--hard_vocab_limit=false",
      "--minloglevel=1",
    ],
    { encoding: "utf8", maxBuffer: PROGRAM_OUTPUT_BYTES },
  );
  if (result.status !== 0) {
    const why = result.stderr.trim().split("\n").at(-1) ?? "";
    throw new AppError("NOT_SUPPORTED", `spm_train failed on ${input}: ${why}; train on another text with --data.`);
  }
  const lines = (await readFile(`${prefix}.vocab`, "utf8")).trimEnd().split("\n");
  return lines.map((line) => line.slice(0, line.lastIndexOf("\t")));
}
