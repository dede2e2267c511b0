// Raw text written to MDS shards and read back, with and without zstd. The bound is libzstd on the same bytes in memory:
// what files, offsets and texts cost beside it is ours.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { readDocuments } from "../corpus/documents.ts";
import { type MdsCompression } from "../corpus/mds/compression.ts";
import { readMdsIndex } from "../corpus/mds/index-file.ts";
import { openShard } from "../corpus/mds/shard.ts";
import { DEFAULT_SHARD_BYTES, MdsWriter } from "../corpus/mds/writer.ts";
import { loadAddon } from "../engine/addon.ts";
import { resourcePath } from "../paths.ts";
import { type BenchProgress, type BenchRow, benchRow } from "./rows.ts";

const TEXT_BYTES = 2 ** 26;
const WORDS_OF_A_DOCUMENT = 250;
const ZSTD: MdsCompression = { name: "zstd", level: 3 };

/** The given text up to 64 MB; without one, abstracts of the bundled sample's words in random order. */
export async function benchTexts(data: string | undefined): Promise<readonly string[]> {
  const texts: string[] = [];
  let bytes = 0;
  for await (const { text } of readDocuments([data ?? resourcePath("sample")])) {
    texts.push(text);
    bytes += Buffer.byteLength(text);
    if (bytes >= TEXT_BYTES) {
      return texts;
    }
  }
  if (data !== undefined) {
    return texts;
  }
  const words = texts.join(" ").split(/\s+/);
  const invented: string[] = [];
  let state = 1;
  for (bytes = 0; bytes < TEXT_BYTES; ) {
    const chosen = Array.from({ length: WORDS_OF_A_DOCUMENT }, () => {
      // Knuth's linear congruence; its upper bits are random enough for this.
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return words[Math.floor((state / 2 ** 32) * words.length)] ?? "";
    });
    const text = chosen.join(" ");
    invented.push(text);
    bytes += Buffer.byteLength(text);
  }
  return invented;
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

async function writeTexts(
  directory: string,
  texts: readonly string[],
  compression: MdsCompression | null,
): Promise<void> {
  const columns = { id: "str", text: "str" };
  const sizeLimitBytes = DEFAULT_SHARD_BYTES;
  const writer = await MdsWriter.create({ directory, columns, compression, hashes: [], sizeLimitBytes });
  for (const [id, text] of texts.entries()) {
    await writer.add({ id: String(id), text });
  }
  await writer.finish();
}

async function readTexts(directory: string): Promise<readonly string[]> {
  const texts: string[] = [];
  for (const entry of (await readMdsIndex(directory)).shards) {
    const shard = await openShard(directory, entry);
    for (let sample = 0; sample < shard.sampleCount; sample += 1) {
      texts.push(shard.columnBytes(sample, "text").toString("utf8"));
    }
  }
  return texts;
}

type Round = { readonly ours: number[]; readonly peer: number[] };

/** Libzstd alone on the shards of a folder that was written with and without it. */
async function zstdSeconds(raw: string, zipped: string): Promise<{ readonly pack: number; readonly unpack: number }> {
  const { shards: plain } = await readMdsIndex(raw);
  const { shards: packed } = await readMdsIndex(zipped);
  let pack = 0;
  let unpack = 0;
  for (const { raw_data } of plain) {
    const bytes = await readFile(path.join(raw, raw_data.basename));
    pack += await secondsOf(() => loadAddon().compressZstd(bytes, ZSTD.level));
  }
  for (const { raw_data, zip_data } of packed) {
    const bytes = await readFile(path.join(zipped, zip_data?.basename ?? ""));
    unpack += await secondsOf(() => loadAddon().decompressZstd(bytes, raw_data.bytes));
  }
  return { pack, unpack };
}

export async function textRows(
  folder: string,
  data: string | undefined,
  rounds: number,
  onProgress: BenchProgress,
): Promise<readonly BenchRow[]> {
  const texts = await benchTexts(data);
  const megabytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
  const measured = {
    writePlain: [] as Round[],
    readPlain: [] as Round[],
    writeZstd: [] as Round[],
    readZstd: [] as Round[],
  };
  for (let round = 1; round <= rounds; round += 1) {
    onProgress(`raw text, round ${round} of ${rounds}`);
    const raw = path.join(folder, `raw-${round}`);
    const zipped = path.join(folder, `zstd-${round}`);
    const rate = (seconds: number) => megabytes / seconds;
    const written = await secondsOf(() => writeTexts(raw, texts, null));
    const packed = await secondsOf(() => writeTexts(zipped, texts, ZSTD));
    for (const directory of [raw, zipped]) {
      const back = await readTexts(directory);
      if (back.length !== texts.length || back.some((text, index) => text !== texts[index])) {
        throw new AppError("BUG", `The benchmark stops: ${directory} does not read back as it was written.`);
      }
    }
    const read = await secondsOf(() => readTexts(raw));
    const unpacked = await secondsOf(() => readTexts(zipped));
    const alone = await zstdSeconds(raw, zipped);
    measured.writePlain.push({ ours: [rate(written)], peer: [] });
    measured.readPlain.push({ ours: [rate(read)], peer: [] });
    measured.writeZstd.push({ ours: [rate(packed)], peer: [rate(alone.pack)] });
    measured.readZstd.push({ ours: [rate(unpacked)], peer: [rate(alone.unpack)] });
  }
  const size = `${megabytes.toFixed(0)} MB of raw text`;
  const level = `zstd ${ZSTD.level}`;
  return [
    benchRow(`MDS write, ${size}, synced to the disk`, "", "MB/s", measured.writePlain),
    benchRow(`MDS read, ${size}`, "", "MB/s", measured.readPlain),
    benchRow(
      `MDS write with ${level}, ${size}, synced to the disk`,
      "libzstd alone, in memory (the bound)",
      "MB/s",
      measured.writeZstd,
    ),
    benchRow(`MDS read with ${level}, ${size}`, "libzstd alone, in memory (the bound)", "MB/s", measured.readZstd),
  ];
}
