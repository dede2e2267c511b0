// Writes a folder of MDS shards: samples are gathered to a shard of at most the limit, compressed and hashed, and the index
// comes last, so that a folder without one was not finished.
import { rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { asFileError, makeFolder, syncFile, syncFolder, writeFileDurably } from "../../runs/durable-file.ts";
import { compress, type MdsCompression } from "./compression.ts";
import { type MdsEncoding, type MdsValue, mdsEncoding } from "./encodings.ts";
import { checkHashName, hashOf } from "./hashes.ts";
import { formatMdsIndex, LARGEST_SHARD_BYTES, MDS_INDEX_NAME, type MdsFile, type MdsShardEntry } from "./index-file.ts";

export const DEFAULT_SHARD_BYTES = 2 ** 26;

export type MdsWriterOptions = {
  /** Must not hold shards already. */
  readonly directory: string;
  /** Encodings by the names of the columns. */
  readonly columns: Readonly<Record<string, string>>;
  readonly compression: MdsCompression | null;
  readonly hashes: readonly string[];
  /** Of a raw shard; a single larger sample gets a shard of its own. */
  readonly sizeLimitBytes: number;
};

type Column = { readonly name: string; readonly encoding: MdsEncoding };
type ShardFacts = Omit<MdsShardEntry, "raw_data" | "zip_data" | "samples">;

function u32(values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [index, value] of values.entries()) {
    bytes.writeUInt32LE(value, 4 * index);
  }
  return bytes;
}

export class MdsWriter {
  readonly #options: MdsWriterOptions;
  readonly #columns: readonly Column[];
  readonly #facts: ShardFacts;
  /** Repeated in every shard, between offsets and samples. */
  readonly #header: Buffer;
  readonly #shards: MdsShardEntry[] = [];
  #samples: Buffer[] = [];
  #bytes: number;

  private constructor(options: MdsWriterOptions) {
    const { columns, compression, hashes } = options;
    this.#options = options;
    this.#columns = Object.entries(columns)
      .map(([name, encoding]) => ({ name, encoding: mdsEncoding(encoding, `the column ${JSON.stringify(name)}`) }))
      .toSorted((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    for (const name of hashes) {
      checkHashName(name, "the list of hashes");
    }
    // Keys in the order of the alphabet, as other writers have them.
    this.#facts = {
      column_encodings: this.#columns.map(({ encoding }) => encoding.name),
      column_names: this.#columns.map(({ name }) => name),
      column_sizes: this.#columns.map(({ encoding }) => encoding.size),
      compression: compression === null ? null : `${compression.name}:${compression.level}`,
      format: "mds",
      hashes: hashes.toSorted(),
      size_limit: options.sizeLimitBytes,
      version: 2,
    };
    this.#header = Buffer.from(JSON.stringify(this.#facts), "utf8");
    this.#bytes = this.#emptyBytes();
  }

  static async create(options: MdsWriterOptions): Promise<MdsWriter> {
    const { directory, sizeLimitBytes } = options;
    if (!Number.isInteger(sizeLimitBytes) || sizeLimitBytes < 1024 || sizeLimitBytes > LARGEST_SHARD_BYTES) {
      throw new AppError(
        "BAD_ARGUMENT",
        `A shard's size limit is 1024 to ${LARGEST_SHARD_BYTES} bytes (offsets have 32 bits), not ${sizeLimitBytes}.`,
      );
    }
    const writer = new MdsWriter(options);
    if ((await stat(path.join(directory, MDS_INDEX_NAME)).catch(() => null)) !== null) {
      throw new AppError(
        "FILE_NOT_WRITABLE",
        `${directory} holds an ${MDS_INDEX_NAME} already; name another folder, or remove that one.`,
      );
    }
    await makeFolder(directory);
    return writer;
  }

  get shards(): readonly MdsShardEntry[] {
    return this.#shards;
  }

  #emptyBytes(): number {
    return 4 + 4 + this.#header.length;
  }

  async add(sample: Readonly<Record<string, MdsValue>>): Promise<void> {
    const sizes: number[] = [];
    const parts: Uint8Array[] = [];
    for (const { name, encoding } of this.#columns) {
      const value = sample[name];
      if (value === undefined) {
        throw new AppError("BAD_ARGUMENT", `A sample has no value for the column ${JSON.stringify(name)}.`);
      }
      let bytes: Uint8Array;
      try {
        bytes = encoding.encode(value);
      } catch (cause) {
        const what = cause instanceof Error ? cause.message : "";
        throw new AppError("BAD_ARGUMENT", `The column ${JSON.stringify(name)}: ${what}.`, { cause });
      }
      parts.push(bytes);
      if (encoding.size === null) {
        sizes.push(bytes.length);
      }
    }
    const length = parts.reduce((sum, part) => sum + part.length, 4 * sizes.length);
    if (this.#emptyBytes() + 4 + length > LARGEST_SHARD_BYTES) {
      throw new AppError(
        "MDS_UNSUPPORTED",
        `A sample has ${length} bytes, and a shard has at most ${LARGEST_SHARD_BYTES}: its offsets have 32 bits; split the document.`,
      );
    }
    if (this.#samples.length > 0 && this.#bytes + 4 + length > this.#options.sizeLimitBytes) {
      await this.#flush();
    }
    this.#samples.push(Buffer.concat([u32(sizes), ...parts]));
    this.#bytes += 4 + length;
  }

  async #flush(): Promise<void> {
    const offsets: number[] = [];
    let at = this.#emptyBytes() + 4 * this.#samples.length;
    for (const sample of this.#samples) {
      offsets.push(at);
      at += sample.length;
    }
    offsets.push(at);
    const raw = Buffer.concat([u32([this.#samples.length, ...offsets]), this.#header, ...this.#samples]);
    const { compression, directory } = this.#options;
    const basename = `shard.${String(this.#shards.length).padStart(5, "0")}.mds`;
    const zipped = compression === null ? null : await compress(compression, raw);
    const zipName = `${basename}.${compression?.name}`;
    const file = path.join(directory, zipped === null ? basename : zipName);
    try {
      await writeFile(file, zipped ?? raw, { flag: "wx" });
      await syncFile(file);
    } catch (error) {
      throw asFileError(error, `write ${file}`);
    }
    this.#shards.push({
      ...this.#facts,
      raw_data: this.#describe(basename, raw),
      samples: this.#samples.length,
      zip_data: zipped === null ? null : this.#describe(zipName, zipped),
    });
    this.#samples = [];
    this.#bytes = this.#emptyBytes();
  }

  #describe(basename: string, bytes: Uint8Array): MdsFile {
    const hashes = this.#facts.hashes.map((name) => [name, hashOf(name, bytes, basename)] as const);
    return { basename, bytes: bytes.length, hashes: Object.fromEntries(hashes) };
  }

  /** The last shard and the index. */
  async finish(): Promise<void> {
    if (this.#samples.length > 0) {
      await this.#flush();
    }
    await syncFolder(this.#options.directory);
    await writeFileDurably(path.join(this.#options.directory, MDS_INDEX_NAME), formatMdsIndex(this.#shards));
  }

  /** Takes away what was written of a folder that is not to be finished. */
  async discard(): Promise<void> {
    for (const shard of this.#shards) {
      await rm(path.join(this.#options.directory, (shard.zip_data ?? shard.raw_data).basename), { force: true });
    }
    this.#samples = [];
  }
}
