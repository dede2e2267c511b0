// Trains a byte-level BPE tokenizer: documents in, batches to the engine, a tokenizer out. Deterministic: the same text
// in the same order gives the same merges, whatever the number of threads.
import { mkdir } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { END_OF_TEXT } from "#shared/domain/recipe";
import { maskedSpecials } from "#shared/domain/recipe-check-model";
import { AppError, assertNever } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { type CorpusNotes, readDocuments } from "../corpus/documents.ts";
import { loadAddon, type NativeTokenizer } from "../engine/addon.ts";
import { asFileError, writeFileDurably } from "../runs/durable-file.ts";

export type TrainingProgress = {
  readonly phase: "reading" | "merging" | "pruning";
  /** Bytes on disk while reading; merges after, or the pieces that unigram has dropped of its first ones. */
  readonly done: number;
  readonly total: number | null;
};

export type TokenizerReport = {
  readonly words: number;
  readonly distinctWords: number;
  readonly bytes: number;
  readonly vocabSize: number;
  readonly seconds: number;
  /** Of these, reading and counting; learning took the rest. */
  readonly readSeconds: number;
  /** Words seen less often were left out for want of memory; 1: none were. */
  readonly minWordCount: number;
  readonly wordsLeftOut: number;
  /** Counts that did not fit the memory limit went to a temporary file of this size. */
  readonly temporaryBytes: number;
};

export type TrainTokenizerOptions = {
  readonly type: TrainableType;
  readonly vocabSize: number;
  readonly minFrequency: number;
  /** Whether it gets [PAD], [CLS], [SEP] and [MASK], as masked language models want; WordPiece always does. */
  readonly isMasked?: boolean;
  /** WordPiece alone: capitals and accents go. */
  readonly lowercase?: boolean;
  /** Words that become single tokens whatever their frequency. */
  readonly protectedWords?: readonly string[];
  /** Paths, or the documents themselves. */
  readonly inputs?: readonly string[];
  readonly documents?: AsyncIterable<{ readonly text: string }>;
  readonly threads?: number;
  /**
   * What counting and learning may take beside the process itself. Counts beyond it go to a temporary file; words too rare
   * for learning within it are left out, from exact counts, so that the result depends on the limit but never on threads.
   */
  readonly memoryLimitBytes?: number | undefined;
  readonly onProgress?: ((progress: TrainingProgress) => void) | undefined;
  readonly onNotes?: ((notes: CorpusNotes) => void) | undefined;
  readonly signal?: CancelSignal | undefined;
};

const BYTE_TOKENS = 256;

/** The same on every machine, for the result may depend on it. */
export const MEMORY_LIMIT_BYTES = 2 ** 31;

export const trainableTypes = ["byte-bpe", "wordpiece", "unigram"] as const;
export type TrainableType = (typeof trainableTypes)[number];

/** Special tokens with the first ids; <|endoftext|> always has the last. Byte-level BPE puts all of them last. */
function firstTokens(type: TrainableType, isMasked: boolean): readonly string[] {
  switch (type) {
    case "byte-bpe":
      return isMasked ? maskedSpecials : [];
    case "wordpiece":
      return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
    case "unigram":
      return ["<unk>", ...(isMasked ? maskedSpecials : [])];
    default:
      return assertNever(type);
  }
}

function vocabularyTooLarge(
  wanted: number,
  supported: number,
  minFrequency: number,
  leftOut: { readonly words: number; readonly minCount: number },
): AppError {
  const rarer = minFrequency > 1 ? ", lower the minimum frequency" : "";
  const times = minFrequency > 1 ? `${minFrequency} times or more` : "at all";
  const advice =
    leftOut.words > 0
      ? ` ${leftOut.words} words seen less than ${leftOut.minCount} times were left out for want of memory: allow more, or ask for at most ${supported}.`
      : ` Ask for at most ${supported}${rarer}, or add text.`;
  return new AppError(
    "VOCABULARY_TOO_LARGE",
    `The text supports only ${supported} of the ${wanted} tokens asked for: no further pair of pieces is seen ${times}.${advice}`,
    { details: { supported } },
  );
}

