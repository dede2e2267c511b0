// Reads the documents of a token cache (docs/formats/token-cache.md) into JavaScript, for the count models. The engine
// has its own, memory-mapped reader; this one holds the whole cache and is meant for corpora of some megabytes.
import { readFile } from "node:fs/promises";
import path from "node:path";

export async function readTokenDocuments(directory: string): Promise<{
  readonly documents: readonly (Uint16Array | Uint32Array)[];
  readonly vocabSize: number;
  readonly endOfTextId: number;
  readonly textBytes: number;
}> {
  const meta = JSON.parse(await readFile(path.join(directory, "meta.json"), "utf8"));
  const tokenBytes = await readFile(path.join(directory, "tokens.bin"));
  const indexBytes = await readFile(path.join(directory, "documents.idx"));
  // Node may place a small file anywhere in a pool, so the bytes are copied to where a typed array may begin.
  const tokenBuffer = new Uint8Array(tokenBytes).buffer;
  const tokens = meta.dtype === "u16" ? new Uint16Array(tokenBuffer) : new Uint32Array(tokenBuffer);
  const index = new BigUint64Array(new Uint8Array(indexBytes).buffer);
  const documents: (Uint16Array | Uint32Array)[] = [];
  for (let at = 0; at + 1 < index.length; at += 1) {
    // The last token of each document is end-of-text.
    documents.push(tokens.subarray(Number(index[at]), Number(index[at + 1]) - 1));
  }
  return { documents, vocabSize: meta.vocab_size, endOfTextId: meta.end_of_text_id, textBytes: meta.text_bytes };
}
