// index.json of a folder of MDS shards, MosaicML's format version 2: which shards there are, their columns, sizes and
// hashes. What it says is a claim: names stay inside the folder, and sizes are checked against the files.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { z } from "zod";
import { AppError } from "#shared/errors";

export const MDS_INDEX_NAME = "index.json";
/** Offsets within a shard are unsigned 32-bit numbers. */
export const LARGEST_SHARD_BYTES = 2 ** 32 - 1;
/** An index of a hundred thousand shards has some 50 MB. */
export const LARGEST_INDEX_BYTES = 512 * 1024 * 1024;

const count = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);

const fileSchema = z.object({
  basename: z.string().min(1).max(4096),
  bytes: count,
  hashes: z.record(z.string(), z.string()),
});

const shardSchema = z.object({
  column_names: z.array(z.string()).min(1).max(65_536),
  column_encodings: z.array(z.string()),
  column_sizes: z.array(count.nullable()),
  compression: z.string().nullable(),
  format: z.string(),
  hashes: z.array(z.string()),
  raw_data: fileSchema,
  zip_data: fileSchema.nullable(),
  samples: count,
  size_limit: z.union([count, z.string()]).nullable(),
  version: z.number(),
});

const indexSchema = z.object({ version: z.number(), shards: z.array(z.unknown()) });

export type MdsFile = z.infer<typeof fileSchema>;
export type MdsShardEntry = z.infer<typeof shardSchema>;
export type MdsIndex = { readonly version: 2; readonly shards: readonly MdsShardEntry[] };

export function mdsError(where: string, what: string): AppError {
  return new AppError("MDS_INVALID", `${where}: ${what}.`, { details: { file: where } });
}

/** A relative path with slashes that stays below the folder. */
function isInside(basename: string): boolean {
  return (
    !path.posix.isAbsolute(basename) &&
    !basename.includes("\\") &&
    !basename.includes("\0") &&
    basename.split("/").every((part) => part !== "" && part !== "." && part !== "..")
  );
}

function problemOf(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join(".") ?? ""} is wrong (${issue?.message ?? ""})`;
}

function parseShard(value: unknown, number: number, where: string): MdsShardEntry {
  const fail = (what: string) => mdsError(where, `shard ${number}: ${what}`);
  const format = typeof value === "object" && value !== null && "format" in value ? value.format : "mds";
  if (format !== "mds") {
    throw fail(`its format is ${JSON.stringify(format)}; only mds is read`);
  }
  const parsed = shardSchema.safeParse(value);
  if (!parsed.success) {
    throw fail(problemOf(parsed.error));
  }
  const shard = parsed.data;
  if (shard.version !== 2) {
    throw fail(`it says version ${shard.version}; this program reads version 2`);
  }
  const columns = shard.column_names.length;
  if (shard.column_encodings.length !== columns || shard.column_sizes.length !== columns) {
    throw fail(
      `it names ${columns} columns, ${shard.column_encodings.length} encodings and ${shard.column_sizes.length} sizes`,
    );
  }
  if (new Set(shard.column_names).size !== columns) {
    throw fail("two of its columns have the same name");
  }
  if (shard.raw_data.bytes > LARGEST_SHARD_BYTES) {
    throw fail(
      `it claims ${shard.raw_data.bytes} bytes, and no MDS shard has more than ${LARGEST_SHARD_BYTES}: its offsets have 32 bits; write smaller shards`,
    );
  }
  if (shard.compression !== null && shard.zip_data === null) {
    throw fail(`it is compressed (${shard.compression}) and has no zip_data`);
  }
  for (const file of [shard.raw_data, shard.zip_data]) {
    if (file !== null && !isInside(file.basename)) {
      throw fail(`${JSON.stringify(file.basename)} does not lie in the folder of the index`);
    }
  }
  return shard;
}

/** `where` names the index in sentences. */
export function parseMdsIndex(text: string, where: string): MdsIndex {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw mdsError(where, "this is not JSON; an MDS index is one object with version and shards");
  }
  const parsed = indexSchema.safeParse(value);
  if (!parsed.success) {
    throw mdsError(where, `${problemOf(parsed.error)}; an MDS index is one object with version and shards`);
  }
  if (parsed.data.version !== 2) {
    throw mdsError(where, `it says version ${parsed.data.version}; this program reads version 2`);
  }
  return { version: 2, shards: parsed.data.shards.map((shard, number) => parseShard(shard, number, where)) };
}

/** The index of a folder; null where the folder has no index.json, or one of something else. */
export async function findMdsIndex(folder: string): Promise<MdsIndex | null> {
  const file = path.join(folder, MDS_INDEX_NAME);
  const bytes = await readFile(file).catch(() => null);
  if (bytes === null) {
    return null;
  }
  if (bytes.length > LARGEST_INDEX_BYTES) {
    throw mdsError(file, `it has ${bytes.length} bytes, more than any index; split the folder`);
  }
  const text = bytes.toString("utf8");
  // An index.json may be anything's.
  return /"shards"\s*:/.test(text) ? parseMdsIndex(text, file) : null;
}

export async function readMdsIndex(folder: string): Promise<MdsIndex> {
  const index = await findMdsIndex(folder);
  if (index === null) {
    throw mdsError(folder, `there is no ${MDS_INDEX_NAME} of MDS shards in this folder; name the folder that has it`);
  }
  return index;
}

/** As Python's json.dumps(sort_keys=True) puts it but for spaces: readers parse it. */
export function formatMdsIndex(shards: readonly MdsShardEntry[]): string {
  return `${JSON.stringify({ version: 2, shards })}\n`;
}