export async function trainTokenizer(
  options: TrainTokenizerOptions,
): Promise<{ readonly tokenizer: NativeTokenizer; readonly report: TokenizerReport }> {
  const { vocabSize, minFrequency, onProgress, signal } = options;
  const { type } = options;
  if (options.lowercase === true && type !== "wordpiece") {
    throw new AppError("BAD_ARGUMENT", `Lower-casing is of wordpiece; ${type} keeps capitals.`);
  }
  if (type === "byte-bpe" && (!Number.isInteger(vocabSize) || vocabSize <= BYTE_TOKENS)) {
    throw new AppError(
      "BAD_ARGUMENT",
      `A byte-level vocabulary has at least ${BYTE_TOKENS + 1} tokens, not ${vocabSize}.`,
    );
  }
  const begin = performance.now();
  const threads = options.threads ?? availableParallelism();
  const trainer = loadAddon().createTokenizerTrainer({
    threads,
    type,
    lowercase: options.lowercase ?? false,
    maxMemoryBytes: options.memoryLimitBytes ?? MEMORY_LIMIT_BYTES,
  });
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
  const readSeconds = (performance.now() - begin) / 1000;
  const phase = type === "unigram" ? "pruning" : "merging";
  // Unigram works for a while before it has anything to count.
  onProgress?.({ phase, done: 0, total: null });
  const tokenizer = await trainer.train(
    {
      vocabSize,
      minFrequency,
      firstTokens: firstTokens(type, options.isMasked ?? false),
      lastTokens: [END_OF_TEXT],
      protectedWords: options.protectedWords ?? [],
      threads,
    },
    (merges, total) => onProgress?.({ phase, done: Math.min(merges, total), total }),
  );
  throwIfCancelled(signal);
  if (tokenizer.vocabSize < vocabSize) {
    throw vocabularyTooLarge(vocabSize, tokenizer.vocabSize, minFrequency, {
      words: trainer.wordsLeftOut,
      minCount: trainer.minWordCount,
    });
  }
  const report = {
    words: trainer.wordCount,
    distinctWords: trainer.distinctWords,
    bytes: trainer.byteCount,
    vocabSize: tokenizer.vocabSize,
    seconds: (performance.now() - begin) / 1000,
    readSeconds,
    minWordCount: trainer.minWordCount,
    wordsLeftOut: trainer.wordsLeftOut,
    temporaryBytes: trainer.temporaryBytes,
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

/** Transformers' classes for the other kinds; their tokenizer.json says the rest. */
function configOf(tokenizer: NativeTokenizer): Readonly<Record<string, unknown>> {
  const isBert = tokenizer.kind === "wordpiece";
  return {
    tokenizer_class: isBert ? "BertTokenizerFast" : "PreTrainedTokenizerFast",
    ...(isBert ? { do_lower_case: tokenizer.encode("A").ids[0] === tokenizer.encode("a").ids[0] } : {}),
    ...(hasMaskedSpecials(tokenizer) ? maskedTokens : { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT }),
    unk_token: isBert ? "[UNK]" : "<unk>",
  };
}

function hasMaskedSpecials(tokenizer: NativeTokenizer): boolean {
  return maskedSpecials.every((text) => tokenizer.idOfBytes(new TextEncoder().encode(text)) !== null);
}

/**
 * Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json into a folder, made where it is not there. The
 * two files of GPT-2 cannot say that [MASK] and its like are special, so a tokenizer that has them goes without.
 */
export async function saveTokenizer(tokenizer: NativeTokenizer, directory: string): Promise<void> {
  const isMasked = hasMaskedSpecials(tokenizer);
  const isByteLevel = tokenizer.kind === "byte-bpe";
  try {
    await mkdir(directory, { recursive: true });
    if (isByteLevel && !isMasked) {
      await tokenizer.saveVocabAndMerges(directory);
    }
    const files = !isByteLevel
      ? { "tokenizer_config.json": configOf(tokenizer) }
      : isMasked
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
