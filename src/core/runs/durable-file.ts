// Files that survive a crash: written beside their place, fsynced, renamed, and the folder fsynced. And the one place
// that turns what the file system says into a sentence.
import { mkdir, open, rename, rm } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";

/** Makes renames and new names in this folder survive a power loss. */
export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") {
    return; // Windows cannot open a folder for this, and its renames are journalled.
  }
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

export async function syncFile(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

let temporaryCount = 0;

/** Replaces `file` whole or not at all. */
export async function writeFileDurably(file: string, data: string | Uint8Array): Promise<void> {
  temporaryCount += 1;
  const temporary = `${file}.tmp-${process.pid}-${temporaryCount}`;
  try {
    const handle = await open(temporary, "wx");
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asFileError(error, `write ${file}`);
  }
  await syncFolder(path.dirname(file));
}

export async function makeFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
  } catch (error) {
    throw asFileError(error, `make the folder ${folder}`);
  }
}

/** Such as ENOENT; empty for what is no error of the system's. */
export function systemErrorCode(error: unknown): string {
  const code: unknown = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : "";
}

/** The sentence for what the system answered when we tried to `doing`; anything it does not know comes back as it is. */
export function asFileError(error: unknown, doing: string): unknown {
  if (error instanceof AppError) {
    return error;
  }
  switch (systemErrorCode(error)) {
    case "ENOSPC":
    case "EDQUOT":
      return new AppError("DISK_FULL", `Cannot ${doing}: the disk is full; free some space, then resume.`, {
        cause: error,
      });
    case "EFBIG":
      return new AppError(
        "DISK_FULL",
        `Cannot ${doing}: the system allows no larger file there (EFBIG); choose another disk, or raise the limit (ulimit -f).`,
        { cause: error },
      );
    case "EROFS":
    case "EACCES":
    case "EPERM":
      return new AppError(
        "FILE_NOT_WRITABLE",
        `Cannot ${doing}: the system does not allow it (${systemErrorCode(error)}); make the folder writable or choose another workspace.`,
        { cause: error },
      );
    case "ENOENT":
      return new AppError("FILE_NOT_FOUND", `Cannot ${doing}: it is not there.`, { cause: error });
    default:
      return error;
  }
}
