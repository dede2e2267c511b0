import { mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  checkpointPath,
  checkpointsFolder,
  cleanCheckpoints,
  listCheckpoints,
  newestWholeCheckpoint,
  rotateCheckpoints,
  type TrainingState,
  writeCheckpoint,
} from "./checkpoints.ts";

let run: string;
beforeEach(async () => {
  run = await mkdtemp(path.join(tmpdir(), "assay-checkpoints-"));
});
afterEach(() => rm(run, { recursive: true, force: true }));

function state(step: number, evalLoss: number | null = null, runId = "mine"): Omit<TrainingState, "files"> {
  return {
    format_version: 1,
    run: runId,
    created_at: "2026-11-21T12:00:00.000Z",
    step,
    tokens: step * 10,
    time: step,
    data: { fingerprint: "f", shuffle_seed: 17, next_sample: step, stream: null },
    random_state: { generator: "philox4x32-10", seed: 17 },
    is_evaluation_due: false,
    eval: evalLoss === null ? null : { loss: evalLoss, perplexity: Math.exp(evalLoss), bits_per_byte: evalLoss },
    best: null,
    base: null,
  };
}

async function write(step: number, evalLoss: number | null = null, runId = "mine"): Promise<void> {
  await writeCheckpoint({
    runDirectory: run,
    state: state(step, evalLoss, runId),
    neededBytes: 0,
    writeFiles: (folder) => writeFile(path.join(folder, "model.safetensors"), `weights of ${step}`),
  });
}

const steps = async (): Promise<number[]> => (await listCheckpoints(run)).map((each) => each.step);

describe("writeCheckpoint", () => {
  it("leaves a whole folder and nothing else", async () => {
    await write(100);
    expect(await readdir(checkpointsFolder(run))).toEqual(["step-100"]);
    const { checkpoint, problems } = await newestWholeCheckpoint(run);
    expect(problems).toEqual([]);
    expect(checkpoint?.state.files["model.safetensors"]?.size).toBe("weights of 100".length);
  });

  it("takes its half-written folder away when writing fails", async () => {
    const failing = writeCheckpoint({
      runDirectory: run,
      state: state(1),
      neededBytes: 0,
      writeFiles: async (folder) => {
        await writeFile(path.join(folder, "model.safetensors"), "half");
        throw Object.assign(new Error("no space"), { code: "ENOSPC" });
      },
    });
    await expect(failing).rejects.toMatchObject({ code: "DISK_FULL" });
    expect(await readdir(checkpointsFolder(run))).toEqual([]);
  });

  it("refuses with both numbers, before writing, when the disk has too little room", async () => {
    const failing = writeCheckpoint({
      runDirectory: run,
      state: state(1),
      neededBytes: 1e18,
      writeFiles: () => Promise.resolve(),
    });
    await expect(failing).rejects.toMatchObject({
      code: "DISK_FULL",
      message: expect.stringMatching(/it takes \d+ MB and \d+ MB are free at .*checkpoints/),
    });
  });

  it("sets a damaged one in its place aside, and replaces a whole one", async () => {
    await write(5);
    await truncate(path.join(checkpointPath(run, 5), "model.safetensors"), 3);
    await write(5);
    await write(5);
    expect((await readdir(checkpointsFolder(run))).toSorted()).toEqual(["step-5", "step-5.damaged-1"]);
  });
});

describe("newestWholeCheckpoint", () => {
  it("sorts steps as numbers", async () => {
    await write(900);
    await write(1000);
    expect((await newestWholeCheckpoint(run)).checkpoint?.step).toBe(1000);
  });

  it("falls back from a truncated one with a sentence and leaves it where it is", async () => {
    await write(1);
    await write(2);
    await truncate(path.join(checkpointPath(run, 2), "model.safetensors"), 4);
    const { checkpoint, problems } = await newestWholeCheckpoint(run);
    expect(checkpoint?.step).toBe(1);
    expect(problems).toEqual([expect.stringMatching(/step-2 is damaged: model.safetensors has 4 bytes instead of 12/)]);
    expect(await readdir(checkpointsFolder(run))).toContain("step-2");
  });

  it("notices bytes that changed under the same size", async () => {
    await write(1);
    await writeFile(path.join(checkpointPath(run, 1), "model.safetensors"), "weights of 2");
    expect((await newestWholeCheckpoint(run, "sizes")).checkpoint?.step).toBe(1);
    const { checkpoint, problems } = await newestWholeCheckpoint(run, "contents");
    expect(checkpoint).toBeNull();
    expect(problems[0]).toContain("other bytes than were written");
  });

  it("does not silently go back behind a checkpoint of a later format", async () => {
    await write(1);
    await write(2);
    const file = path.join(checkpointPath(run, 2), "training_state.json");
    await writeFile(file, (await readFile(file, "utf8")).replace('"format_version": 1', '"format_version": 3'));
    await expect(newestWholeCheckpoint(run)).rejects.toMatchObject({
      code: "FORMAT_VERSION_UNKNOWN",
      message: expect.stringContaining("it says format 3, this build reads 1"),
    });
  });
});

describe("rotateCheckpoints", () => {
  it("keeps the newest and the best", async () => {
    for (const [step, loss] of [
      [100, 5],
      [200, 3],
      [300, 4],
      [1000, 6],
      [1100, 7],
    ] as const) {
      await write(step, loss);
    }
    expect(await rotateCheckpoints(run, "mine", 2)).toEqual([300, 100]);
    expect(await steps()).toEqual([1100, 1000, 200]);
    expect((await listCheckpoints(run)).filter((each) => each.isBest).map((each) => each.step)).toEqual([200]);
  });

  it("touches nothing that is damaged or another run's, and does not count it", async () => {
    await write(1);
    await write(2);
    await write(3, null, "another");
    await write(4);
    await truncate(path.join(checkpointPath(run, 2), "model.safetensors"), 0);
    expect(await rotateCheckpoints(run, "mine", 1)).toEqual([1]);
    expect((await readdir(checkpointsFolder(run))).toSorted()).toEqual(["step-2", "step-3", "step-4"]);
  });

  it("never removes the only one", async () => {
    await write(1);
    expect(await rotateCheckpoints(run, "mine", 1)).toEqual([]);
    expect(await steps()).toEqual([1]);
  });
});

describe("cleanCheckpoints", () => {
  it("removes what killed runners left and puts back what was about to be replaced", async () => {
    await write(7);
    const folder = checkpointsFolder(run);
    await mkdir(path.join(folder, ".tmp-step-8-12"));
    await mkdir(path.join(folder, ".trash-step-3-12"));
    await mkdir(path.join(folder, ".replaced-step-7"));
    await mkdir(path.join(folder, ".replaced-step-6"));
    await cleanCheckpoints(run);
    expect((await readdir(folder)).toSorted()).toEqual(["step-6", "step-7"]);
  });
});
