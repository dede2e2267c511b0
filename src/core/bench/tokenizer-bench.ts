// Training and encoding of tokenizers of each kind beside Hugging Face's Rust library, spm_train and tiktoken, and on
// texts made to be hard, in interleaved rounds of one process. Before anything is timed, both sides must agree.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { resourcePath } from "../paths.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import type { BenchProgress, BenchRow } from "./rows.ts";
import { besideHuggingFace, besideTiktoken, hardTextRow, type Subject } from "./tokenizer-encode-rows.ts";
import { loadTokenizerPeers } from "./tokenizer-peers.ts";
import { hardTexts, readLines, takeBytes } from "./tokenizer-texts.ts";
import { trainOurs, trainRows } from "./tokenizer-train-rows.ts";

export type TokenizerBenchOptions = {
  /** A .txt or .jsonl(.gz) file or a folder of them; by default the bundled sample, which is small. */
  readonly data?: string;
  readonly rounds: number;
  /** Of either side, where a side can use more than one. */
  readonly threads: number;
  readonly onProgress: BenchProgress;
};

const TRAINED_BYTES = 20_000_000;
/** Encoding is timed on so much of the text: the slowest peer takes a second or two for it. */
const ENCODED_BYTES = 5_000_000;
const WORD_VOCAB_SIZE = 30_000;

export async function tokenizerBench(options: TokenizerBenchOptions): Promise<readonly BenchRow[]> {
  const { rounds, threads, onProgress } = options;
  const lines = takeBytes(await readLines(options.data ?? resourcePath("sample")), TRAINED_BYTES);
  const texts = takeBytes(lines, ENCODED_BYTES);
  const peers = await loadTokenizerPeers(threads, onProgress);
  const folder = await mkdtemp(path.join(tmpdir(), "assay-bench-"));
  try {
    const encoding = { texts, folder, rounds, onProgress };
    const gpt2: Subject = { name: "byte-level BPE (GPT-2)", tokenizer: await loadGpt2Tokenizer() };
    const rows = [...(await trainRows(peers, { lines, folder, rounds, threads, onProgress }))];
    const subjects: readonly Subject[] = [
      gpt2,
      { name: "WordPiece", tokenizer: await trainOurs("wordpiece", lines, WORD_VOCAB_SIZE, threads) },
      { name: "Unigram", tokenizer: await trainOurs("unigram", lines, WORD_VOCAB_SIZE, threads) },
    ];
    if (peers.tiktoken !== null) {
      rows.push(await besideTiktoken(gpt2, peers.tiktoken, encoding));
    }
    if (peers.huggingFace !== null) {
      for (const subject of subjects) {
        rows.push(...(await besideHuggingFace(subject, peers.huggingFace, threads, encoding)));
      }
    }
    for (const subject of subjects) {
      for (const text of hardTexts(lines)) {
        rows.push(await hardTextRow(subject, text, encoding));
      }
    }
    return rows;
  } finally {
    await rm(folder, { recursive: true });
  }
}
