// Encoding beside tiktoken and Hugging Face, in interleaved rounds, ids compared before anything is timed; and the hard
// texts, on which no peer is timed (tiktoken would take hours), but whose time must grow with the text and no faster.
import path from "node:path";
import { AppError } from "#shared/errors";
import type { NativeTokenizer } from "../engine/addon.ts";
import { type BenchProgress, type BenchRow, benchRow, median } from "./rows.ts";
import {
  type HuggingFace,
  type HuggingFaceTokenizer,
  huggingFaceName,
  type Tiktoken,
  tiktokenName,
} from "./tokenizer-peers.ts";
import { type HardText, totalBytes } from "./tokenizer-texts.ts";

export type EncodeRowsOptions = {
  readonly texts: readonly string[];
  readonly folder: string;
  readonly rounds: number;
  readonly onProgress: BenchProgress;
};

/** A tokenizer, and what to call it. */
export type Subject = { readonly name: string; readonly tokenizer: NativeTokenizer };

/** Ours takes so little time that one run says little: a round's rate is the median of so many. */
const OUR_RUNS_A_ROUND = 3;
const HARD_TEXT_BYTES = 1_000_000;
const LEAST_HARD_ROUNDS = 15;

async function secondsOf(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

async function interleaved(
  what: string,
  options: EncodeRowsOptions,
  ours: () => Promise<unknown>,
  peer: () => unknown,
): Promise<{ readonly ours: number[]; readonly peer: number[] }[]> {
  const megabytes = totalBytes(options.texts) / 1e6;
  const measured: { readonly ours: number[]; readonly peer: number[] }[] = [];
  for (let round = 1; round <= options.rounds; round += 1) {
    options.onProgress(`${what}, round ${round} of ${options.rounds}`);
    const mine: number[] = [];
    for (let run = 0; run < OUR_RUNS_A_ROUND; run += 1) {
      mine.push(megabytes / (await secondsOf(ours)));
    }
    measured.push({ ours: mine, peer: [megabytes / (await secondsOf(peer))] });
  }
  return measured;
}

async function compareIds(
  subject: Subject,
  options: EncodeRowsOptions,
  peer: string,
  idsOf: (text: string) => ArrayLike<number> | Promise<ArrayLike<number>>,
): Promise<void> {
  options.onProgress(`encoding by ${subject.name} beside ${peer}: comparing the ids`);
  const ours = await subject.tokenizer.encodeBatch(options.texts, { threads: 1 });
  for (const [index, text] of options.texts.entries()) {
    const own = ours.ids.subarray(ours.offsets[index], ours.offsets[index + 1]);
    const other = await idsOf(text);
    if (own.length !== other.length || own.some((id, at) => id !== other[at])) {
      throw new AppError(
        "BUG",
        `The benchmark stops before timing anything: the ids of document ${index} by ${subject.name} differ from ${peer}'s.`,
      );
    }
  }
}

function rowName(subject: Subject, options: EncodeRowsOptions, threads: number): string {
  const megabytes = (totalBytes(options.texts) / 1e6).toFixed(1);
  return `${subject.name} encode, ${megabytes} MB, ${threads === 1 ? "1 thread" : `${threads} threads`}, warm`;
}

export async function besideTiktoken(gpt2: Subject, peer: Tiktoken, options: EncodeRowsOptions): Promise<BenchRow> {
  const theirs = peer.get_encoding("gpt2");
  try {
    await compareIds(gpt2, options, "tiktoken", (text) => theirs.encode_ordinary(text));
    const measured = await interleaved(
      `encoding by ${gpt2.name} beside tiktoken`,
      options,
      () => gpt2.tokenizer.encodeBatch(options.texts, { threads: 1 }),
      () => options.texts.forEach((text) => theirs.encode_ordinary(text)),
    );
    return benchRow(rowName(gpt2, options, 1), tiktokenName(), "MB/s", measured);
  } finally {
    theirs.free();
  }
}

/** One thread, text by text, and all threads, as a batch. */
export async function besideHuggingFace(
  subject: Subject,
  peer: HuggingFace,
  threads: number,
  options: EncodeRowsOptions,
): Promise<readonly BenchRow[]> {
  const file = path.join(options.folder, "encode.json");
  await subject.tokenizer.saveTokenizerJson(file);
  const theirs: HuggingFaceTokenizer = peer.Tokenizer.fromFile(file);
  const plain = { addSpecialTokens: false };
  await compareIds(subject, options, "Hugging Face", async (text) => (await theirs.encode(text, null, plain)).getIds());
  const rows: BenchRow[] = [];
  for (const count of new Set([1, threads])) {
    const encodePeer = async () => {
      if (count > 1) {
        await theirs.encodeBatch([...options.texts], plain);
        return;
      }
      for (const text of options.texts) {
        await theirs.encode(text, null, plain);
      }
    };
    const measured = await interleaved(
      `encoding by ${subject.name} beside Hugging Face, ${count} threads`,
      options,
      () => subject.tokenizer.encodeBatch(options.texts, { threads: count }),
      encodePeer,
    );
    rows.push(benchRow(rowName(subject, options, count), huggingFaceName(), "MB/s", measured));
  }
  return rows;
}

/** The rate on a megabyte, and how many times longer two of them take: the median over rounds that do both in turn. */
export async function hardTextRow(subject: Subject, text: HardText, options: EncodeRowsOptions): Promise<BenchRow> {
  options.onProgress(`encoding ${text.name} by ${subject.name}`);
  const once = [text.make(HARD_TEXT_BYTES)];
  const twice = [text.make(2 * HARD_TEXT_BYTES)];
  const encode = (texts: readonly string[]) => subject.tokenizer.encodeBatch(texts, { threads: 1 });
  await encode(twice);
  const rates: number[] = [];
  const growth: number[] = [];
  for (let round = 0; round < Math.max(options.rounds, LEAST_HARD_ROUNDS); round += 1) {
    const short = await secondsOf(() => encode(once));
    const long = await secondsOf(() => encode(twice));
    rates.push(HARD_TEXT_BYTES / 1e6 / short);
    growth.push(long / short);
  }
  const name = `${subject.name} encode, 1 MB: ${text.name}`;
  const row = benchRow(
    name,
    "",
    "MB/s",
    rates.map((rate) => ({ ours: [rate], peer: [] })),
  );
  return { ...row, growth: median(growth) };
}
