// One process at a time: a file that names its holder by pid, start time and host. The lock of a dead process, or of
// one whose pid was used again, is taken over; two that try at once cannot both succeed.
import { createHash, randomBytes } from "node:crypto";
import { link, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { asFileError, systemErrorCode } from "./durable-file.ts";
import { isAlive, ownIdentity, type ProcessIdentity, processStartTime } from "./process-identity.ts";

export type Lock = {
  readonly file: string;
  /** Gives it back, if it is still ours. Releasing twice is fine. */
  release(): Promise<void>;
};

/** Takes the lock `file`, or throws RUN_LOCKED naming the holder. `what` completes "… is held by process 12". */
export async function acquireLockFile(file: string, what: string): Promise<Lock> {
  const own = await ownIdentity();
  const text = `${JSON.stringify({ pid: own.pid, start_time: own.startTime, host: own.host, nonce: randomBytes(4).toString("hex") })}\n`;
  const holder = await take(file, text);
  if (holder !== null) {
    const where = holder.host === own.host ? "" : ` on ${holder.host}`;
    const remedy =
      holder.host === own.host
        ? "stop it first"
        : `stop it there, or delete ${file} if that machine no longer uses this folder`;
    throw new AppError("RUN_LOCKED", `${what} is held by process ${holder.pid}${where}; ${remedy}.`, {
      details: { pid: holder.pid, host: holder.host },
    });
  }
  await sweep(file);
  return {
    file,
    release: async () => {
      if ((await readText(file)) === text) {
        await rm(file, { force: true });
      }
    },
  };
}

/** The run's own lock. */
export function acquireLock(runDirectory: string): Promise<Lock> {
  return acquireLockFile(path.join(runDirectory, "lock"), `The run ${path.basename(runDirectory)}`);
}

/** Who holds the lock, dead or alive; null when nobody does. */
export async function readLockHolder(file: string): Promise<ProcessIdentity | null> {
  return parseHolder(await readText(file));
}

/** Null when `file` now says `text`; otherwise the living process that holds it. */
async function take(file: string, text: string): Promise<ProcessIdentity | null> {
  for (;;) {
    if (await createWhole(file, text)) {
      return null;
    }
    const found = await readText(file);
    if (found === null) {
      continue; // released in between
    }
    const holder = parseHolder(found);
    if (holder !== null && (await isAlive(holder))) {
      return holder;
    }
    // Whoever holds the marker of exactly this stale text may replace it; nobody else does meanwhile. The marker is a
    // lock by the same rules, so one that was killed in here is taken over in turn.
    const marker = `${file}.takeover-${createHash("sha256").update(found).digest("hex").slice(0, 16)}`;
    const rival = await take(marker, text);
    if (rival !== null) {
      return rival;
    }
    try {
      if ((await readText(file)) === found) {
        const replacement = temporaryName(file);
        await writeWhole(replacement, text);
        await rename(replacement, file);
        return null;
      }
    } finally {
      await rm(marker, { force: true });
    }
  }
}

function temporaryName(file: string): string {
  return `${file}.tmp-${process.pid}-${randomBytes(4).toString("hex")}`;
}

async function writeWhole(file: string, text: string): Promise<void> {
  try {
    const handle = await open(file, "wx");
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch (error) {
    await rm(file, { force: true }).catch(() => undefined);
    throw asFileError(error, `write ${file}`);
  }
}

/** A link to a finished file appears whole or not at all, unlike a file that is created and then written. */
async function createWhole(file: string, text: string): Promise<boolean> {
  const temporary = temporaryName(file);
  await writeWhole(temporary, text);
  try {
    await link(temporary, file);
    return true;
  } catch (error) {
    switch (systemErrorCode(error)) {
      case "EEXIST":
        return false;
      case "EPERM":
      case "ENOTSUP":
      case "ENOSYS":
        return createExclusively(file, text); // exFAT and some network folders have no links
      default:
        throw asFileError(error, `write ${file}`);
    }
  } finally {
    await rm(temporary, { force: true });
  }
}

async function createExclusively(file: string, text: string): Promise<boolean> {
  try {
    await writeFile(file, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") {
      return false;
    }
    throw asFileError(error, `write ${file}`);
  }
}

async function readText(file: string): Promise<string | null> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return null;
    }
    throw asFileError(error, `read ${file}`);
  }
}

function parseHolder(text: string | null): ProcessIdentity | null {
  if (text === null) {
    return null;
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) {
      return null;
    }
    const { pid, start_time: startTime, host } = value as Record<string, unknown>;
    return typeof pid === "number" && Number.isInteger(pid) && pid > 0 && typeof host === "string"
      ? { pid, startTime: typeof startTime === "string" ? startTime : null, host }
      : null;
  } catch {
    return null;
  }
}

/** Removes what killed processes left beside the lock. */
async function sweep(file: string): Promise<void> {
  const folder = path.dirname(file);
  const base = path.basename(file);
  for (const name of await readdir(folder)) {
    const left = path.join(folder, name);
    if (name.startsWith(`${base}.tmp-`)) {
      // It may not be written yet, so its maker is read from its name.
      const pid = Number(name.slice(`${base}.tmp-`.length).split("-")[0]);
      if ((await processStartTime(pid)) === undefined) {
        await rm(left, { force: true });
      }
    } else if (name.startsWith(`${base}.takeover-`)) {
      const owner = parseHolder(await readText(left));
      if (owner === null || !(await isAlive(owner))) {
        await rm(left, { force: true });
      }
    }
  }
}
