// From a place in training back to the documents it came from: the order of the data says which window a sequence of a step
// is, the token cache which documents lie in it and what their ids are.
import { type FileHandle, open, readFile } from "node:fs/promises";
import path from "node:path";
import { windowCount, windowOfSample } from "#shared/domain/data-order";
import { AppError } from "#shared/errors";
import { fileLines } from "./lines.ts";

export type TracedDocument = {
  readonly id: string;
  /** Its number in the cache, from 0; of a shard of tokens, the sample's. */
  readonly document: number;
  /** Tokens of the window that are this document's: from inclusive, to exclusive; its end-of-text among them. */
  readonly from: number;
  readonly to: number;
  /** Where in the document they begin. */
  readonly documentOffset: number;
};

export type Trace = {
  /** Offset of its first token in the text of all documents, or of the shard's. */
  readonly firstToken: number;
  readonly tokenCount: number;
  readonly documents: readonly TracedDocument[];
  /** Of a run that streamed: where the documents lie. */
  readonly shard: { readonly folder: string; readonly file: string } | null;
};

type CacheFacts = { readonly tokens: number; readonly documents: number };

const ENTRY_BYTES = 8;

async function readFacts(cache: string): Promise<CacheFacts> {
  try {
    const meta: unknown = JSON.parse(await readFile(path.join(cache, "meta.json"), "utf8"));
    // as: an object of Assay's own; wrong fields are seen just below.
    const { token_count: tokens, document_count: documents } = meta as { token_count: number; document_count: number };
    if (Number.isSafeInteger(tokens) && Number.isSafeInteger(documents)) {
      return { tokens, documents };
    }
  } catch {
    // The sentence is the same.
  }
  throw new AppError(
    "TOKEN_CACHE_DAMAGED",
    `The token cache ${cache} has no readable meta.json; delete the folder, it is made again.`,
  );
}

async function offsetAt(index: FileHandle, document: number): Promise<number> {
  const entry = Buffer.alloc(ENTRY_BYTES);
  await index.read(entry, 0, ENTRY_BYTES, document * ENTRY_BYTES);
  return Number(entry.readBigUInt64LE(0));
}

/** The document that holds a token. */
async function documentAt(index: FileHandle, token: number, documents: number): Promise<number> {
  let low = 0;
  let high = documents - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((await offsetAt(index, middle)) <= token) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

/** Ids of the documents from … to - 1. */
async function idsOf(cache: string, from: number, to: number): Promise<readonly string[]> {
  const ids: string[] = [];
  let line = 0;
  try {
    for await (const lines of fileLines(path.join(cache, "documents.ids"))) {
      for (let at = Math.max(0, from - line); at < lines.length && line + at < to; at += 1) {
        const id: unknown = JSON.parse(Buffer.from(lines[at] ?? new Uint8Array()).toString("utf8"));
        ids.push(typeof id === "string" ? id : "");
      }
      line += lines.length;
      if (line >= to) {
        break;
      }
    }
  } catch (cause) {
    throw new AppError(
      "TOKEN_CACHE_DAMAGED",
      `The token cache ${cache} holds no ids of its documents; delete the folder and run the recipe again, it is made anew with them.`,
      { cause },
    );
  }
  return ids;
}

/** The documents of tokens[firstToken … firstToken + tokenCount - 1] of a cache. */
export async function traceTokens(cache: string, firstToken: number, tokenCount: number): Promise<Trace> {
  const facts = await readFacts(cache);
  if (firstToken < 0 || firstToken >= facts.tokens) {
    throw new AppError(
      "BAD_ARGUMENT",
      `There is no token ${firstToken}: the training text has ${facts.tokens}, counted from 0.`,
    );
  }
  const end = Math.min(firstToken + tokenCount, facts.tokens);
  const index = await open(path.join(cache, "documents.idx"), "r");
  try {
    const first = await documentAt(index, firstToken, facts.documents);
    const last = await documentAt(index, end - 1, facts.documents);
    const ids = await idsOf(cache, first, last + 1);
    const documents: TracedDocument[] = [];
    for (let document = first; document <= last; document += 1) {
      const begin = await offsetAt(index, document);
      const next = await offsetAt(index, document + 1);
      const from = Math.max(begin, firstToken);
      documents.push({
        id: ids[document - first] ?? "",
        document,
        from: from - firstToken,
        to: Math.min(next, end) - firstToken,
        documentOffset: from - begin,
      });
    }
    return { firstToken, tokenCount: end - firstToken, documents, shard: null };
  } finally {
    await index.close();
  }
}

export type SequencePlace = {
  readonly sequenceLength: number;
  readonly batchSize: number;
  readonly shuffleSeed: number;
  /** From 1, as steps are counted. */
  readonly step: number;
  /** From 1, within the step's batch. */
  readonly sequence: number;
};

export function checkSequence(sequence: number, batchSize: number): void {
  if (sequence < 1 || sequence > batchSize) {
    throw new AppError("BAD_ARGUMENT", `There is no sequence ${sequence}: a step has ${batchSize}, counted from 1.`);
  }
}

/** The documents of one sequence of one step. */
export async function traceSequence(cache: string, place: SequencePlace): Promise<Trace> {
  const { sequenceLength, batchSize, shuffleSeed, step, sequence } = place;
  checkSequence(sequence, batchSize);
  const facts = await readFacts(cache);
  const windows = windowCount(facts.tokens, sequenceLength);
  const window = windowOfSample(windows, shuffleSeed, (step - 1) * batchSize + sequence - 1);
  return traceTokens(cache, window * sequenceLength, sequenceLength + 1);
}
