// The lock between processes: real ones, alive, dead, and with a number that was used again.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { acquireLock, acquireLockFile } from "#core/runs/lock";
import { processStartTime } from "#core/runs/process-identity";
import { temporaryFolder } from "../support/workspace.ts";

function sleeper(): ChildProcess & { pid: number } {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  if (child.pid === undefined) {
    throw new Error("sleep could not be started");
  }
  return child as ChildProcess & { pid: number };
}

async function holder(file: string, pid: number, startTime: string | null, host = hostname()): Promise<void> {
  await writeFile(file, JSON.stringify({ pid, start_time: startTime, host }));
}

describe("acquireLock", () => {
  it("refuses a second holder and names the process of the first", async () => {
    await using folder = await temporaryFolder();
    const lock = await acquireLock(folder.path);
    await expect(acquireLock(folder.path)).rejects.toMatchObject({
      code: "RUN_LOCKED",
      message: expect.stringContaining(`process ${process.pid}`),
    });
    await lock.release();
    await lock.release();
    await (await acquireLock(folder.path)).release();
    expect(await readdir(folder.path)).toEqual([]);
  });

  it("takes over from a process that was killed", async () => {
    await using folder = await temporaryFolder();
    const child = sleeper();
    const file = path.join(folder.path, "lock");
    await holder(file, child.pid, (await processStartTime(child.pid)) ?? null);
    await expect(acquireLock(folder.path)).rejects.toMatchObject({ code: "RUN_LOCKED" });
    child.kill("SIGKILL");
    await once(child, "exit");
    const lock = await acquireLock(folder.path);
    expect(JSON.parse(await readFile(file, "utf8"))).toMatchObject({ pid: process.pid });
    await lock.release();
  });

  it("is not fooled by a pid that was used again", async () => {
    await using folder = await temporaryFolder();
    const child = sleeper();
    try {
      await holder(path.join(folder.path, "lock"), child.pid, "1");
      const lock = await acquireLock(folder.path);
      await lock.release();
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("does not guess about processes of another host", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "lock");
    await holder(file, 999_999, "1", "another-host");
    await expect(acquireLock(folder.path)).rejects.toMatchObject({
      code: "RUN_LOCKED",
      message: expect.stringContaining(`on another-host; stop it there, or delete ${file}`),
    });
  });

  it("takes over a lock that says nothing, as a power loss may leave it", async () => {
    await using folder = await temporaryFolder();
    await writeFile(path.join(folder.path, "lock"), "");
    await (await acquireLock(folder.path)).release();
  });

  it("lets exactly one of many take over at once", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "slot");
    for (let round = 0; round < 20; round += 1) {
      await holder(file, 999_999, `${round}`);
      const attempts = await Promise.allSettled(Array.from({ length: 8 }, () => acquireLockFile(file, "The slot")));
      const winners = attempts.filter((attempt) => attempt.status === "fulfilled");
      expect(winners).toHaveLength(1);
      await winners[0]?.value.release();
    }
    expect(await readdir(folder.path)).toEqual([]);
  });
});
