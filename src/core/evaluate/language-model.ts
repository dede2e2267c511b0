// Held-out evaluation: each document alone, end-of-text as its context, in windows of T without overlap unless a stride is
// given. loss is nats a token, perplexity e^loss, bits per byte the same nats in bits over the text's UTF-8 bytes, which
// alone can be compared between tokenizers.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { readDocuments } from "../corpus/documents.ts";
import { TokenCacheWriter } from "../corpus/token-cache-writer.ts";
import { loadAddon, type NativeModel, type NativeTokenData } from "../engine/addon.ts";
import type { LoadedModel } from "../models/load.ts";

export type Evaluation = {
  readonly loss: number;
  readonly perplexity: number;
  readonly bitsPerByte: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly documents: number;
};

/** Documents of one call of the engine: the same number always, so that sums are added in the same order. */
const documentsPerCall = 32;

export function evaluationOf(sums: {
  readonly nats: number;
  readonly tokens: number;
  readonly bytes: number;
  readonly documents: number;
}): Evaluation {
  const loss = sums.nats / sums.tokens;
  return {
    loss,
    perplexity: Math.exp(loss),
    bitsPerByte: sums.nats / (Math.LN2 * sums.bytes),
    tokens: sums.tokens,
    bytes: sums.bytes,
    documents: sums.documents,
  };
}

/** Throws CANCELLED when `signal` is aborted, at the latest after some documents. */
export async function evaluateLanguageModel(options: {
  readonly model: NativeModel;
  readonly data: NativeTokenData;
  /** UTF-8 bytes of the text that `data` was made from. */
  readonly textBytes: number;
  readonly seqLen: number;
  readonly endOfTextId: number;
  readonly stride?: number;
  readonly signal?: CancelSignal;
  readonly onProgress?: (documents: number, total: number) => void;
}): Promise<Evaluation> {
  const { model, data } = options;
  const total = data.documentCount;
  let nats = 0;
  let tokens = 0;
  for (let from = 0; from < total; from += documentsPerCall) {
    if (options.signal?.aborted === true) {
      throw new AppError("CANCELLED", `The evaluation was cancelled after ${from} of ${total} documents.`);
    }
    const part = await model.evaluate({
      data,
      seqLen: options.seqLen,
      endOfTextId: options.endOfTextId,
      fromDocument: from,
      toDocument: Math.min(total, from + documentsPerCall),
      ...(options.stride === undefined ? {} : { stride: options.stride }),
    });
    nats += part.nats;
    tokens += part.tokenCount;
    options.onProgress?.(Math.min(total, from + documentsPerCall), total);
  }
  if (tokens === 0) {
    throw new AppError("CORPUS_EMPTY", "There is nothing to evaluate on: the held-out text has no tokens.");
  }
  return evaluationOf({ nats, tokens, bytes: options.textBytes, documents: total });
}

/** Evaluates on texts that were not tokenized before; their tokens lie in a temporary folder meanwhile. */
export async function evaluateTexts(
  { model, tokenizer, config }: LoadedModel,
  options: {
    readonly inputs: readonly string[];
    readonly stride?: number;
    readonly signal?: CancelSignal;
    /** `bytes` while reading, `documents` while evaluating. */
    readonly onProgress?: (done: number, total: number, unit: "bytes" | "documents") => void;
  },
): Promise<Evaluation> {
  // A bidirectional model sees the token it is asked for: what it would give here is no perplexity.
  if (config.head !== "causal-lm") {
    throw new AppError(
      "NOT_SUPPORTED",
      `This is a ${config.family} model with a ${config.head} head, which has no perplexity of running text; name a GPT-2 language model. A masked model's own figure is the eval/loss of its run.`,
    );
  }
  const { endOfTextId, vocabSize } = tokenizer;
  if (endOfTextId === null) {
    throw new AppError("TOKENIZER_INVALID", "The model's tokenizer has no <|endoftext|>, which begins each document.");
  }
  const folder = await mkdtemp(path.join(tmpdir(), "assay-evaluate-"));
  try {
    const cache = path.join(folder, "tokens");
    const writer = await TokenCacheWriter.create(cache, { vocabSize, endOfTextId, tokenizerSha256: "" });
    const documents = readDocuments([...options.inputs], {
      signal: options.signal,
      onProgress: ({ bytesRead, bytesTotal }) => options.onProgress?.(bytesRead, bytesTotal, "bytes"),
    });
    for await (const batch of inBatches(documents)) {
      const { ids, offsets, textBytes } = await tokenizer.encodeBatch(batch.map((document) => document.text));
      for (const index of batch.keys()) {
        await writer.add(ids.subarray(offsets[index] ?? 0, offsets[index + 1] ?? 0), textBytes[index] ?? 0);
      }
    }
    const meta = await writer.finish();
    const data = loadAddon().openTokenData(cache);
    try {
      return await evaluateLanguageModel({
        model,
        data,
        textBytes: meta.text_bytes,
        seqLen: config.maxSeqLen,
        endOfTextId,
        ...(options.stride === undefined ? {} : { stride: options.stride }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
        onProgress: (done, total) => options.onProgress?.(done, total, "documents"),
      });
    } finally {
      data.close();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
