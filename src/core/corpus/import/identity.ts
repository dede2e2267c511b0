// Which of several records with one id stays. Every record of every part is twelve bytes on disk, a hash of its id first;
// they are read in passes over a range of hashes each, so that memory is bounded however many records there are: a byte a
// record, and one table.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

export const IDENTITY_BYTES = 12;

export const identityKinds = { publication: 0, own: 1, deletion: 2 } as const;

/** What becomes of a record. */
export const fates = { kept: 0, superseded: 1, deleted: 2, renamed: 3, noDocument: 4 } as const;

const TABLE_IDS = 4 * 1024 * 1024;
const NOBODY = 0xffff_ffff;

/** Twelve bytes: 64 bits of the SHA-256 of the id, then the kind and the version. */
export function writeIdentity(into: Buffer, at: number, id: string, kind: number, version: number): void {
  const digest = createHash("sha256").update(id, "utf8").digest();
  digest.copy(into, at, 0, 8);
  into.writeUInt32LE(((kind << 16) | version) >>> 0, at + 8);
}

/** Open addressing over the hashes of one pass. */
class LastRecords {
  readonly #mask: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  readonly #record: Uint32Array;
  readonly #version: Uint16Array;
  readonly #isUsed: Uint8Array;

  constructor(ids: number) {
    let size = 1024;
    while (size < 2 * ids) {
      size *= 2;
    }
    this.#mask = size - 1;
    this.#high = new Uint32Array(size);
    this.#low = new Uint32Array(size);
    this.#record = new Uint32Array(size);
    this.#version = new Uint16Array(size);
    this.#isUsed = new Uint8Array(size);
  }

  /** Where this id is, or would be. */
  slot(high: number, low: number): number {
    let at = low & this.#mask;
    while (this.#isUsed[at] === 1 && (this.#high[at] !== high || this.#low[at] !== low)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  record(at: number): number {
    return this.#isUsed[at] === 1 ? (this.#record[at] ?? NOBODY) : NOBODY;
  }

  version(at: number): number {
    return this.#version[at] ?? 0;
  }

  set(at: number, high: number, low: number, record: number, version: number): void {
    this.#isUsed[at] = 1;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#record[at] = record;
    this.#version[at] = version;
  }
}

async function* identities(files: readonly string[]): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for (const file of files) {
    for await (const chunk of createReadStream(file, { highWaterMark: IDENTITY_BYTES * 65_536 })) {
      // as: a stream without an encoding yields buffers.
      const bytes = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
      const whole = bytes.length - (bytes.length % IDENTITY_BYTES);
      yield bytes.subarray(0, whole);
      rest = bytes.subarray(whole);
    }
  }
}

/** The fate of every record, in the order of the files. `idsAtOnce` bounds the table. */
export async function settleIdentities(
  files: readonly string[],
  records: number,
  idsAtOnce = TABLE_IDS,
): Promise<Uint8Array> {
  const fate = new Uint8Array(records);
  const passes = Math.max(1, Math.ceil(records / idsAtOnce));
  for (let pass = 0; pass < passes; pass += 1) {
    // Hashes spread evenly over the passes, and the table is at most half full.
    const table = new LastRecords(Math.ceil((1.25 * records) / passes) + 1024);
    let record = 0;
    for await (const bytes of identities(files)) {
      for (let at = 0; at < bytes.length; at += IDENTITY_BYTES) {
        const high = bytes.readUInt32LE(at);
        if (high % passes === pass) {
          settleOne(table, fate, record, high, bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8));
        }
        record += 1;
      }
    }
  }
  return fate;
}

function settleOne(
  table: LastRecords,
  fate: Uint8Array,
  record: number,
  high: number,
  low: number,
  kindAndVersion: number,
): void {
  const kind = kindAndVersion >>> 16;
  const version = kindAndVersion & 0xffff;
  const at = table.slot(high, low);
  const before = table.record(at);
  if (kind === identityKinds.deletion) {
    if (before !== NOBODY) {
      fate[before] = fates.deleted;
    }
    fate[record] = fates.noDocument;
    table.set(at, high, low, NOBODY, 0);
  } else if (before === NOBODY) {
    table.set(at, high, low, record, version);
  } else if (kind === identityKinds.own) {
    fate[record] = fates.renamed;
  } else if (version >= table.version(at)) {
    fate[before] = fates.superseded;
    table.set(at, high, low, record, version);
  } else {
    fate[record] = fates.superseded;
  }
}
