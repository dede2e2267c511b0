// Training of each kind of tokenizer beside Hugging Face's Rust trainers and spm_train, in interleaved rounds. Before
// anything is timed both sides train once and are compared: byte-level BPE merge by merge; the other kinds, whose
// ties the peers break by chance or whose algorithms differ in detail, by the share of pieces that are the same.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import type { TrainableType } from "../tokenizer/train.ts";
import { type BenchProgress, type BenchRow, benchRow } from "./rows.ts";
import {
  HUGGING_FACE_VOCAB_SIZE,
  type HuggingFace,
  type HuggingFaceTokenizer,
  huggingFaceName,
  sentencePieceName,
  type TokenizerPeers,
  trainSentencePiece,
} from "./tokenizer-peers.ts";
import { totalBytes } from "./tokenizer-texts.ts";

export type TrainRowsOptions = {
  readonly lines: readonly string[];
  /** Temporary; the text is written there for the peers, which read files alone. */
  readonly folder: string;
  readonly rounds: number;
  readonly threads: number;
  readonly onProgress: BenchProgress;
};

const BYTE_COUNT = 256;
const VOCAB_SIZE = 32_000;
/** Less agreement than this means that the two do not learn the same thing. */
const LEAST_SHARED_WORDPIECES = 0.97;

export async function trainOurs(
  type: TrainableType,
  lines: readonly string[],
  vocabSize: number,
  threads: number,
  minFrequency = 1,
): Promise<NativeTokenizer> {
  const trainer = loadAddon().createTokenizerTrainer({ type, threads });
  await trainer.add(lines);
  const firstTokens = { "byte-bpe": [], wordpiece: ["[UNK]"], unigram: ["<unk>"] }[type];
  return trainer.train({ vocabSize, minFrequency, firstTokens, lastTokens: [], threads }, () => undefined);
}

