// A corpus as MDS shards: raw text (id, text), or tokenized (id, tokens) with end-of-text after each document, as training
// has it between documents. A folder that was not finished has no index and is taken away.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import type { NativeTokenizer } from "../../engine/addon.ts";
import { inBatches } from "../batches.ts";
import { readCorpus } from "../read-corpus.ts";
import type { MdsCompression } from "./compression.ts";
import { TEXT_COLUMN, TOKENS_COLUMN } from "./documents.ts";
import type { MdsShardEntry } from "./index-file.ts";
import { DEFAULT_SHARD_BYTES, MdsWriter } from "./writer.ts";

export type ShardCorpusOptions = {
  readonly inputs: readonly string[];
  readonly directory: string;
  /** Null: raw text. */
  readonly tokenizer: NativeTokenizer | null;
  readonly compression: MdsCompression | null;
  readonly hashes: readonly string[];
  readonly sizeLimitBytes?: number;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number | null }) => void) | undefined;
  readonly onNotice?: ((sentence: string) => void) | undefined;
};

export type ShardCorpusReport = {
  readonly directory: string;
  readonly shards: number;
  readonly documents: number;
  readonly emptyDocuments: number;
  readonly textBytes: number;
  /** End-of-text included; null of raw text. */
  readonly tokens: number | null;
  readonly rawBytes: number;
  /** On the disk. */
  readonly storedBytes: number;
};

type Named = { readonly id: string; readonly text: string };

async function* textsOf(
  options: ShardCorpusOptions,
  onEmpty: () => void,
): AsyncGenerator<Named & { readonly file: string; readonly line: number }> {
  for await (const documents of readCorpus(options.inputs, options)) {
    for (const { id, text, source } of documents) {
      if (options.signal?.aborted === true) {
        throw new AppError("CANCELLED", "Writing shards was cancelled.");
      }
      if (text.trim() === "") {
        onEmpty();
      } else {
        yield { id, text, file: source, line: 1 };
      }
    }
  }
}

function sumBytes(shards: readonly MdsShardEntry[], file: "raw_data" | "stored"): number {
  return shards.reduce(
    (sum, shard) => sum + (file === "stored" ? (shard.zip_data ?? shard.raw_data) : shard.raw_data).bytes,
    0,
  );
}

export async function shardCorpus(options: ShardCorpusOptions): Promise<ShardCorpusReport> {
  const { tokenizer, directory } = options;
  const endOfText = tokenizer?.endOfTextId ?? null;
  if (tokenizer !== null && endOfText === null) {
    throw new AppError(
      "TOKENIZER_INVALID",
      "The tokenizer has no <|endoftext|>, which stands between documents; choose one that has it.",
    );
  }
  const isWide = tokenizer !== null && tokenizer.vocabSize > 65_536;
  const dtype = isWide ? "uint32" : "uint16";
  const writer = await MdsWriter.create({
    directory,
    columns:
      tokenizer === null ? { id: "str", [TEXT_COLUMN]: "str" } : { id: "str", [TOKENS_COLUMN]: `ndarray:${dtype}` },
    compression: options.compression,
    hashes: options.hashes,
    sizeLimitBytes: options.sizeLimitBytes ?? DEFAULT_SHARD_BYTES,
  });
  let documents = 0;
  let emptyDocuments = 0;
  let textBytes = 0;
  let tokens = 0;
  try {
    for await (const batch of inBatches(textsOf(options, () => (emptyDocuments += 1)))) {
      const encoded = tokenizer === null ? null : await tokenizer.encodeBatch(batch.map(({ text }) => text));
      for (const [index, { id, text }] of batch.entries()) {
        documents += 1;
        if (encoded === null) {
          textBytes += Buffer.byteLength(text);
          await writer.add({ id, [TEXT_COLUMN]: text });
          continue;
        }
        const ids = encoded.ids.subarray(encoded.offsets[index] ?? 0, encoded.offsets[index + 1] ?? 0);
        const whole = isWide ? new Uint32Array(ids.length + 1) : new Uint16Array(ids.length + 1);
        whole.set(ids);
        whole[ids.length] = endOfText ?? 0;
        textBytes += encoded.textBytes[index] ?? 0;
        tokens += whole.length;
        const bytes = new Uint8Array(whole.buffer);
        await writer.add({ id, [TOKENS_COLUMN]: { dtype, shape: [whole.length], bytes } });
      }
    }
    await writer.finish();
  } catch (error) {
    await writer.discard();
    throw error;
  }
  return {
    directory,
    shards: writer.shards.length,
    documents,
    emptyDocuments,
    textBytes,
    tokens: tokenizer === null ? null : tokens,
    rawBytes: sumBytes(writer.shards, "raw_data"),
    storedBytes: sumBytes(writer.shards, "stored"),
  };
}
