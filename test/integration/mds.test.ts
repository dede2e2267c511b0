// MDS shards: what others wrote is read, what is written is read back by a reader of the format's facts in Python and by
// our own, and what is damaged is refused with a sentence, whatever its numbers claim.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readDocuments } from "#core/corpus/documents";
import { parseCompression } from "#core/corpus/mds/compression";
import type { MdsValue } from "#core/corpus/mds/encodings";
import { hashOf } from "#core/corpus/mds/hashes";
import { parseMdsIndex, readMdsIndex } from "#core/corpus/mds/index-file";
import { MdsShard, openShard } from "#core/corpus/mds/shard";
import { shardCorpus } from "#core/corpus/mds/write-corpus";
import { MdsWriter } from "#core/corpus/mds/writer";
import { readCorpus } from "#core/corpus/read-corpus";
import { loadAddon } from "#core/engine/addon";
import { trainTokenizer } from "#core/tokenizer/train";

const shared = path.join(process.env["ASSAY_TEST_DATA"] ?? path.resolve("../shared/data"), "mds");
const reference = path.resolve("test/support/mds-reference.py");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-mds-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function readAll(directory: string): Promise<Readonly<Record<string, MdsValue>>[]> {
  const samples: Readonly<Record<string, MdsValue>>[] = [];
  for (const entry of (await readMdsIndex(directory)).shards) {
    const shard = await openShard(directory, entry);
    for (let sample = 0; sample < shard.sampleCount; sample += 1) {
      samples.push(shard.sample(sample));
    }
  }
  return samples;
}

function readInPython(directory: string): Record<string, unknown>[] {
  const lines = execFileSync("python3", [reference, directory], { encoding: "utf8", maxBuffer: 1 << 28 });
  return lines
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

const u16 = (...values: number[]) => new Uint8Array(Uint16Array.from(values).buffer);

const columns = {
  array: "ndarray",
  array_typed: "ndarray:uint16",
  array_whole: "ndarray:int32:2,3",
  decimal: "str_decimal",
  f16: "float16",
  f32: "float32",
  f64: "float64",
  i16: "int16",
  i32: "int32",
  i64: "int64",
  i8: "int8",
  image: "jpeg",
  int: "int",
  large: "str_int",
  picture: "pil",
  raw: "bytes",
  real: "str_float",
  structured: "json",
  text: "str",
  u16: "uint16",
  u32: "uint32",
  u64: "uint64",
  u8: "uint8",
};

function sampleOf(index: number): Record<string, MdsValue> {
  return {
    array: { dtype: "float32", shape: [2, 1], bytes: new Uint8Array(Float32Array.of(index, 0.5).buffer) },
    array_typed: {
      dtype: "uint16",
      shape: [index + 300],
      bytes: u16(...Array.from({ length: index + 300 }, (_, at) => at)),
    },
    array_whole: { dtype: "int32", shape: [2, 3], bytes: new Uint8Array(Int32Array.of(1, -2, 3, -4, 5, index).buffer) },
    decimal: "12345678901234567890.000000000001",
    f16: index / 8,
    f32: -1.5,
    f64: Math.PI,
    i16: -32768,
    i32: -2147483648,
    i64: -9223372036854775808n,
    i8: -128,
    image: Uint8Array.of(0xff, 0xd8, index),
    int: BigInt(index),
    large: "-123456789012345678901234567890",
    picture: Uint8Array.of(1, 0, 0, 0),
    raw: Uint8Array.of(index, 0, 255),
    real: "1e-300",
    structured: { json: { list: [1, null, "α"], index } },
    text: `naïve β-cells 漢字 😀 ${index}`,
    u16: 65535,
    u32: 4294967295,
    u64: 18446744073709551615n,
    u8: 255,
  };
}

async function writeSamples(
  count: number,
  compression: string | null,
  hashes: readonly string[],
  sizeLimitBytes = 8192,
) {
  const directory = path.join(folder, "shards");
  const writer = await MdsWriter.create({
    directory,
    columns,
    compression: compression === null ? null : parseCompression(compression, "the test"),
    hashes,
    sizeLimitBytes,
  });
  for (let index = 0; index < count; index += 1) {
    await writer.add(sampleOf(index));
  }
  await writer.finish();
  return directory;
}

/** Values as both readers can say them. */
function comparable(sample: Readonly<Record<string, MdsValue>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(sample).map(([name, value]) => {
      if (typeof value === "bigint") {
        return [name, Number(value)];
      }
      if (value instanceof Uint8Array) {
        return [name, Buffer.from(value).toString("hex")];
      }
      if (typeof value === "object" && "json" in value) {
        return [name, value.json];
      }
      if (typeof value === "object") {
        const types = { uint16: Uint16Array, int32: Int32Array, float32: Float32Array };
        const Type = types[value.dtype as keyof typeof types];
        return [
          name,
          { dtype: value.dtype, shape: value.shape, values: [...new Type(new Uint8Array(value.bytes).buffer)] },
        ];
      }
      return [name, value];
    }),
  );
}

