// Where bytes are read from, whatever holds them: files of this machine, servers (http, https) and object stores (s3).
import { createReadStream } from "node:fs";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { globBase, globMatcher, isGlob } from "../corpus/glob.ts";
import { findObject, listObjects, objectTarget, parseAddress } from "./s3.ts";
import { type Policy, type Target, transfer } from "./transfer.ts";

export type OpenedSource = {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Null where the server does not say. */
  readonly sizeBytes: number | null;
};

export type ListedSource = {
  readonly location: string;
  /** Within what was named, with slashes. */
  readonly name: string;
  readonly sizeBytes: number | null;
  readonly modifiedMs: number | null;
};

export type StorageOptions = {
  readonly signal?: CancelSignal | undefined;
  readonly policy?: Policy | undefined;
  readonly onRequest?: (() => void) | undefined;
};

const CHUNK_BYTES = 256 * 1024;

export function isAddress(operand: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(operand);
}

function isStored(location: string): boolean {
  return /^s3:\/\//i.test(location);
}

function serverTarget(location: string): Target {
  const url = URL.canParse(location) ? new URL(location) : null;
  if (url === null || url.username !== "" || url.password !== "") {
    const shown = location.replace(/\/\/[^/]*@/, "//");
    throw new AppError(
      "BAD_ARGUMENT",
      `${shown} is not an address to read; write https://host/path, without a password.`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new AppError(
      "NOT_SUPPORTED",
      `${location}: addresses that begin with ${url.protocol}// cannot be read; give a file, http(s) or s3.`,
    );
  }
  return { name: `${url.origin}${url.pathname}`, url, store: null, headers: async () => ({}) };
}

/** The bytes of a file, an address or an object as they are stored. */
export async function openSource(location: string, options: StorageOptions = {}): Promise<OpenedSource> {
  if (!isAddress(location)) {
    return { chunks: createReadStream(location, { highWaterMark: CHUNK_BYTES }), sizeBytes: null };
  }
  const target = isStored(location) ? await objectTarget(location) : serverTarget(location);
  const controller = new AbortController();
  const abort = () => controller.abort();
  if (options.signal?.aborted === true) {
    abort();
  }
  options.signal?.addEventListener("abort", abort, { once: true });
  try {
    const opened = await transfer(target, {
      signal: controller.signal,
      policy: options.policy,
      onRequest: options.onRequest,
    });
    async function* chunks(): AsyncGenerator<Uint8Array> {
      try {
        yield* opened.chunks;
      } finally {
        options.signal?.removeEventListener("abort", abort);
        controller.abort();
      }
    }
    return { chunks: chunks(), sizeBytes: opened.sizeBytes };
  } catch (error) {
    options.signal?.removeEventListener("abort", abort);
    throw error;
  }
}

/** What an address names: itself, or the objects of a prefix or a glob in the order of their keys' bytes. */
export async function listSources(location: string, options: StorageOptions = {}): Promise<readonly ListedSource[]> {
  if (!isStored(location)) {
    const { pathname } = serverTarget(location).url;
    const name = decodeName(pathname.split("/").at(-1) ?? "");
    return [{ location, name: name === "" ? location : name, sizeBytes: null, modifiedMs: null }];
  }
  const { bucket, key } = parseAddress(location);
  const transferring = { policy: options.policy };
  const isFolder = key === "" || key.endsWith("/");
  if (!isFolder && !isGlob(key)) {
    const object = await findObject(location, transferring);
    if (object !== null) {
      const { sizeBytes, modifiedMs } = object;
      return [{ location, name: key.split("/").at(-1) ?? key, sizeBytes, modifiedMs }];
    }
  }
  const { base, pattern } = isGlob(key) && !isFolder ? globBase(key) : { base: key.replace(/\/+$/, ""), pattern: "**" };
  const folder = base === "" ? "" : `${base}/`;
  const matches = globMatcher(pattern);
  const listed = await listObjects(bucket, folder, transferring);
  const found = listed
    // Programs that show folders store an empty object of the folder's name.
    .filter((object) => !object.key.endsWith("/") && (object.key === key || matches(object.key.slice(folder.length))))
    .map(({ key: found, sizeBytes, modifiedMs }) => ({
      location: `s3://${bucket}/${found}`,
      name: found.slice(folder.length),
      sizeBytes,
      modifiedMs,
    }));
  if (found.length === 0) {
    throw new AppError("FETCH_NOT_FOUND", `There is no object at ${location}; check bucket, key and pattern.`);
  }
  return found;
}

function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
