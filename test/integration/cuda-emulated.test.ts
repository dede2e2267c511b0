// The whole product on the emulated GPU (native/backends/cuda/emulation): the doctor sees it, a run trains on it beside one
// on the CPU, and a killed one ends with the bits of one that was not. On a real GPU, test/gpu/run.sh does the same.
import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTinyRun, outcomeOf, requireAddon, runToEnd, spawnRunner } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

const emulation = path.resolve(import.meta.dirname, "../../build/native/backends/cuda/emulation");
const library = path.join(emulation, "libassay-cuda-emulated.so");
/** What a machine with a GPU has by itself. */
const gpu: Record<string, string> = {
  LD_LIBRARY_PATH: path.join(emulation, "driver"),
  ASSAY_CUDA_BACKEND: library,
  ASSAY_CUBLASLT: library,
};
/** The driver's library is found by a process that was started with its folder; this one was not, so it asks for the CPU. */
async function createGpuRun(workspace: string, set: readonly string[]): Promise<string> {
  const { directory } = await createTinyRun(workspace, [...set, "device=cpu"]);
  const recipe = path.join(directory, "recipe.yaml");
  const text = await readFile(recipe, "utf8");
  expect(text).toMatch(/^device: cpu$/m);
  await writeFile(recipe, text.replace(/^device: cpu$/m, "device: cuda:0"));
  return directory;
}

/** Threads of a GPU are fibers here: a second of its work takes minutes. */
const short = [
  "max_duration=4ba",
  "eval_interval=4ba",
  "save_interval=2ba",
  "global_train_batch_size=2",
  "device_train_microbatch_size=1",
  "max_seq_len=16",
  "model.n_layers=1",
  "data.eval.fraction=0.02",
  "samples.prompts=[]",
];

describe("a run on the emulated GPU", () => {
  let workspace: Awaited<ReturnType<typeof temporaryFolder>>;

  beforeAll(async () => {
    requireAddon();
    expect(existsSync(library), `${library} is built with the tests`).toBe(true);
    workspace = await temporaryFolder("assay-cuda-");
    gpu["ASSAY_CACHE"] = path.join(workspace.path, "cache");
  });
  afterAll(() => workspace[Symbol.asyncDispose]());

  it("has the losses of the CPU's, and ends after kill -9 and resume as if it had not been killed", async () => {
    const cpu = await createTinyRun(workspace.path, [...short, "device=cpu"]);
    await runToEnd(cpu.directory);
    const whole = await createGpuRun(workspace.path, short);
    expect(await runToEnd(whole, gpu)).toMatchObject({ status: "completed", step: 4, code: 0 });
    const expected = await outcomeOf(cpu.directory);
    const found = await outcomeOf(whole);
    expect(found.records).toHaveLength(expected.records.length);
    for (const [index, record] of found.records.entries()) {
      const loss = record["train/loss"];
      if (typeof loss === "number") {
        expect(loss).toBeCloseTo(Number(expected.records[index]?.["train/loss"]), 3);
      }
    }
    const killed = await createGpuRun(workspace.path, short);
    const runner = await spawnRunner(killed, { ...gpu, ASSAY_TEST_KILL_AT: "in-step:3" });
    expect((await runner.ended).signal).toBe("SIGKILL");
    expect(await runToEnd(killed, gpu)).toMatchObject({ status: "completed", step: 4, code: 0 });
    expect(await outcomeOf(killed)).toEqual(found);
  }, 180_000);

  it("trains in bf16, too", async () => {
    const run = await createGpuRun(workspace.path, [...short, "precision=amp_bf16"]);
    expect(await runToEnd(run, gpu)).toMatchObject({ status: "completed", step: 4, code: 0 });
  }, 180_000);
});
