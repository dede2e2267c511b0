// Finds records that share a 64-bit hash, among more of them than memory could hold at once: the hashes lie in a file in
// the order of the records, and are read in passes over a share of all hashes each.
import { createReadStream } from "node:fs";

/** No record. */
export const NOBODY = 0xffff_ffff;

const TABLE_HASHES = 4 * 1024 * 1024;

/** Open addressing: the last record of every hash of one pass. */
class LastRecords {
  readonly #mask: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  /** One more than the record; 0 where the place is free. */
  readonly #record: Uint32Array;

  constructor(hashes: number) {
    let size = 1024;
    while (size < 2 * hashes) {
      size *= 2;
    }
    this.#mask = size - 1;
    this.#high = new Uint32Array(size);
    this.#low = new Uint32Array(size);
    this.#record = new Uint32Array(size);
  }

  /** Puts the record in the place of the one before, which is returned. */
  replace(high: number, low: number, record: number): number {
    let at = low & this.#mask;
    while (this.#record[at] !== 0 && (this.#high[at] !== high || this.#low[at] !== low)) {
      at = (at + 1) & this.#mask;
    }
    const before = this.#record[at] ?? 0;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#record[at] = record + 1;
    return before === 0 ? NOBODY : before - 1;
  }
}

/** Entries of `stride` bytes, whole ones at a time. */
async function* entries(files: readonly string[], stride: number): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for (const file of files) {
    for await (const chunk of createReadStream(file, { highWaterMark: stride * 65_536 })) {
      // as: a stream without an encoding yields buffers.
      const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      const whole = bytes.length - (bytes.length % stride);
      yield bytes.subarray(0, whole);
      rest = bytes.subarray(whole);
    }
  }
}

export type RepeatOptions = {
  /** One after the other. */
  readonly files: readonly string[];
  /** Bytes of an entry; its first eight are the hash. */
  readonly stride: number;
  readonly records: number;
  /** Bounds the table, for tests. */
  readonly hashesAtOnce?: number | undefined;
  /**
   * Every record in order of the pass, with the last one before it that has its hash (or NOBODY), and its entry.
   */
  readonly onRecord: (record: number, previous: number, entry: Buffer) => void;
};

export async function eachRepeat(options: RepeatOptions): Promise<void> {
  const { files, stride, records, hashesAtOnce = TABLE_HASHES, onRecord } = options;
  const passes = Math.max(1, Math.ceil(records / hashesAtOnce));
  for (let pass = 0; pass < passes; pass += 1) {
    // Hashes spread evenly over the passes, and the table is at most half full.
    const table = new LastRecords(Math.ceil((1.25 * records) / passes) + 1024);
    let record = 0;
    for await (const bytes of entries(files, stride)) {
      for (let at = 0; at < bytes.length; at += stride) {
        const high = bytes.readUInt32LE(at);
        if (high % passes === pass) {
          const previous = table.replace(high, bytes.readUInt32LE(at + 4), record);
          onRecord(record, previous, bytes.subarray(at, at + stride));
        }
        record += 1;
      }
    }
  }
}
