// Which of several records with one id stays. Every record of every part is twelve bytes on disk, a hash of its id first;
// memory is nine bytes a record and one table, however many records there are.
import { createHash } from "node:crypto";
import { eachRepeat, NOBODY } from "../repeats.ts";

export const IDENTITY_BYTES = 12;

export const identityKinds = { publication: 0, own: 1, deletion: 2 } as const;

/** What becomes of a record. */
export const fates = { kept: 0, superseded: 1, deleted: 2, renamed: 3, noDocument: 4 } as const;

/** Twelve bytes: 64 bits of the SHA-256 of the id, then the kind and the version. */
export function writeIdentity(into: Buffer, at: number, id: string, kind: number, version: number): void {
  const digest = createHash("sha256").update(id, "utf8").digest();
  digest.copy(into, at, 0, 8);
  into.writeUInt32LE(((kind << 16) | version) >>> 0, at + 8);
}

/** The fate of every record, in the order of the files. `idsAtOnce` bounds the table. */
export async function settleIdentities(
  files: readonly string[],
  records: number,
  idsAtOnce?: number,
): Promise<Uint8Array> {
  const fate = new Uint8Array(records);
  /** For the last record of an id: which of that id stands at that moment, and its version. */
  const standing = new Uint32Array(records);
  const versions = new Uint16Array(records);
  await eachRepeat({
    files,
    stride: IDENTITY_BYTES,
    records,
    hashesAtOnce: idsAtOnce,
    onRecord: (record, previous, entry) => {
      const kindAndVersion = entry.readUInt32LE(8);
      const kind = kindAndVersion >>> 16;
      versions[record] = kindAndVersion & 0xffff;
      const before = previous === NOBODY ? NOBODY : (standing[previous] ?? NOBODY);
      standing[record] = settleOne(fate, versions, record, before, kind);
    },
  });
  return fate;
}

/** Settles a record against the one of its id that stands; returns who stands now. */
function settleOne(fate: Uint8Array, versions: Uint16Array, record: number, before: number, kind: number): number {
  if (kind === identityKinds.deletion) {
    fate[record] = fates.noDocument;
    if (before !== NOBODY) {
      fate[before] = fates.deleted;
    }
    return NOBODY;
  }
  if (before === NOBODY) {
    return record;
  }
  if (kind === identityKinds.own) {
    fate[record] = fates.renamed;
    return before;
  }
  if ((versions[record] ?? 0) >= (versions[before] ?? 0)) {
    fate[before] = fates.superseded;
    return record;
  }
  fate[record] = fates.superseded;
  return before;
}
