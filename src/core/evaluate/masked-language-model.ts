// Held-out evaluation of a masked language model: each document alone, in windows of `[CLS] text [SEP]`, a fixed share of
// its tokens masked. loss is nats a masked token, perplexity e^loss; neither compares with a causal model's.
import { type FileHandle, open, readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { NativeMasking, NativeModel } from "../engine/addon.ts";
import { type MaskedWindow, maskWindow } from "./fixed-masking.ts";

export type MaskedEvaluation = {
  readonly loss: number;
  readonly perplexity: number;
  /** Tokens that were predicted. */
  readonly tokens: number;
  readonly documents: number;
};

/** Reads documents of a token cache one by one (docs/formats/token-cache.md). */
class CachedDocuments {
  readonly #handle: FileHandle;
  readonly #offsets: BigUint64Array;
  readonly #bytesPerToken: 2 | 4;

  private constructor(handle: FileHandle, offsets: BigUint64Array, bytesPerToken: 2 | 4) {
    this.#handle = handle;
    this.#offsets = offsets;
    this.#bytesPerToken = bytesPerToken;
  }

  static async open(directory: string): Promise<CachedDocuments> {
    const meta: unknown = JSON.parse(await readFile(path.join(directory, "meta.json"), "utf8"));
    const isWide = (meta as { readonly dtype?: unknown }).dtype === "u32";
    const index = await readFile(path.join(directory, "documents.idx"));
    const offsets = new BigUint64Array(index.buffer.slice(index.byteOffset, index.byteOffset + index.byteLength));
    return new CachedDocuments(await open(path.join(directory, "tokens.bin"), "r"), offsets, isWide ? 4 : 2);
  }

  get count(): number {
    return this.#offsets.length - 1;
  }

  /** Without its end-of-text. */
  async read(document: number): Promise<Uint16Array | Uint32Array> {
    const begin = Number(this.#offsets[document] ?? 0n);
    const length = Number(this.#offsets[document + 1] ?? 0n) - begin - 1;
    const tokens = this.#bytesPerToken === 4 ? new Uint32Array(length) : new Uint16Array(length);
    const bytes = new Uint8Array(tokens.buffer);
    for (let done = 0; done < bytes.length; ) {
      const position = begin * this.#bytesPerToken + done;
      const { bytesRead } = await this.#handle.read(bytes, done, bytes.length - done, position);
      if (bytesRead === 0) {
        throw new AppError("TOKEN_CACHE_DAMAGED", "The held-out token cache ended early; remove it, it is made again.");
      }
      done += bytesRead;
    }
    return tokens;
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

/** Throws CANCELLED when `signal` is aborted, at the latest after one batch. The model's training memory is used. */
export async function evaluateMaskedModel(options: {
  readonly model: Pick<NativeModel, "computeBatchGradients">;
  /** Of the held-out text. */
  readonly cacheDirectory: string;
  readonly seqLen: number;
  readonly vocabSize: number;
  readonly masking: NativeMasking;
  /** Windows of one call of the engine. */
  readonly batch: number;
  readonly signal?: CancelSignal;
  readonly onProgress?: (documents: number, total: number) => void;
}): Promise<MaskedEvaluation> {
  const { model, seqLen, batch, masking } = options;
  const documents = await CachedDocuments.open(options.cacheDirectory);
  let nats = 0;
  let scored = 0;
  let waiting: MaskedWindow[] = [];
  const flush = async (): Promise<void> => {
    const count = waiting.reduce((sum, window) => sum + window.scored, 0);
    if (count > 0) {
      const join = (part: "tokens" | "targets" | "segments"): Int32Array => {
        const whole = new Int32Array(waiting.length * seqLen);
        for (const [index, window] of waiting.entries()) {
          whole.set(window[part], index * seqLen);
        }
        return whole;
      };
      const { loss } = await model.computeBatchGradients({
        tokens: join("tokens"),
        targets: join("targets"),
        segments: join("segments"),
        batch: waiting.length,
        seqLen,
      });
      nats += loss * count;
      scored += count;
    }
    waiting = [];
  };
  try {
    let window = 0;
    for (let document = 0; document < documents.count; document += 1) {
      const tokens = await documents.read(document);
      for (let at = 0; at < tokens.length; at += seqLen - 2) {
        const piece = tokens.subarray(at, at + seqLen - 2);
        waiting.push(maskWindow(piece, window, { seqLen, vocabSize: options.vocabSize, masking }));
        window += 1;
        if (waiting.length === batch) {
          if (options.signal?.aborted === true) {
            throw new AppError(
              "CANCELLED",
              `The evaluation was cancelled after ${document} of ${documents.count} documents.`,
            );
          }
          await flush();
        }
      }
      options.onProgress?.(document + 1, documents.count);
    }
    await flush();
  } finally {
    await documents.close();
  }
  if (scored === 0) {
    throw new AppError("CORPUS_EMPTY", "There is nothing to evaluate on: the held-out text has no tokens.");
  }
  const loss = nats / scored;
  return { loss, perplexity: Math.exp(loss), tokens: scored, documents: documents.count };
}
