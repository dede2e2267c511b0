// Trains a byte-level BPE tokenizer: documents in, batches to the engine, a tokenizer out. Deterministic: the same text
// in the same order gives the same merges, whatever the number of threads.
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { END_OF_TEXT } from "#shared/domain/recipe";
import { maskedSpecials } from "#shared/domain/recipe-check-model";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { type CorpusNotes, readDocuments } from "../corpus/documents.ts";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { asFileError, writeFileDurably } from "../runs/durable-file.ts";

export type TrainingProgress = {
  readonly phase: "reading" | "merging";
  /** Bytes on disk while reading, merges after. */
  readonly done: number;
  readonly total: number | null;
};

export type TokenizerReport = {
  readonly words: number;
  readonly distinctWords: number;
  readonly bytes: number;
  readonly vocabSize: number;
  readonly seconds: number;
};

export type TrainTokenizerOptions = {
  readonly type: string;
  readonly vocabSize: number;
  readonly minFrequency: number;
  /** Before <|endoftext|>, which keeps the last id; none by default. */
  readonly specialTokens?: readonly string[];
  /** Paths, or the documents themselves. */
  readonly inputs?: readonly string[];
  readonly documents?: AsyncIterable<{ readonly text: string }>;
  readonly threads?: number;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  readonly onNotes?: ((notes: CorpusNotes) => void) | undefined;
  readonly signal?: CancelSignal | undefined;
};

const BYTE_TOKENS = 256;

function vocabularyTooLarge(wanted: number, supported: number, minFrequency: number): AppError {
  const rarer = minFrequency > 1 ? ", lower the minimum frequency" : "";
  const times = minFrequency > 1 ? `${minFrequency} times or more` : "at all";
  return new AppError(
    "VOCABULARY_TOO_LARGE",
    `The text supports only ${supported} of the ${wanted} tokens asked for: no further pair of pieces is seen ${times}. Ask for at most ${supported}${rarer}, or add text.`,
    { details: { supported } },
  );
}

export async function trainTokenizer(
  options: TrainTokenizerOptions,
): Promise<{ readonly tokenizer: NativeTokenizer; readonly report: TokenizerReport }> {
  const { vocabSize, minFrequency, onProgress, signal } = options;
  if (options.type !== "byte-bpe") {
    throw new AppError(
      "NOT_SUPPORTED",
      `A tokenizer of type ${options.type} is not built yet in this version; use byte-bpe.`,
    );
  }
  if (!Number.isInteger(vocabSize) || vocabSize <= BYTE_TOKENS) {
    throw new AppError(
      "BAD_ARGUMENT",
      `A byte-level vocabulary has at least ${BYTE_TOKENS + 1} tokens, not ${vocabSize}.`,
    );
  }
  const begin = performance.now();
  const threads = options.threads ?? availableParallelism();
  const trainer = loadAddon().createTokenizerTrainer({ threads });
  const documents =
    options.documents ??
    readDocuments([...(options.inputs ?? [])], {
      signal,
      onProgress: ({ bytesRead, bytesTotal }) => onProgress?.({ phase: "reading", done: bytesRead, total: bytesTotal }),
      onNotes: options.onNotes,
    });
  let adding: Promise<void> = Promise.resolve();
  for await (const batch of inBatches(documents)) {
    // The engine counts one batch while the next is read.
    await adding;
    throwIfCancelled(signal);
    adding = trainer.add(batch.map((document) => document.text));
    adding.catch(() => undefined); // awaited in the next turn; not unhandled until then
  }
  await adding;
  throwIfCancelled(signal);
  if (trainer.byteCount === 0) {
    throw new AppError("CORPUS_EMPTY", "There is no text to train a tokenizer on; add some documents.");
  }
  const tokenizer = await trainer.train(
    { vocabSize, minFrequency, specialTokens: [...(options.specialTokens ?? []), END_OF_TEXT], threads },
    (merges, total) => onProgress?.({ phase: "merging", done: merges, total }),
  );
  throwIfCancelled(signal);
  if (tokenizer.vocabSize < vocabSize) {
    throw vocabularyTooLarge(vocabSize, tokenizer.vocabSize, minFrequency);
  }
  const report = {
    words: trainer.wordCount,
    distinctWords: trainer.distinctWords,
    bytes: trainer.byteCount,
    vocabSize: tokenizer.vocabSize,
    seconds: (performance.now() - begin) / 1000,
  };
  return { tokenizer, report };
}

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "Training the tokenizer was cancelled.");
  }
}

/** What Transformers reads beside tokenizer.json. */
const transformersConfig = {
  tokenizer_class: "GPT2TokenizerFast",
  add_prefix_space: false,
  bos_token: END_OF_TEXT,
  eos_token: END_OF_TEXT,
  unk_token: END_OF_TEXT,
};

const maskedTokens = {
  bos_token: END_OF_TEXT,
  cls_token: "[CLS]",
  eos_token: END_OF_TEXT,
  mask_token: "[MASK]",
  pad_token: "[PAD]",
  sep_token: "[SEP]",
  unk_token: END_OF_TEXT,
};

function hasMaskedSpecials(tokenizer: NativeTokenizer): boolean {
  return maskedSpecials.every((text) => tokenizer.idOfBytes(new TextEncoder().encode(text)) !== null);
}

/**
 * Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json into a folder, made where it is not there. The
 * two files of GPT-2 cannot say that [MASK] and its like are special, so a tokenizer that has them goes without.
 */
export async function saveTokenizer(tokenizer: NativeTokenizer, directory: string): Promise<void> {
  const isMasked = hasMaskedSpecials(tokenizer);
  try {
    await mkdir(directory, { recursive: true });
    if (!isMasked) {
      await tokenizer.saveVocabAndMerges(directory);
    }
    const files = isMasked
      ? {
          "tokenizer_config.json": { tokenizer_class: "PreTrainedTokenizerFast", ...maskedTokens },
          "special_tokens_map.json": maskedTokens,
        }
      : { "tokenizer_config.json": transformersConfig };
    for (const [name, value] of Object.entries(files)) {
      await writeFileDurably(path.join(directory, name), `${JSON.stringify(value, null, 2)}\n`);
    }
    // Last: a folder with a tokenizer.json is whole.
    await tokenizer.saveTokenizerJson(path.join(directory, "tokenizer.json"));
  } catch (error) {
    throw asFileError(error, `write the tokenizer to ${directory}`);
  }
}
