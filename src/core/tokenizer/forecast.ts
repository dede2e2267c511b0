// What training a tokenizer will take, before it starts: the first megabytes of the text are counted as training would
// count them, and the number of different words is carried on by Heaps' law. The factors were measured on one core of a
// server of 2023; reading is timed on this machine.
import { availableParallelism } from "node:os";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { readDocuments } from "../corpus/documents.ts";
import { loadAddon } from "../engine/addon.ts";
import { MEMORY_LIMIT_BYTES, type TrainableType } from "./train.ts";

/** How many different words the beginning of a text had. */
export type WordSample = {
  /** Files on disk: what the sample took of them, and all. */
  readonly diskBytes: number;
  readonly diskTotal: number;
  readonly textBytes: number;
  readonly distinctWords: number;
  /** At about the half of it. */
  readonly half: { readonly diskBytes: number; readonly textBytes: number; readonly distinctWords: number };
  /** Of reading and counting, once warm. */
  readonly bytesPerSecond: number;
  /** What the process takes before training. */
  readonly processBytes: number;
};

export type TrainingForecast = {
  readonly textBytes: number;
  readonly distinctWords: number;
  readonly readSeconds: number;
  readonly learnSeconds: number;
  /** Of the whole process at its peak. */
  readonly memoryBytes: number;
  /** Counting will outgrow its share of the memory limit, and go to a temporary file. */
  readonly spills: boolean;
  /** Learning from all words will outgrow the memory limit: the rarest will be left out. */
  readonly leavesWordsOut: boolean;
  /** What it was told from; all of the text where it is as short. */
  readonly sampledBytes: number;
};

const SAMPLE_BYTES = 8_000_000;
/** Counting may take this share of the limit before it goes to disk (word-statistics.cpp). */
const COUNTING_SHARE = 1 / 3;
/** A slot of the table of short words, which is 5/8 full at most and doubles, the old one beside the new. */
const COUNTED_WORD_BYTES = 24 * (8 / 5) * 1.5 * 1.5;
/** What reading and learning leave in the process besides, more of it after a long text. */
const OTHER_BYTES = 25_000_000;
const READING_BYTES_PER_TEXT_BYTE = 0.12;
const MOST_READING_BYTES = 25_000_000;
/** The sample is read by code that has just begun to run; a long text goes faster. */
const WARM_SPEED = 1.3;

/** Measured: what learning takes a different word, and the time it takes a word and a token. */
const LEARNING: Readonly<
  Record<
    TrainableType,
    { readonly bytesPerWord: number; readonly secondsPerWord: number; readonly secondsPerToken: number }
  >
> = {
  "byte-bpe": { bytesPerWord: 250, secondsPerWord: 1e-6, secondsPerToken: 3e-6 },
  wordpiece: { bytesPerWord: 250, secondsPerWord: 1e-6, secondsPerToken: 3e-6 },
  unigram: { bytesPerWord: 1900, secondsPerWord: 6.3e-5, secondsPerToken: 0 },
};

/** Distinct words = k · bytes^β, by the last doubling of the sample. */
export function carryOn(sample: WordSample, textBytes: number): number {
  const { half, textBytes: sampled, distinctWords } = sample;
  if (textBytes <= sampled || half.textBytes === 0 || half.distinctWords === 0 || half.textBytes >= sampled) {
    return distinctWords;
  }
  const growth = Math.log(distinctWords / half.distinctWords) / Math.log(sampled / half.textBytes);
  const exponent = Math.min(Math.max(growth, 0), 1);
  return Math.round(distinctWords * (textBytes / sampled) ** exponent);
}

/** By the second half of the sample: files are read ahead of what is counted, and the lead is in both ends alike. */
function textPerDiskByte({ half, diskBytes, textBytes }: WordSample): number {
  return diskBytes > half.diskBytes
    ? (textBytes - half.textBytes) / (diskBytes - half.diskBytes)
    : textBytes / Math.max(diskBytes, 1);
}

