// Byte-level BPE training and encoding of a text beside Hugging Face's Rust library and tiktoken, in interleaved rounds
// of one process. Before anything is timed, both sides must agree: the same merges, the same ids.
import { readFileSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import path from "node:path";
import { AppError } from "#shared/errors";
import { readDocuments } from "../corpus/documents.ts";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { resourcePath } from "../paths.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import { type BenchProgress, type BenchRow, benchRow } from "./rows.ts";

export type TokenizerBenchOptions = {
  /** A .txt or .jsonl(.gz) file or a folder of them; by default the bundled sample, which is small. */
  readonly data?: string;
  readonly rounds: number;
  /** Of either side, where a side can use more than one. */
  readonly threads: number;
  readonly onProgress: BenchProgress;
};

type HuggingFace = typeof import("@anush008/tokenizers");
type Tiktoken = typeof import("tiktoken");
type Round = { readonly ours: number[]; readonly peer: number[] };

/** What the peer's trainer makes when nothing is said; it cannot be told otherwise from JavaScript. */
const PEER_VOCAB_SIZE = 30_000;
const BYTE_COUNT = 256;
/** Encoding is timed on so much of the text: the slowest peer takes a second or two for it. */
const ENCODED_BYTES = 5_000_000;

/** A peer, or null and a sentence where its package is not installed. */
async function loadPeer<T>(name: string, load: () => Promise<T>, onProgress: BenchProgress): Promise<T | null> {
  try {
    return await load();
  } catch {
    onProgress(`${name} is not installed, so its rows are left out; run npm ci to have it`);
    return null;
  }
}

/** From the manifest above the package's entry: not every package exports its package.json. */
function versionOf(packageName: string): string {
  const entry = createRequire(import.meta.url).resolve(packageName);
  const inModules = path.join("node_modules", packageName);
  const folder = entry.slice(0, entry.lastIndexOf(inModules) + inModules.length);
  const manifest = JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { readonly version: string }; // as: npm's manifests have one
  return manifest.version;
}

function seconds(run: () => void): number {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1000;
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function sameIds(left: ArrayLike<number>, right: ArrayLike<number>): boolean {
  return left.length === right.length && Array.prototype.every.call(left, (id, index) => id === right[index]);
}

function refuseDifference(what: string): never {
  throw new AppError("BUG", `The benchmark stops before timing anything: ${what}.`);
}

/** One document a line, line end included: the only form that the peer's trainer reads. */
async function readLines(source: string): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const document of readDocuments([source])) {
    lines.push(`${document.text.replaceAll(/\s*[\r\n]+\s*/g, " ")}\n`);
  }
  return lines;
}

function totalBytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
}

function takeBytes(texts: readonly string[], limit: number): readonly string[] {
  let bytes = 0;
  const end = texts.findIndex((text) => {
    bytes += Buffer.byteLength(text);
    return bytes > limit;
  });
  return end === -1 ? texts : texts.slice(0, Math.max(end, 1));
}

async function trainOurs(lines: readonly string[], mergeCount: number, threads: number): Promise<NativeTokenizer> {
  const trainer = loadAddon().createTokenizerTrainer({ threads });
  await trainer.add(lines);
  const options = { vocabSize: BYTE_COUNT + mergeCount, minFrequency: 1, firstTokens: [], lastTokens: [], threads };
  return trainer.train(options, () => undefined);
}

function trainPeer(peer: HuggingFace, file: string): InstanceType<HuggingFace["Tokenizer"]> {
  const tokenizer = new peer.Tokenizer(peer.BPE.empty());
  tokenizer.setPreTokenizer(peer.byteLevelPreTokenizer(false, true));
  tokenizer.train([file]);
  return tokenizer;
}

type TokenizerJson = { readonly model: { readonly merges: readonly (string | readonly [string, string])[] } };

async function readMerges(file: string): Promise<readonly string[]> {
  const json = JSON.parse(await readFile(file, "utf8")) as TokenizerJson; // as: both sides have just written it
  return json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
}

async function trainingRow(
  peer: HuggingFace,
  lines: readonly string[],
  folder: string,
  options: TokenizerBenchOptions,
): Promise<BenchRow> {
  const { rounds, threads, onProgress } = options;
  const file = path.join(folder, "text.txt");
  await writeFile(file, lines.join(""));
  const megabytes = totalBytes(lines) / 1e6;

  onProgress("training: comparing the merges");
  const theirs = trainPeer(peer, file);
  theirs.save(path.join(folder, "theirs.json"));
  const theirMerges = await readMerges(path.join(folder, "theirs.json"));
  const ours = await trainOurs(lines, theirMerges.length, threads);
  await ours.saveTokenizerJson(path.join(folder, "ours.json"));
  const ourMerges = await readMerges(path.join(folder, "ours.json"));
  const different = theirMerges.findIndex((merge, rank) => merge !== ourMerges[rank]);
  if (different !== -1 || ourMerges.length !== theirMerges.length) {
    refuseDifference(`merge ${different} is "${ourMerges[different]}" here and "${theirMerges[different]}" there`);
  }

  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    onProgress(`training, round ${round} of ${rounds}`);
    const mine = await secondsOf(() => trainOurs(lines, theirMerges.length, threads));
    const other = seconds(() => trainPeer(peer, file));
    measured.push({ ours: [megabytes / mine], peer: [megabytes / other] });
  }
  const name = `byte-level BPE train, ${PEER_VOCAB_SIZE} tokens, ${megabytes.toFixed(1)} MB, ${threads} threads`;
  return benchRow(
    name,
    `Hugging Face tokenizers (npm @anush008/tokenizers ${versionOf("@anush008/tokenizers")})`,
    "MB/s",
    measured,
  );
}

