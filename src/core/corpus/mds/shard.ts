// One MDS shard in memory: u32 number of samples, u32 offsets from the file's start, a JSON header, then the samples, each
// the u32 sizes of its variable columns followed by the columns. Every number is checked before anything is read by it.
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { decompress, parseCompression } from "./compression.ts";
import { type MdsEncoding, type MdsValue, mdsEncoding } from "./encodings.ts";
import { hashMismatch } from "./hashes.ts";
import { type MdsFile, type MdsShardEntry, mdsError } from "./index-file.ts";

export class MdsShard {
  readonly #where: string;
  readonly #bytes: Buffer;
  readonly #entry: MdsShardEntry;
  readonly #encodings: readonly MdsEncoding[];
  readonly #sizes: readonly (number | null)[];
  readonly #variableCount: number;

  /** The raw bytes of a shard; `where` names it in sentences. */
  constructor(bytes: Uint8Array, entry: MdsShardEntry, where: string) {
    this.#where = where;
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#entry = entry;
    this.#encodings = entry.column_encodings.map((name, index) =>
      mdsEncoding(name, `${where}: the column ${JSON.stringify(entry.column_names[index])}`),
    );
    this.#sizes = this.#encodings.map(({ size }) => size);
    this.#variableCount = this.#sizes.filter((size) => size === null).length;
    this.#check();
  }

  get sampleCount(): number {
    return this.#entry.samples;
  }

  get columnNames(): readonly string[] {
    return this.#entry.column_names;
  }

  #check(): void {
    const { samples, column_sizes: claimed, column_names: names } = this.#entry;
    const length = this.#bytes.length;
    for (const [index, size] of this.#sizes.entries()) {
      if (claimed[index] !== size) {
        throw mdsError(
          this.#where,
          `its index gives the column ${JSON.stringify(names[index])} ${claimed[index] ?? "variable"} bytes, and ${this.#encodings[index]?.name} has ${size ?? "variable"}`,
        );
      }
    }
    const tableEnd = 4 + 4 * (samples + 1);
    if (length < tableEnd) {
      throw mdsError(this.#where, `it has ${length} bytes, and the offsets of ${samples} samples end at ${tableEnd}`);
    }
    const found = this.#bytes.readUInt32LE(0);
    if (found !== samples) {
      throw mdsError(this.#where, `it says it has ${found} samples, and its index says ${samples}`);
    }
    let before = tableEnd;
    for (let sample = 0; sample <= samples; sample += 1) {
      const offset = this.#bytes.readUInt32LE(4 + 4 * sample);
      if (offset < before || offset > length) {
        throw mdsError(this.#where, `the offset of sample ${sample} is ${offset}, not within ${before} to ${length}`);
      }
      before = offset;
    }
    if (before !== length) {
      throw mdsError(this.#where, `its samples end at ${before}, and it has ${length} bytes`);
    }
  }

  #columnIndex(name: string): number {
    const index = this.#entry.column_names.indexOf(name);
    if (index < 0) {
      throw mdsError(
        this.#where,
        `it has no column ${JSON.stringify(name)}; its columns are ${this.columnNames.join(", ")}`,
      );
    }
    return index;
  }

  /** The bytes of one column of a sample; a view, not a copy. */
  columnBytes(sample: number, name: string): Buffer {
    const column = this.#columnIndex(name);
    if (!Number.isInteger(sample) || sample < 0 || sample >= this.sampleCount) {
      throw new AppError("BAD_ARGUMENT", `${this.#where} has no sample ${sample}; it has ${this.sampleCount}.`);
    }
    const begin = this.#bytes.readUInt32LE(4 + 4 * sample);
    const end = this.#bytes.readUInt32LE(8 + 4 * sample);
    let at = begin + 4 * this.#variableCount;
    const fail = (what: string) => mdsError(this.#where, `sample ${sample} ${what}`);
    if (at > end) {
      throw fail(`has ${end - begin} bytes, less than the sizes of its columns`);
    }
    let variable = 0;
    let found: Buffer | null = null;
    for (const [index, fixed] of this.#sizes.entries()) {
      const size = fixed ?? this.#bytes.readUInt32LE(begin + 4 * variable);
      variable += fixed === null ? 1 : 0;
      if (size > end - at) {
        throw fail(
          `says its column ${JSON.stringify(this.columnNames[index])} has ${size} bytes; ${end - at} are left`,
        );
      }
      if (index === column) {
        found = this.#bytes.subarray(at, at + size);
      }
      at += size;
    }
    if (at !== end || found === null) {
      throw fail(`has ${end - at} bytes more than its columns`);
    }
    return found;
  }

  value(sample: number, name: string): MdsValue {
    const bytes = this.columnBytes(sample, name);
    const encoding = this.#encodings[this.#columnIndex(name)];
    try {
      // as: there is one for each column.
      return (encoding as MdsEncoding).decode(bytes);
    } catch (cause) {
      if (cause instanceof AppError) {
        throw cause;
      }
      const what = cause instanceof Error ? cause.message : "";
      throw mdsError(this.#where, `sample ${sample}, column ${JSON.stringify(name)}: ${what}`);
    }
  }

  sample(index: number): Readonly<Record<string, MdsValue>> {
    return Object.fromEntries(this.columnNames.map((name) => [name, this.value(index, name)]));
  }
}

/** The raw bytes behind a file of a shard as it came from disk or network: size and hashes checked, then unpacked. */
export async function unpackShard(
  entry: MdsShardEntry,
  file: MdsFile,
  bytes: Uint8Array,
  where: string,
): Promise<Uint8Array> {
  const wrong = hashMismatch(file, bytes, where);
  if (wrong !== null) {
    throw new AppError("SHARD_HASH_MISMATCH", `${where} is not what was written: ${wrong}; fetch it again.`);
  }
  if (file !== entry.zip_data) {
    return bytes;
  }
  const raw = await decompress(parseCompression(entry.compression ?? "", where), bytes, entry.raw_data.bytes, where);
  const rawWrong = hashMismatch(entry.raw_data, raw, where);
  if (rawWrong !== null) {
    throw new AppError("SHARD_HASH_MISMATCH", `${where} unpacks to something else: ${rawWrong}; fetch it again.`);
  }
  return raw;
}

/** Which file of a shard lies in the folder: the raw one where both do. */
export async function presentFile(folder: string, entry: MdsShardEntry): Promise<MdsFile> {
  const candidates = [entry.raw_data, ...(entry.zip_data === null ? [] : [entry.zip_data])];
  for (const file of candidates) {
    const found = await stat(path.join(folder, file.basename)).catch(() => null);
    if (found?.isFile() === true) {
      if (found.size !== file.bytes) {
        throw mdsError(
          path.join(folder, file.basename),
          `it has ${found.size} bytes, and its index says ${file.bytes}; it was cut or changed`,
        );
      }
      return file;
    }
  }
  const names = candidates.map(({ basename }) => path.join(folder, basename)).join(" or ");
  throw new AppError("FILE_NOT_FOUND", `There is no ${names}, which the index of the folder names; fetch it again.`);
}

export async function openShard(folder: string, entry: MdsShardEntry): Promise<MdsShard> {
  const file = await presentFile(folder, entry);
  const where = path.join(folder, file.basename);
  const bytes = await readFile(where).catch((cause: unknown) => {
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${where}; check that you may read it.`, { cause });
  });
  return new MdsShard(await unpackShard(entry, file, bytes, where), entry, where);
}
