// One local run at a time: runners wait as processes, in the order in which their runs were made, until the workspace's
// slot is free. Tickets and the slot name their process by pid and start time, so the dead hold nobody up.
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "#shared/errors";
import { makeFolder, systemErrorCode, writeFileDurably } from "./durable-file.ts";
import { acquireLockFile, type Lock } from "./lock.ts";
import { isAlive, ownIdentity } from "./process-identity.ts";

const pollMs = 200;

export function queueFolder(workspace: string): string {
  return path.join(workspace, "runs", ".queue");
}

/**
 * Waits for the slot. `order` sorts the waiting, smaller first. `onWaiting` is told once, with how many are before.
 * Undefined when `signal` was aborted while waiting.
 */
export async function waitForSlot(options: {
  readonly workspace: string;
  readonly runId: string;
  readonly order: Date;
  readonly signal: AbortSignal;
  readonly onWaiting: () => Promise<void>;
}): Promise<Lock | undefined> {
  const folder = queueFolder(options.workspace);
  await makeFolder(folder);
  const ticket = `ticket-${options.order.toISOString()}-${options.runId}`.replaceAll(":", "");
  const own = await ownIdentity();
  await writeFileDurably(path.join(folder, ticket), `${JSON.stringify(own)}\n`);
  try {
    let hasTold = false;
    while (!options.signal.aborted) {
      if (await isFirst(folder, ticket)) {
        const slot = await tryAcquire(path.join(folder, "slot"));
        if (slot !== undefined) {
          return slot;
        }
      }
      if (!hasTold) {
        hasTold = true;
        await options.onWaiting();
      }
      await sleep(pollMs, undefined, { signal: options.signal }).catch(() => undefined);
    }
    return undefined;
  } finally {
    await rm(path.join(folder, ticket), { force: true });
  }
}

async function tryAcquire(file: string): Promise<Lock | undefined> {
  try {
    return await acquireLockFile(file, "The place for a local run");
  } catch (error) {
    if (error instanceof AppError && error.code === "RUN_LOCKED") {
      return undefined;
    }
    throw error;
  }
}

/** Removes the tickets of the dead on the way. */
async function isFirst(folder: string, own: string): Promise<boolean> {
  const earlier = (await readdir(folder)).filter(
    (name) => name.startsWith("ticket-") && !name.includes(".tmp-") && name < own,
  );
  for (const name of earlier) {
    const file = path.join(folder, name);
    try {
      // as: written by waitForSlot; anything else fails the checks below and counts as dead.
      const identity = JSON.parse(await readFile(file, "utf8")) as Awaited<ReturnType<typeof ownIdentity>>;
      if (await isAlive(identity)) {
        return false;
      }
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT") {
        continue;
      }
    }
    await rm(file, { force: true });
  }
  return true;
}