describe("shards of MosaicML's library", () => {
  const present = existsSync(shared);

  it.skipIf(!present)(
    "are read: numbers, text, and every sample of a merged index [needs the shared data]",
    async () => {
      const pets = await readAll(path.join(shared, "join", "pet"));
      expect(pets).toHaveLength(100);
      expect(pets).toEqual(readInPython(path.join(shared, "join", "pet")));
      const numbers = await readAll(path.join(shared, "join", "y"));
      expect(numbers.map(comparable)).toEqual(readInPython(path.join(shared, "join", "y")));
      expect(await readAll(path.join(shared, "join", "color"))).toEqual(
        readInPython(path.join(shared, "join", "color")),
      );
      const merged = await readAll(path.join(shared, "naive"));
      expect(merged).toEqual([
        ...(await readAll(path.join(shared, "naive", "26"))),
        ...(await readAll(path.join(shared, "naive", "25"))),
      ]);
      expect(await readAll(path.join(shared, "naive", "27"))).toEqual([]);
    },
  );

  it.skipIf(!present)("without text are refused as a corpus with what they hold [needs the shared data]", async () => {
    const reading = readDocuments(path.join(shared, "join", "pet")).next();
    await expect(reading).rejects.toMatchObject({
      code: "MDS_INVALID",
      message: expect.stringMatching(/no column text.*_id \(int32\), pet \(str\)/),
    });
  });
});

describe("shards we write", () => {
  for (const compression of [null, "gz:6"]) {
    it(`hold the same samples for a reader in Python and for ours (${compression ?? "not compressed"})`, async () => {
      const directory = await writeSamples(40, compression, ["sha1", "md5"]);
      const expected = Array.from({ length: 40 }, (_, index) => comparable(sampleOf(index)));
      expect((await readMdsIndex(directory)).shards.length).toBeGreaterThan(3);
      expect((await readAll(directory)).map(comparable)).toEqual(expected);
      expect(readInPython(directory)).toEqual(expected);
    });
  }

  it("are the same samples through zstd, checked by xxh64", async () => {
    const directory = await writeSamples(40, "zstd:7", ["xxh64"]);
    expect((await readAll(directory)).map(comparable)).toEqual(
      Array.from({ length: 40 }, (_, index) => comparable(sampleOf(index))),
    );
    const [entry] = (await readMdsIndex(directory)).shards;
    expect(entry?.zip_data?.bytes).toBeLessThan(entry?.raw_data.bytes ?? 0);
  });

  it("stay within the limit, and are the same bytes when written again", async () => {
    const directory = await writeSamples(25, null, []);
    const first = await readMdsIndex(directory);
    const bytes = await Promise.all(
      first.shards.map((entry) => readFile(path.join(directory, entry.raw_data.basename))),
    );
    expect(Math.max(...bytes.map((each) => each.length))).toBeLessThanOrEqual(8192);
    await rm(directory, { recursive: true });
    await writeSamples(25, null, []);
    const again = await Promise.all(
      first.shards.map((entry) => readFile(path.join(directory, entry.raw_data.basename))),
    );
    expect(again).toEqual(bytes);
  });

  it("of no sample are an index that reads as empty, and a folder with an index is not written over", async () => {
    const directory = await writeSamples(0, null, []);
    expect(await readAll(directory)).toEqual([]);
    expect(readInPython(directory)).toEqual([]);
    await expect(writeSamples(1, null, [])).rejects.toMatchObject({ code: "FILE_NOT_WRITABLE" });
  });

  it("refuse what does not fit a column", async () => {
    const directory = path.join(folder, "shards");
    const writer = await MdsWriter.create({
      directory,
      columns: { n: "uint8" },
      compression: null,
      hashes: [],
      sizeLimitBytes: 4096,
    });
    await expect(writer.add({ n: 256 })).rejects.toThrow("256 does not fit into uint8");
    await expect(writer.add({})).rejects.toThrow('no value for the column "n"');
  });
});

