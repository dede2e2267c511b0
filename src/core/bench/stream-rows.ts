// Shards of raw text at a server that fails, to batches of token ids: fetched, verified, unpacked, tokenized, written and
// gathered, beside one tokenizer thread with the same texts in memory. What lies between the two is the loader's own.
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { inBatches } from "../corpus/batches.ts";
import { parseCompression } from "../corpus/mds/compression.ts";
import { MdsWriter } from "../corpus/mds/writer.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { openTokenStream, streamStart } from "../streaming/token-stream.ts";
import { loadGpt2Tokenizer } from "../tokenizer/gpt2.ts";
import { benchTexts } from "./data-text-bench.ts";
import { type BenchProgress, type BenchRow, benchRow } from "./rows.ts";
import { serveFolder } from "./stream-server.ts";

const SEQUENCE_TOKENS = 1024;
const BATCH = 8;
const SHARD_BYTES = 2 ** 23;

async function writeShards(directory: string, texts: readonly string[], compression: string | null): Promise<void> {
  const writer = await MdsWriter.create({
    directory,
    columns: { id: "str", text: "str" },
    compression: compression === null ? null : parseCompression(compression, "the benchmark"),
    hashes: ["xxh64"],
    sizeLimitBytes: SHARD_BYTES,
  });
  for (const [id, text] of texts.entries()) {
    await writer.add({ id: String(id), text });
  }
  await writer.finish();
}

/** One epoch; an empty cache each time. */
async function streamSeconds(location: string, tokenizerFolder: string, cacheFolder: string): Promise<number> {
  const stream = await openTokenStream({
    sources: [{ location }],
    tokenizerFolder,
    tokenBytes: 2,
    seqLen: SEQUENCE_TOKENS,
    seed: 17,
    blockShards: 2,
    cacheFolder,
    cacheLimitBytes: Number.MAX_SAFE_INTEGER,
    predownloadShards: 8,
    signal: new AbortController().signal,
    onNotice: () => undefined,
  });
  try {
    const out = new Int32Array(BATCH * (SEQUENCE_TOKENS + 1));
    const start = performance.now();
    stream.seek(streamStart);
    for (let epoch = 0; epoch < 1; ) {
      epoch = (await stream.next(BATCH, out)).epoch;
    }
    return (performance.now() - start) / 1000;
  } finally {
    await stream.close();
    await rm(cacheFolder, { recursive: true });
  }
}

async function tokenizerSeconds(tokenizer: NativeTokenizer, texts: readonly string[]): Promise<number> {
  async function* documents() {
    for (const text of texts) {
      yield { text };
    }
  }
  const start = performance.now();
  for await (const batch of inBatches(documents())) {
    await tokenizer.encodeBatch(
      batch.map(({ text }) => text),
      { threads: 1 },
    );
  }
  return (performance.now() - start) / 1000;
}

export async function streamRows(
  folder: string,
  data: string | undefined,
  rounds: number,
  onProgress: BenchProgress,
): Promise<readonly BenchRow[]> {
  const texts = await benchTexts(data);
  const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
  const tokenizer = await loadGpt2Tokenizer();
  const tokenizerFolder = path.join(folder, "gpt2");
  await mkdir(tokenizerFolder, { recursive: true });
  await tokenizer.saveTokenizerJson(path.join(tokenizerFolder, "tokenizer.json"));
  const rows: BenchRow[] = [];
  for (const compression of [null, "zstd:3"]) {
    const directory = path.join(folder, `stream-${compression ?? "raw"}`);
    await writeShards(directory, texts, compression);
    const server = await serveFolder(directory);
    const measured: { ours: number[]; peer: number[] }[] = [];
    try {
      for (let round = 1; round <= rounds; round += 1) {
        onProgress(`streaming raw text (${compression ?? "not packed"}), round ${round} of ${rounds}`);
        const ours = await streamSeconds(server.address, tokenizerFolder, path.join(folder, "stream-cache"));
        const alone = await tokenizerSeconds(tokenizer, texts);
        measured.push({ ours: [megabytes / ours], peer: [megabytes / alone] });
      }
    } finally {
      await server.close();
    }
    const packed = compression === null ? "" : `, ${compression.replace(":", " ")}`;
    rows.push(
      benchRow(
        `Stream raw text${packed} from a server that fails to batches, ${megabytes.toFixed(0)} MB, GPT-2's tokens`,
        "one tokenizer thread alone, in memory",
        "MB/s",
        measured,
      ),
    );
  }
  return rows;
}
