// Which documents are held out: by a hash of the id alone, so that a document stays on its side when others are added,
// and a larger fraction holds out a superset of what a smaller one does.
import { createHash } from "node:crypto";

/** SHA-256 of the id's UTF-8 bytes, its first 48 bits as a number from 0 to below 1, compared with the fraction. */
export function isHeldOut(documentId: string, fraction: number): boolean {
  const digest = createHash("sha256").update(documentId, "utf8").digest();
  return digest.readUIntBE(0, 6) / 2 ** 48 < fraction;
}