describe("hashes", () => {
  it("of XXH64 are another implementation's, of less than a block and of several with a rest", () => {
    // Digests as npm's hash-wasm 4.13.0 has them.
    expect(hashOf("xxh64", new Uint8Array(0), "here")).toBe("ef46db3751d8e999");
    expect(hashOf("xxh64", Buffer.from("a"), "here")).toBe("d24ec4f1a98c6e5b");
    expect(hashOf("xxh64", Buffer.from("abc"), "here")).toBe("44bc2cf5ad770999");
    expect(
      hashOf(
        "xxh64",
        Uint8Array.from({ length: 101 }, (_, at) => at),
        "here",
      ),
    ).toBe("e99038495f85381e");
  });

  it("that are not known are refused by name", () => {
    expect(() => hashOf("crc32", new Uint8Array(1), "here")).toThrow(/crc32.*knows blake2b/);
  });
});

describe("damaged shards", () => {
  it("are told by their hash, before anything is unpacked", async () => {
    const directory = await writeSamples(3, "zstd", ["sha256"]);
    const [entry] = (await readMdsIndex(directory)).shards;
    const file = path.join(directory, entry?.zip_data?.basename ?? "");
    const bytes = await readFile(file);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await writeFile(file, bytes);
    await expect(readAll(directory)).rejects.toMatchObject({ code: "SHARD_HASH_MISMATCH" });
    await writeFile(file, bytes.subarray(1));
    await expect(readAll(directory)).rejects.toMatchObject({
      code: "MDS_INVALID",
      message: expect.stringMatching(/cut/),
    });
  });

  it("never read past their end: every byte of the header changed, every length cut", async () => {
    const directory = await writeSamples(3, null, [], 1 << 20);
    const [entry] = (await readMdsIndex(directory)).shards;
    if (entry === undefined) {
      throw new Error("no shard was written");
    }
    const whole = await readFile(path.join(directory, entry.raw_data.basename));
    const tryRead = (bytes: Uint8Array) => {
      try {
        const shard = new MdsShard(bytes, entry, "shard");
        for (let sample = 0; sample < shard.sampleCount; sample += 1) {
          shard.sample(sample);
        }
      } catch (error) {
        expect(error).toMatchObject({ code: "MDS_INVALID" });
        return "refused";
      }
      return "read";
    };
    expect(tryRead(whole)).toBe("read");
    for (let at = 0; at < 20; at += 1) {
      for (const flip of [1, 0x80, 0xff]) {
        const bytes = Buffer.from(whole);
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        expect(tryRead(bytes)).toBe("refused");
      }
    }
    for (let length = 0; length < whole.length; length += 7) {
      expect(tryRead(whole.subarray(0, length))).toBe("refused");
    }
    // The sizes of the first sample's variable columns.
    const begin = whole.readUInt32LE(4);
    for (let at = begin; at < begin + 40; at += 1) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0x80;
      expect(tryRead(bytes)).toBe("refused");
    }
  });

  it("of a few bytes that unpack to very many are refused at what the index says", async () => {
    const addon = loadAddon();
    const bomb = await addon.compressZstd(new Uint8Array(64 << 20), 3);
    expect(bomb.length).toBeLessThan(10_000);
    await expect(addon.decompressZstd(bomb, 1000)).rejects.toMatchObject({ code: "MDS_INVALID" });
    await expect(addon.decompressZstd(bomb.subarray(0, 100), 1 << 30)).rejects.toMatchObject({ code: "MDS_INVALID" });
    await expect(addon.decompressZstd(Buffer.from("not zstd"), 1 << 30)).rejects.toMatchObject({ code: "MDS_INVALID" });
    expect(await addon.decompressZstd(await addon.compressZstd(new Uint8Array(0), 1), 0)).toHaveLength(0);
  });
});