async function secondsOf(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

/** Rates of both in turns; both have run once before. */
async function interleaved(
  what: string,
  options: TrainRowsOptions,
  ours: () => unknown,
  peer: () => unknown,
): Promise<{ readonly ours: number[]; readonly peer: number[] }[]> {
  const megabytes = totalBytes(options.lines) / 1e6;
  const measured: { readonly ours: number[]; readonly peer: number[] }[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    options.onProgress(`${what}, round ${round} of ${options.rounds}`);
    const mine = await secondsOf(ours);
    const other = await secondsOf(peer);
    measured.push({ ours: [megabytes / mine], peer: [megabytes / other] });
  }
  return measured;
}

function rowName(kind: string, vocabSize: number, options: TrainRowsOptions, note: string): string {
  const megabytes = (totalBytes(options.lines) / 1e6).toFixed(1);
  return `${kind} train, ${vocabSize} tokens, ${megabytes} MB, ${options.threads} threads (${note})`;
}

function trainHuggingFaceBpe(peer: HuggingFace, file: string): HuggingFaceTokenizer {
  const tokenizer = new peer.Tokenizer(peer.BPE.empty());
  tokenizer.setPreTokenizer(peer.byteLevelPreTokenizer(false, true));
  tokenizer.train([file]);
  return tokenizer;
}

function trainHuggingFaceWordPiece(peer: HuggingFace, file: string): HuggingFaceTokenizer {
  const tokenizer = new peer.Tokenizer(peer.WordPiece.empty());
  tokenizer.setNormalizer(peer.bertNormalizer({ lowercase: false, stripAccents: false }));
  tokenizer.setPreTokenizer(peer.bertPreTokenizer());
  tokenizer.train([file]);
  return tokenizer;
}

type TokenizerJson = { readonly model: { readonly merges: readonly (string | readonly [string, string])[] } };

async function readMerges(file: string): Promise<readonly string[]> {
  const json = JSON.parse(await readFile(file, "utf8")) as TokenizerJson; // as: both sides have just written it
  return json.model.merges.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")));
}

async function byteBpeBesideHuggingFace(peer: HuggingFace, file: string, options: TrainRowsOptions): Promise<BenchRow> {
  const { lines, folder, threads } = options;
  options.onProgress("training byte-level BPE: comparing the merges");
  trainHuggingFaceBpe(peer, file).save(path.join(folder, "theirs.json"));
  const theirs = await readMerges(path.join(folder, "theirs.json"));
  const train = () => trainOurs("byte-bpe", lines, BYTE_COUNT + theirs.length, threads);
  await (await train()).saveTokenizerJson(path.join(folder, "ours.json"));
  const ours = await readMerges(path.join(folder, "ours.json"));
  const different = theirs.findIndex((merge, rank) => merge !== ours[rank]);
  if (different !== -1 || ours.length !== theirs.length) {
    throw new AppError(
      "BUG",
      `The benchmark stops before timing anything: merge ${different} is "${ours[different]}" here and "${theirs[different]}" there.`,
    );
  }
  const measured = await interleaved("training byte-level BPE beside Hugging Face", options, train, () =>
    trainHuggingFaceBpe(peer, file),
  );
  const note = "same merges; the npm package trains no other size";
  return benchRow(
    rowName("byte-level BPE", HUGGING_FACE_VOCAB_SIZE, options, note),
    huggingFaceName(),
    "MB/s",
    measured,
  );
}

function sharedPieces(ours: NativeTokenizer, theirs: Iterable<string>): number {
  const known = new Set(Array.from({ length: ours.vocabSize }, (_, id) => ours.piece(id)));
  let shared = 0;
  for (const piece of theirs) {
    shared += known.has(piece) ? 1 : 0;
  }
  return shared / ours.vocabSize;
}

async function wordPieceRow(peer: HuggingFace, file: string, options: TrainRowsOptions): Promise<BenchRow> {
  const { lines, threads } = options;
  options.onProgress("training WordPiece: comparing the pieces");
  const theirs = trainHuggingFaceWordPiece(peer, file);
  const vocabSize = theirs.getVocabSize();
  const train = () => trainOurs("wordpiece", lines, vocabSize + 1, threads);
  const shared = sharedPieces(await train(), Object.keys(theirs.getVocab()));
  if (shared < LEAST_SHARED_WORDPIECES) {
    throw new AppError(
      "BUG",
      `The benchmark stops before timing anything: only ${(100 * shared).toFixed(1)} % of the WordPiece vocabularies agree.`,
    );
  }
  const measured = await interleaved("training WordPiece beside Hugging Face", options, train, () =>
    trainHuggingFaceWordPiece(peer, file),
  );
  const note = `${(100 * shared).toFixed(1)} % of pieces the same`;
  return benchRow(rowName("WordPiece cased", vocabSize, options, note), huggingFaceName(), "MB/s", measured);
}

async function besideSentencePiece(
  type: "byte-bpe" | "unigram",
  file: string,
  options: TrainRowsOptions,
): Promise<BenchRow> {
  const { lines, folder, threads } = options;
  const kind = { "byte-bpe": "byte-level BPE", unigram: "Unigram" }[type];
  const trainPeer = (vocabSize: number) =>
    trainSentencePiece({
      input: file,
      prefix: path.join(folder, `spm-${type}`),
      type: type === "unigram" ? "unigram" : "bpe",
      vocabSize,
      threads,
    });
  options.onProgress(`training ${kind}: comparing with spm_train`);
  const theirs = await trainPeer(VOCAB_SIZE);
  const train = () => trainOurs(type, lines, theirs.length, threads);
  const ours = await train();
  const shared = sharedPieces(
    ours,
    theirs.map((piece) => (type === "byte-bpe" ? piece.replace(/^▁/, "Ġ") : piece)),
  );
  const measured = await interleaved(`training ${kind} beside spm_train`, options, train, () =>
    trainPeer(theirs.length),
  );
  const note = `${(100 * shared).toFixed(1)} % of pieces the same, by another algorithm`;
  return benchRow(rowName(kind, theirs.length, options, note), sentencePieceName(), "MB/s", measured);
}

export async function trainRows(peers: TokenizerPeers, options: TrainRowsOptions): Promise<readonly BenchRow[]> {
  const file = path.join(options.folder, "text.txt");
  await writeFile(file, options.lines.join(""));
  const rows: BenchRow[] = [];
  if (peers.huggingFace !== null) {
    rows.push(await byteBpeBesideHuggingFace(peers.huggingFace, file, options));
  }
  if (peers.hasSentencePiece) {
    rows.push(await besideSentencePiece("byte-bpe", file, options));
  }
  if (peers.huggingFace !== null) {
    rows.push(await wordPieceRow(peers.huggingFace, file, options));
  }
  if (peers.hasSentencePiece) {
    rows.push(await besideSentencePiece("unigram", file, options));
  }
  return rows;
}
