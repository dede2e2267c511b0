// Who a process is, beyond its number: numbers are used again, so a process is its number and the moment it started.
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { promisify } from "node:util";

export type ProcessIdentity = {
  readonly pid: number;
  /** In the system's own spelling; null where it cannot be told. */
  readonly startTime: string | null;
  readonly host: string;
};

/** The start time of a running process, or undefined when there is none (a zombie has ended, whatever it is called). */
export async function processStartTime(pid: number): Promise<string | null | undefined> {
  if (process.platform === "linux") {
    let stat: string;
    try {
      stat = await readFile(`/proc/${pid}/stat`, "utf8");
    } catch {
      return undefined;
    }
    // The name in brackets may hold anything, so fields are counted from its closing bracket: state is field 3.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const state = fields[0];
    return state === "Z" || state === "X" ? undefined : (fields[22 - 3] ?? null);
  }
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EPERM") {
      return undefined;
    }
  }
  if (process.platform === "win32") {
    return null;
  }
  try {
    const { stdout } = await promisify(execFile)("ps", ["-o", "lstart=", "-p", String(pid)]);
    return stdout.trim() === "" ? undefined : stdout.trim();
  } catch {
    return undefined;
  }
}

export async function ownIdentity(): Promise<ProcessIdentity> {
  return { pid: process.pid, startTime: (await processStartTime(process.pid)) ?? null, host: hostname() };
}

/** Processes of other hosts cannot be asked; they count as alive. */
export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  if (identity.host !== hostname()) {
    return true;
  }
  const startTime = await processStartTime(identity.pid);
  return (
    startTime !== undefined && (identity.startTime === null || startTime === null || startTime === identity.startTime)
  );
}