describe("an index", () => {
  const entry = {
    column_encodings: ["str"],
    column_names: ["text"],
    column_sizes: [null],
    compression: null,
    format: "mds",
    hashes: [],
    raw_data: { basename: "shard.00000.mds", bytes: 100, hashes: {} },
    samples: 1,
    size_limit: 67108864,
    version: 2,
    zip_data: null,
  };
  const parse = (change: object) =>
    parseMdsIndex(JSON.stringify({ version: 2, shards: [{ ...entry, ...change }] }), "index.json");

  it("is refused with a sentence where it names files outside, 4 GiB, another version or format", () => {
    expect(parse({}).shards).toHaveLength(1);
    expect(() => parse({ raw_data: { ...entry.raw_data, basename: "../x" } })).toThrow(/does not lie in the folder/);
    expect(() => parse({ raw_data: { ...entry.raw_data, basename: "/etc/passwd" } })).toThrow(
      /does not lie in the folder/,
    );
    expect(() => parse({ raw_data: { ...entry.raw_data, bytes: 2 ** 32 } })).toThrow(/32 bits/);
    expect(() => parse({ version: 1 })).toThrow(/version 1/);
    expect(() => parse({ format: "csv" })).toThrow(/only mds/);
    expect(() => parse({ column_sizes: [] })).toThrow(/0 sizes/);
    expect(() => parse({ compression: "zstd" })).toThrow(/no zip_data/);
    expect(() => parse({ samples: -1 })).toThrow(/samples/);
  });

  it("with a pickled column is read, but its shards are not", () => {
    const [pickled] = parse({ column_encodings: ["pkl"] }).shards;
    expect(() => pickled !== undefined && new MdsShard(Buffer.alloc(100), pickled, "shard")).toThrow(/pickle/);
  });
});

describe("a corpus", () => {
  const texts = Array.from(
    { length: 50 },
    (_, index) => `Document ${index}: metformin and β-blockers. ${"x ".repeat(index)}`,
  );

  async function corpus(): Promise<string> {
    const file = path.join(folder, "corpus.jsonl");
    await writeFile(file, texts.map((text, index) => `${JSON.stringify({ id: `d${index}`, text })}\n`).join(""));
    return file;
  }

  it("written as raw shards is the same documents to whatever reads a corpus", async () => {
    const directory = path.join(folder, "raw");
    const report = await shardCorpus({
      inputs: [await corpus()],
      directory,
      tokenizer: null,
      compression: parseCompression("zstd:3", "the test"),
      hashes: ["sha1"],
      sizeLimitBytes: 2048,
    });
    expect(report).toMatchObject({ documents: 50, tokens: null });
    expect(report.shards).toBeGreaterThan(1);
    const found = [];
    for await (const { id, text } of readDocuments(directory)) {
      found.push({ id, text });
    }
    const expected = texts.map((text, index) => ({ id: `d${index}`, text }));
    expect(found).toEqual(expected);
    const again: typeof expected = [];
    for await (const batch of readCorpus([directory])) {
      again.push(...batch.map(({ id, text }) => ({ id, text })));
    }
    expect(again).toEqual(expected);
  });

  it("written as tokens holds each document's ids and end-of-text", async () => {
    async function* documents() {
      yield* texts.map((text, index) => ({ id: `${index}`, text, file: "x", line: 1 }));
    }
    const { tokenizer } = await trainTokenizer({
      type: "byte-bpe",
      vocabSize: 270,
      minFrequency: 2,
      documents: documents(),
    });
    const directory = path.join(folder, "tokens");
    const report = await shardCorpus({
      inputs: [await corpus()],
      directory,
      tokenizer,
      compression: null,
      hashes: ["md5"],
    });
    const samples = readInPython(directory) as { id: string; tokens: { values: number[] } }[];
    expect(samples.map(({ tokens }) => tokens.values)).toEqual(
      texts.map((text) => [...tokenizer.encode(text).ids, tokenizer.endOfTextId]),
    );
    expect(report.tokens).toBe(samples.reduce((sum, { tokens }) => sum + tokens.values.length, 0));
    await expect(readDocuments(directory).next()).rejects.toMatchObject({
      message: expect.stringMatching(/holds tokens, not text/),
    });
  });
});
