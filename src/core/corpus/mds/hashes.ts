// Hashes of shard files, by the names MosaicML's library gives them: those of Python's hashlib that OpenSSL has, and
// xxh64. They tell a shard that was damaged on its way; none of them is a signature.
import { createHash } from "node:crypto";
import { AppError } from "#shared/errors";
import { loadAddon } from "../../engine/addon.ts";
import type { MdsFile } from "./index-file.ts";

const opensslNames: Readonly<Record<string, string>> = {
  blake2b: "blake2b512",
  blake2s: "blake2s256",
  md5: "md5",
  sha1: "sha1",
  sha224: "sha224",
  sha256: "sha256",
  sha384: "sha384",
  sha512: "sha512",
  sha3_224: "sha3-224",
  sha3_256: "sha3-256",
  sha3_384: "sha3-384",
  sha3_512: "sha3-512",
};
const knownHashes: readonly string[] = [...Object.keys(opensslNames), "xxh64"];

function unknown(name: string, where: string): AppError {
  return new AppError(
    "MDS_UNSUPPORTED",
    `${where} has the hash ${JSON.stringify(name)}; this program knows ${knownHashes.join(", ")}.`,
  );
}

export function checkHashName(name: string, where: string): void {
  if (!knownHashes.includes(name)) {
    throw unknown(name, where);
  }
}

export function hashOf(name: string, bytes: Uint8Array, where: string): string {
  if (name === "xxh64") {
    return loadAddon().xxh64(bytes);
  }
  const known = Object.hasOwn(opensslNames, name) ? opensslNames[name] : undefined;
  if (known === undefined) {
    throw unknown(name, where);
  }
  return createHash(known).update(bytes).digest("hex");
}

/** The sentence's half that says which hash is another; null where all of them agree. */
export function hashMismatch(file: MdsFile, bytes: Uint8Array, where: string): string | null {
  if (bytes.length !== file.bytes) {
    return `it has ${bytes.length} bytes, and its index says ${file.bytes}`;
  }
  for (const [name, expected] of Object.entries(file.hashes)) {
    const found = hashOf(name, bytes, where);
    if (found !== expected.toLowerCase()) {
      return `its ${name} is ${found}, and its index says ${expected}`;
    }
  }
  return null;
}
