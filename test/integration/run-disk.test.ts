// Disks that are full or may not be written to: a sentence each, nothing saved is lost, and the run goes on once there
// is room. The disks are small tmpfs mounts of the test's own, so this needs root on Linux.
import { execFileSync } from "node:child_process";
import { appendFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { checkpointsFolder, listCheckpoints, newestWholeCheckpoint } from "#core/runs/checkpoints";
import { requestControl } from "#core/runs/control";
import { startRun } from "#core/runs/launch";
import { readManifest } from "#core/runs/manifest";
import { readSummary } from "#core/runs/status";
import {
  createTinyRun,
  outcomeOf,
  requireAddon,
  runnerCommand,
  runToEnd,
  spawnRunner,
  waitUntil,
} from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

const canMount = process.platform === "linux" && process.getuid?.() === 0;
/** Checkpoints well above what else a run writes. */
const wide = ["model.d_model=64"];
const suite = canMount ? describe : describe.skip;

async function fill(file: string): Promise<void> {
  for (const size of [64 * 1024, 4096, 1]) {
    try {
      for (;;) {
        await appendFile(file, Buffer.alloc(size, 1));
      }
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe("ENOSPC");
    }
  }
}

suite(`a run on a disk of its own${canMount ? "" : " (skipped: mounting a tmpfs needs root on Linux)"}`, () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let disk: string;
  let checkpointBytes: number;
  let reference: Awaited<ReturnType<typeof outcomeOf>>;

  beforeAll(async () => {
    requireAddon();
    await using elsewhere = await temporaryFolder("assay-reference-");
    const { directory } = await createTinyRun(elsewhere.path, wide);
    await runToEnd(directory);
    reference = await outcomeOf(directory);
    checkpointBytes = (await listCheckpoints(directory))[0]?.sizeBytes ?? 0;
  });

  beforeEach(async () => {
    folder = await temporaryFolder("assay-disk-");
    disk = path.join(folder.path, "disk");
    await mkdir(disk);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]);
  });
  afterEach(async () => {
    execFileSync("umount", [disk]);
    await folder[Symbol.asyncDispose]();
  });

  it("fails with both numbers when a checkpoint would not fit, keeps the one before, and goes on when there is room", async () => {
    // Room for one checkpoint and what a run needs besides, not for two.
    const sizeBytes = Math.ceil(1.6 * checkpointBytes) + 500_000;
    execFileSync("mount", ["-o", `remount,size=${sizeBytes}`, disk]);
    const { directory } = await createTinyRun(disk, wide);
    const summary = await runToEnd(directory);
    expect(summary).toMatchObject({ status: "failed", code: 1, exitReason: { code: "DISK_FULL" } });
    expect(summary.exitReason?.message).toMatch(
      /^There is no room for the checkpoint of step 8: it takes [\d.]+ MB and [\d.]+ MB are free at .*; free some space, then resume\.$/,
    );
    const { checkpoint, problems } = await newestWholeCheckpoint(directory);
    expect(problems).toEqual([]);
    expect(checkpoint?.step).toBe(4);
    expect(await readdir(checkpointsFolder(directory))).toEqual(["step-4"]);

    execFileSync("mount", ["-o", "remount,size=64m", disk]);
    expect((await runToEnd(directory)).status).toBe("completed");
    expect(await outcomeOf(directory)).toEqual(reference);
  });

  it("refuses before the first step when the disk cannot hold one checkpoint", async () => {
    const { directory } = await createTinyRun(disk, wide);
    const ballast = path.join(disk, "ballast");
    const { ended } = await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "resolved:0" });
    await ended;
    await writeFile(ballast, "");
    await fill(ballast);
    execFileSync("truncate", ["-s", "-600000", ballast]);
    const summary = await runToEnd(directory);
    expect(summary).toMatchObject({ status: "failed", step: 0, exitReason: { code: "DISK_FULL" } });
    expect(summary.exitReason?.message).toMatch(
      /no room for a single checkpoint: it takes [\d.]+ MB and [\d.]+ MB are free/,
    );
  });

  it("can still say that the disk is full when nothing at all can be written", async () => {
    const { directory } = await createTinyRun(disk, [
      "max_duration=100000ba",
      "save_interval=100000ba",
      "eval_interval=100000ba",
    ]);
    const { ended } = await spawnRunner(directory);
    await waitUntil("it trains", async () => (await readSummary(directory)).step > 0);
    await fill(path.join(disk, "ballast"));
    expect((await ended).code).toBe(1);
    expect(await readSummary(directory)).toMatchObject({ status: "failed", exitReason: { code: "DISK_FULL" } });
    expect(await readFile(path.join(directory, "log.txt"), "utf8")).toContain("(DISK_FULL)");

    const rest = path.join(disk, "rest");
    await fill(rest);
    await expect(startRun(directory, { command: await runnerCommand() })).rejects.toMatchObject({
      code: "DISK_FULL",
      message: expect.stringContaining("There is no room for starting the run"),
    });
    await expect(createTinyRun(disk)).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await readdir(path.join(disk, "runs"))).toEqual([".queue", path.basename(directory)]);
  });

  it("is refused in a sentence where the folder may not be written to, and what was saved is still there", async () => {
    const { directory } = await createTinyRun(disk, wide);
    const { ended } = await spawnRunner(directory);
    await waitUntil(
      "a checkpoint is there",
      async () => (await newestWholeCheckpoint(directory, "sizes")).checkpoint !== null,
    );
    await requestControl(directory, "stop").catch(() => undefined);
    await ended;
    const before = await readManifest(directory);
    execFileSync("mount", ["-o", "remount,ro", disk]);
    await expect(startRun(directory, { command: await runnerCommand() })).rejects.toMatchObject({
      code: "FILE_NOT_WRITABLE",
      message: expect.stringContaining(
        `Cannot write ${path.join(directory, "log.txt")}: the system does not allow it (EROFS)`,
      ),
    });
    const refused = await (await spawnRunner(directory)).ended;
    expect(refused.code).toBe(1);
    expect(refused.output).toContain("(FILE_NOT_WRITABLE)");
    await expect(createTinyRun(disk)).rejects.toMatchObject({ code: "FILE_NOT_WRITABLE" });
    expect(await readManifest(directory)).toEqual(before);
    execFileSync("mount", ["-o", "remount,rw", disk]);
    expect((await runToEnd(directory)).status).toBe("completed");
    // The stop saved a checkpoint of its own, at whatever step it came: which steps are left depends on it.
    const { weights, records } = await outcomeOf(directory);
    expect({ weights, records }).toEqual({ weights: reference.weights, records: reference.records });
  });
});