export function forecastFrom(
  sample: WordSample,
  options: {
    readonly type: TrainableType;
    readonly vocabSize: number;
    readonly threads: number;
    readonly memoryLimitBytes: number;
  },
): TrainingForecast {
  const isWhole = sample.diskBytes >= sample.diskTotal;
  const textBytes = isWhole ? sample.textBytes : Math.round(sample.diskTotal * textPerDiskByte(sample));
  const distinctWords = carryOn(sample, textBytes);
  const { bytesPerWord, secondsPerWord, secondsPerToken } = LEARNING[options.type];
  const limit = options.memoryLimitBytes;
  const counting = distinctWords * COUNTED_WORD_BYTES;
  const learning = distinctWords * bytesPerWord;
  const learnedWords = Math.min(distinctWords, limit / bytesPerWord);
  // Unigram's expectations are shared by the threads, about half of its work; merges are learned by one.
  const sharing = options.type === "unigram" ? 0.5 + 0.5 / Math.min(options.threads, 8) : 1;
  return {
    textBytes,
    distinctWords,
    readSeconds: textBytes / (sample.bytesPerSecond * (isWhole ? 1 : WARM_SPEED)),
    learnSeconds: learnedWords * secondsPerWord * sharing + options.vocabSize * secondsPerToken,
    memoryBytes: Math.round(
      sample.processBytes +
        OTHER_BYTES +
        Math.min(textBytes * READING_BYTES_PER_TEXT_BYTE, MOST_READING_BYTES) +
        Math.min(counting, limit * COUNTING_SHARE) +
        Math.min(learning, limit),
    ),
    spills: counting > limit * COUNTING_SHARE,
    leavesWordsOut: learning > limit,
    sampledBytes: sample.textBytes,
  };
}

export type ForecastOptions = {
  readonly type: TrainableType;
  readonly vocabSize: number;
  readonly lowercase?: boolean;
  readonly inputs: readonly string[];
  readonly threads?: number;
  readonly memoryLimitBytes?: number | undefined;
  readonly signal?: CancelSignal | undefined;
};

/** Counts the beginning of the text. */
async function sampleWords(options: ForecastOptions, threads: number): Promise<WordSample> {
  const trainer = loadAddon().createTokenizerTrainer({
    threads,
    type: options.type,
    lowercase: options.lowercase ?? false,
    maxMemoryBytes: MEMORY_LIMIT_BYTES,
  });
  let disk = { read: 0, total: 0 };
  let half = { diskBytes: 0, textBytes: 0, distinctWords: 0 };
  let sinceHalf = performance.now();
  const begin = sinceHalf;
  let isWhole = true;
  const documents = readDocuments([...options.inputs], {
    signal: options.signal,
    onProgress: ({ bytesRead, bytesTotal }) => {
      disk = { read: bytesRead, total: bytesTotal };
    },
  });
  for await (const batch of inBatches(documents)) {
    await trainer.add(batch.map(({ text }) => text));
    if (half.textBytes === 0 && trainer.byteCount >= SAMPLE_BYTES / 2) {
      half = { diskBytes: disk.read, textBytes: trainer.byteCount, distinctWords: trainer.distinctWords };
      sinceHalf = performance.now();
    }
    if (trainer.byteCount >= SAMPLE_BYTES) {
      isWhole = false;
      break;
    }
  }
  const textBytes = trainer.byteCount;
  if (textBytes === 0) {
    throw new AppError("CORPUS_EMPTY", "There is no text to train a tokenizer on; add some documents.");
  }
  const timedFrom = half.textBytes === 0 || half.textBytes === textBytes ? begin : sinceHalf;
  const timedBytes = timedFrom === begin ? textBytes : textBytes - half.textBytes;
  return {
    diskBytes: isWhole ? disk.total : disk.read,
    diskTotal: disk.total,
    textBytes,
    distinctWords: trainer.distinctWords,
    half,
    bytesPerSecond: timedBytes / Math.max((performance.now() - timedFrom) / 1000, 1e-3),
    processBytes: process.memoryUsage.rss(),
  };
}

export async function forecastTraining(options: ForecastOptions): Promise<TrainingForecast> {
  const threads = options.threads ?? availableParallelism();
  return forecastFrom(await sampleWords(options, threads), {
    type: options.type,
    vocabSize: options.vocabSize,
    threads,
    memoryLimitBytes: options.memoryLimitBytes ?? MEMORY_LIMIT_BYTES,
  });
}