async function tiktokenRow(
  peer: Tiktoken,
  texts: readonly string[],
  options: TokenizerBenchOptions,
): Promise<BenchRow> {
  const { rounds, onProgress } = options;
  const ours = await loadGpt2Tokenizer();
  const theirs = peer.get_encoding("gpt2");
  try {
    const megabytes = totalBytes(texts) / 1e6;
    onProgress("encoding beside tiktoken: comparing the ids");
    const all = await ours.encodeBatch(texts, { threads: 1 });
    for (const [index, text] of texts.entries()) {
      const own = all.ids.subarray(all.offsets[index], all.offsets[index + 1]);
      if (!sameIds(own, theirs.encode_ordinary(text))) {
        refuseDifference(`the ids of document ${index} differ from tiktoken's`);
      }
    }
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      onProgress(`encoding beside tiktoken, round ${round} of ${rounds}`);
      const mine = await secondsOf(() => ours.encodeBatch(texts, { threads: 1 }));
      const other = seconds(() => texts.forEach((text) => theirs.encode_ordinary(text)));
      measured.push({ ours: [megabytes / mine], peer: [megabytes / other] });
    }
    const name = `byte-level BPE encode, GPT-2, ${megabytes.toFixed(1)} MB, 1 thread, warm`;
    return benchRow(name, `tiktoken WASM (npm tiktoken ${versionOf("tiktoken")})`, "MB/s", measured);
  } finally {
    theirs.free();
  }
}

async function huggingFaceRow(
  peer: HuggingFace,
  texts: readonly string[],
  folder: string,
  options: TokenizerBenchOptions,
): Promise<BenchRow> {
  const { rounds, threads, onProgress } = options;
  const ours = await loadGpt2Tokenizer();
  await ours.saveTokenizerJson(path.join(folder, "gpt2.json"));
  const theirs = peer.Tokenizer.fromFile(path.join(folder, "gpt2.json"));
  const megabytes = totalBytes(texts) / 1e6;
  const encodePeer = () => theirs.encodeBatch([...texts], { addSpecialTokens: false });

  onProgress("encoding beside Hugging Face: comparing the ids");
  const mineAll = await ours.encodeBatch(texts, { threads });
  for (const [index, encoding] of (await encodePeer()).entries()) {
    if (!sameIds(mineAll.ids.subarray(mineAll.offsets[index], mineAll.offsets[index + 1]), encoding.getIds())) {
      refuseDifference(`the ids of document ${index} differ from Hugging Face's`);
    }
  }
  const measured: Round[] = [];
  for (let round = 1; round <= rounds; round += 1) {
    onProgress(`encoding beside Hugging Face, round ${round} of ${rounds}`);
    const mine = await secondsOf(() => ours.encodeBatch(texts, { threads }));
    const other = await secondsOf(encodePeer);
    measured.push({ ours: [megabytes / mine], peer: [megabytes / other] });
  }
  const name = `byte-level BPE encode, GPT-2, ${megabytes.toFixed(1)} MB in a batch, ${threads} threads, warm`;
  return benchRow(
    name,
    `Hugging Face tokenizers (npm @anush008/tokenizers ${versionOf("@anush008/tokenizers")})`,
    "MB/s",
    measured,
  );
}

export async function tokenizerBench(options: TokenizerBenchOptions): Promise<readonly BenchRow[]> {
  const lines = await readLines(options.data ?? resourcePath("sample"));
  const texts = takeBytes(lines, ENCODED_BYTES);
  // The library reads this once, when it starts its first thread.
  process.env["RAYON_NUM_THREADS"] = String(options.threads);
  const huggingFace = await loadPeer("@anush008/tokenizers", () => import("@anush008/tokenizers"), options.onProgress);
  const tiktoken = await loadPeer("tiktoken", () => import("tiktoken"), options.onProgress);
  const folder = await mkdtemp(path.join(tmpdir(), "assay-bench-"));
  const rows: BenchRow[] = [];
  try {
    if (huggingFace !== null) {
      rows.push(await trainingRow(huggingFace, lines, folder, options));
      rows.push(await huggingFaceRow(huggingFace, texts, folder, options));
    }
    if (tiktoken !== null) {
      rows.push(await tiktokenRow(tiktoken, texts, options));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
  return rows;
}
