// One file of a repository onto the disk: beside its place as .partial, taken up where it stopped, checked against its
// hash, fsynced and renamed. A file that is there under its own name is whole.
import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { open, rename, rm, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "#shared/errors";
import { asFileError, makeFolder, syncFolder } from "../../runs/durable-file.ts";
import type { RepositoryFile } from "./hub.ts";
import { type Answer, request, type Server } from "./request.ts";

export type Downloaded = { readonly path: string; readonly bytes: number; readonly wasThere: boolean };

/** In a row and without a single byte of progress between them. */
const ATTEMPTS_WITHOUT_PROGRESS = 5;
/** Doubled with every attempt: three seconds in all. */
const PAUSE_MILLISECONDS = 100;

function startHash(file: RepositoryFile): Hash | null {
  if (file.sha256 !== null) {
    return createHash("sha256");
  }
  if (file.gitBlob !== null && file.size !== null) {
    return createHash("sha1").update(`blob ${file.size}\0`);
  }
  return null;
}

function expectedHash(file: RepositoryFile): string | null {
  return file.sha256 ?? file.gitBlob;
}

async function feed(hash: Hash | null, file: string): Promise<void> {
  if (hash !== null) {
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) {
      // as: a stream without an encoding yields buffers.
      hash.update(chunk as Buffer);
    }
  }
}

async function sizeOf(file: string): Promise<number | null> {
  const found = await stat(file).catch(() => null);
  return found?.isFile() === true ? found.size : null;
}

/** Whether the file is there already with the size and bytes it should have. */
async function isWhole(target: string, file: RepositoryFile): Promise<boolean> {
  const size = await sizeOf(target);
  const expected = expectedHash(file);
  if (size === null || expected === null || size !== file.size) {
    return false;
  }
  const hash = startHash(file);
  await feed(hash, target);
  return hash?.digest("hex") === expected;
}

/** Part of another version of the file is never gone on with: its hash is in the name. */
export function partialPath(target: string, file: RepositoryFile): string {
  return `${target}.${(expectedHash(file) ?? "unknown").slice(0, 12)}.partial`;
}

/** Where the answer's bytes begin; a server that ignores the range starts over, one that mixes it up is refused. */
function beginOf(answer: Answer, asked: number, what: string): number {
  if (answer.status !== 206) {
    return 0;
  }
  const begin = Number(/^bytes (\d+)-/.exec(answer.headers.get("content-range") ?? "")?.[1] ?? Number.NaN);
  if (begin !== asked) {
    throw new AppError("FETCH_FAILED", `The server sent another part of ${what} than was asked for; run it again.`);
  }
  return begin;
}

/** One attempt: asks for what is missing and appends it. True when the file is complete. */
async function attempt(
  url: string,
  partial: string,
  file: RepositoryFile,
  server: Server,
  onBytes: (bytes: number) => void,
): Promise<boolean> {
  const have = (await sizeOf(partial)) ?? 0;
  if (file.size !== null && have === file.size && have > 0) {
    return true;
  }
  const answer = await request(url, server, {
    what: file.path,
    headers: have === 0 ? {} : { range: `bytes=${have}-` },
  });
  if (answer.status === 416) {
    await rm(partial, { force: true });
    return false;
  }
  const begin = beginOf(answer, have, file.path);
  const handle = await open(partial, begin === 0 ? "w" : "a");
  let written = begin;
  onBytes(written);
  try {
    for await (const chunk of answer.chunks()) {
      written += chunk.byteLength;
      if (file.size !== null && written > file.size) {
        throw new AppError(
          "FETCH_HASH_DIFFERS",
          `${file.path} is longer than its ${file.size} bytes at ${server.endpoint}; nothing of it is kept.`,
        );
      }
      await handle.writeFile(chunk);
      onBytes(written);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
  return file.size === null || written === file.size;
}

/** Attempts until the file is complete, or until several in a row brought nothing new. */
async function complete(
  url: string,
  partial: string,
  file: RepositoryFile,
  server: Server,
  onBytes: (bytes: number) => void,
): Promise<void> {
  let idle = 0;
  for (;;) {
    const before = (await sizeOf(partial)) ?? 0;
    let problem: unknown = null;
    try {
      if (await attempt(url, partial, file, server, onBytes)) {
        return;
      }
    } catch (error) {
      const isWorthAnother =
        error instanceof AppError && error.code === "FETCH_FAILED" && error.details?.["isFinal"] !== true;
      if (!isWorthAnother) {
        throw error;
      }
      problem = error;
    }
    const grew = ((await sizeOf(partial)) ?? 0) > before;
    idle = grew ? 0 : idle + 1;
    if (idle >= ATTEMPTS_WITHOUT_PROGRESS) {
      throw (
        problem ??
        new AppError(
          "FETCH_FAILED",
          `${server.endpoint} breaks ${file.path} off again and again; run it again to go on.`,
        )
      );
    }
    await sleep(PAUSE_MILLISECONDS * 2 ** idle);
  }
}

/** Downloads one file to `target`. `onBytes` hears how much of it is on the disk. */
export async function downloadFile(options: {
  readonly url: string;
  readonly target: string;
  readonly file: RepositoryFile;
  readonly server: Server;
  readonly onBytes: (bytes: number) => void;
}): Promise<Downloaded> {
  const { url, target, file, server, onBytes } = options;
  try {
    if (await isWhole(target, file)) {
      onBytes(file.size ?? 0);
      return { path: file.path, bytes: file.size ?? 0, wasThere: true };
    }
    await makeFolder(path.dirname(target));
    const partial = partialPath(target, file);
    const size = file.size;
    if (size !== null && ((await sizeOf(partial)) ?? 0) > size) {
      await rm(partial, { force: true });
    }
    const resumed = ((await sizeOf(partial)) ?? 0) > 0;
    await complete(url, partial, file, server, onBytes);
    let isRight = await hasExpectedHash(partial, file);
    if (!isRight && resumed) {
      // What an earlier attempt left may have been damaged since: once more, from the beginning.
      await rm(partial, { force: true });
      await complete(url, partial, file, server, onBytes);
      isRight = await hasExpectedHash(partial, file);
    }
    if (!isRight) {
      await rm(partial, { force: true });
      throw new AppError(
        "FETCH_HASH_DIFFERS",
        `${file.path} from ${server.endpoint} is not the file its repository lists (its hash differs); nothing of it is kept, run it again.`,
      );
    }
    await rename(partial, target);
    await syncFolder(path.dirname(target));
    return { path: file.path, bytes: (await sizeOf(target)) ?? 0, wasThere: false };
  } catch (error) {
    throw asFileError(error, `write ${target}`);
  }
}

async function hasExpectedHash(partial: string, file: RepositoryFile): Promise<boolean> {
  const hash = startHash(file);
  if (hash === null) {
    return true;
  }
  await feed(hash, partial);
  return hash.digest("hex") === expectedHash(file);
}
