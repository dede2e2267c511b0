// What is being made in a cache, beside what is whole: under a name that tells whose it is, so that the next process
// removes what one that was ended in the middle left.
import { randomBytes } from "node:crypto";
import { readdir, rm } from "node:fs/promises";
import path from "node:path";

/** Of this process's own; `sweepBuilding` removes it should the process end too soon. */
export function buildingPath(cacheRoot: string): string {
  return path.join(cacheRoot, `.building-${process.pid}-${randomBytes(4).toString("hex")}`);
}

/** Folders and files that a process left when it was ended in the middle. */
export async function sweepBuilding(cacheRoot: string): Promise<void> {
  for (const name of await readdir(cacheRoot)) {
    const pid = /^\.building-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && Number(pid) !== process.pid && !isAlive(Number(pid))) {
      await rm(path.join(cacheRoot, name), { recursive: true, force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
