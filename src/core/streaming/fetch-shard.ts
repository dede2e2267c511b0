// The bytes of one shard as they are stored, and what it takes to believe them: a shard that is not what its index says is
// fetched anew a few times, because what damages bytes on their way may not do so twice.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { LARGEST_SHARD_BYTES, type MdsFile, mdsError } from "../corpus/mds/index-file.ts";
import { addressIn, shownAddress } from "../corpus/mds/index-source.ts";
import { unpackShard } from "../corpus/mds/shard.ts";
import { openSource, type StorageOptions } from "../storage/storage.ts";
import type { StreamShard } from "./sources.ts";

const ATTEMPTS = 3;

export type FetchOptions = StorageOptions & {
  readonly onBytes?: ((count: number) => void) | undefined;
};

type Fetched = { readonly file: MdsFile; readonly bytes: Uint8Array; readonly where: string };

function wrongSize(where: string, found: number, file: MdsFile): AppError {
  const size = `it has ${found} bytes${found > file.bytes ? " or more" : ""}, and its index says ${file.bytes}`;
  return new AppError("SHARD_HASH_MISMATCH", `${where} is not what was written: ${size}; fetch it again.`);
}

/** Memory grows with what comes, never by what an index claims. */
async function fetchFile(folder: string, file: MdsFile, options: FetchOptions): Promise<Fetched> {
  const address = addressIn(folder, file.basename);
  const where = shownAddress(address);
  if (file.bytes > LARGEST_SHARD_BYTES) {
    throw mdsError(where, `its index gives it ${file.bytes} bytes, and no shard has more than ${LARGEST_SHARD_BYTES}`);
  }
  const opened = await openSource(address, options);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of opened.chunks) {
    length += chunk.length;
    options.onBytes?.(chunk.length);
    if (length > file.bytes) {
      throw wrongSize(where, length, file);
    }
    parts.push(chunk);
  }
  if (length !== file.bytes) {
    throw wrongSize(where, length, file);
  }
  return { file, bytes: Buffer.concat(parts, length), where };
}

function isMissing(error: unknown): boolean {
  return error instanceof AppError && error.code === "FETCH_NOT_FOUND" && error.details?.["bucket"] === undefined;
}

async function fetchStored(shard: StreamShard, options: FetchOptions): Promise<Fetched> {
  for (const file of shard.candidates) {
    try {
      return await fetchFile(shard.folder, file, options);
    } catch (error) {
      if (!isMissing(error)) {
        throw error;
      }
    }
  }
  const names = shard.candidates.map((file) => shownAddress(addressIn(shard.folder, file.basename))).join(" nor ");
  throw new AppError(
    "FETCH_NOT_FOUND",
    `There is no ${names}, which the index of ${shownAddress(shard.folder)} names; upload it again, or write the index anew.`,
  );
}

async function readStored(shard: StreamShard): Promise<Fetched> {
  const [file] = shard.candidates;
  if (file === undefined) {
    throw new AppError("FILE_NOT_FOUND", `${shard.folder} lacks a shard that its index names; fetch it again.`);
  }
  const where = path.join(shard.folder, file.basename);
  const bytes = await readFile(where).catch((cause: unknown) => {
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${where}; check that it is there and that you may read it.`, {
      cause,
    });
  });
  return { file, bytes, where };
}

/** Whether the next attempt may find what this one did not. */
function mayPass(error: unknown, fetched: Fetched | null, hasBegun: boolean): boolean {
  if (!(error instanceof AppError)) {
    return false;
  }
  // Bytes that agree with a hash are those that were written, and will not unpack the next time either.
  const isUnproven = fetched !== null && Object.keys(fetched.file.hashes).length === 0;
  return (
    error.code === "SHARD_HASH_MISMATCH" ||
    error.code === "FETCH_CHANGED" ||
    (error.code === "MDS_INVALID" && isUnproven) ||
    (error.code === "FETCH_FAILED" && hasBegun)
  );
}

export type RawShard = { readonly bytes: Uint8Array; readonly where: string };

/**
 * The raw bytes of a shard, verified. What is heavy runs in `alone`, one shard at a time; `use` is part of that, so that
 * one unpacked shard is held at a time.
 */
export async function withShard<T>(
  shard: StreamShard,
  options: FetchOptions,
  alone: <R>(work: () => Promise<R>) => Promise<R>,
  use: (raw: RawShard) => Promise<T>,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    let fetched: Fetched | null = null;
    let isVerified = false;
    let hasBegun = false;
    const onBytes = (count: number) => {
      hasBegun = true;
      options.onBytes?.(count);
    };
    try {
      const stored = shard.isRemote ? await fetchStored(shard, { ...options, onBytes }) : await readStored(shard);
      fetched = stored;
      return await alone(async () => {
        const bytes = await unpackShard(shard.entry, stored.file, stored.bytes, stored.where);
        isVerified = true;
        return use({ bytes, where: stored.where });
      });
    } catch (error) {
      if (!shard.isRemote || isVerified || !mayPass(error, fetched, hasBegun)) {
        throw error;
      }
      if (attempt === ATTEMPTS) {
        throw afterAttempts(error as AppError); // as: mayPass is true of these alone
      }
    }
  }
}

function afterAttempts(error: AppError): AppError {
  if (error.code !== "SHARD_HASH_MISMATCH") {
    return error;
  }
  const what = error.message.replace(/; fetch it again\.$/, "");
  return new AppError(error.code, `${what}; it came so ${ATTEMPTS} times: upload it again, or write the index anew.`, {
    cause: error,
  });
}
