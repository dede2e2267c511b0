// Compression of whole shards: gzip by Node, zstd by the system's libzstd through the engine. What comes out is bounded by
// what the index says of the raw shard, so that a small file cannot unpack into all of the memory.
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { AppError, toErrorEnvelope } from "#shared/errors";
import { loadAddon } from "../../engine/addon.ts";

export type MdsCompression = { readonly name: "gz" | "zstd"; readonly level: number };

const levels = { gz: { least: 0, most: 9, usual: 9 }, zstd: { least: 1, most: 22, usual: 3 } } as const;

/** "zstd", "zstd:7", "gz", "gz:9": the extension of the file is the name. */
export function parseCompression(text: string, where: string): MdsCompression {
  const [name = "", level, ...rest] = text.split(":");
  if ((name !== "gz" && name !== "zstd") || rest.length > 0) {
    throw new AppError(
      "MDS_UNSUPPORTED",
      `${where} has the compression ${JSON.stringify(text)}; this program knows zstd and gz, as in zstd:7.`,
    );
  }
  const { least, most, usual } = levels[name];
  const chosen = level === undefined ? usual : /^\d{1,2}$/.test(level) ? Number(level) : -1;
  if (chosen < least || chosen > most) {
    throw new AppError("MDS_UNSUPPORTED", `${where}: the level of ${name} is ${least} to ${most}, not ${level}.`);
  }
  return { name, level: chosen };
}

export async function compress({ name, level }: MdsCompression, bytes: Uint8Array): Promise<Uint8Array> {
  return name === "gz" ? promisify(gzip)(bytes, { level }) : loadAddon().compressZstd(bytes, level);
}

/** Exactly `rawBytes` come out, or MDS_INVALID is thrown. */
export async function decompress(
  { name }: MdsCompression,
  bytes: Uint8Array,
  rawBytes: number,
  where: string,
): Promise<Uint8Array> {
  let raw: Uint8Array;
  try {
    raw =
      name === "zstd"
        ? await loadAddon().decompressZstd(bytes, rawBytes)
        : await promisify(gunzip)(bytes, { maxOutputLength: Math.max(1, rawBytes) });
  } catch (cause) {
    if (name === "zstd" && toErrorEnvelope(cause).code !== "MDS_INVALID") {
      throw cause;
    }
    throw new AppError("MDS_INVALID", `Cannot unpack ${where}: it is damaged, or larger than its index says.`, {
      cause,
    });
  }
  if (raw.length !== rawBytes) {
    throw new AppError("MDS_INVALID", `${where} unpacks to ${raw.length} bytes, and its index says ${rawBytes}.`);
  }
  return raw;
}
