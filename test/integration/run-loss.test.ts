// A loss that is not a number: no update, a failed run that names the step, and the checkpoint before it untouched.
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadAddon } from "#core/engine/addon";
import { readModelConfig } from "#core/models/hugging-face";
import { newestWholeCheckpoint } from "#core/runs/checkpoints";
import { readMetrics } from "#core/runs/metrics";
import { createTinyRun, requireAddon, runToEnd, spawnRunner } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

/** Makes a whole checkpoint whose weights are ruined, as a training that blew up would have left it. */
async function ruin(folder: string): Promise<void> {
  const file = path.join(folder, "model.safetensors");
  const model = loadAddon().createModel(await readModelConfig(folder), { threads: 1 });
  await model.loadWeights(file);
  const name = model.parameters()[0]?.name ?? "";
  await model.writeTensor(name, (await model.readTensor(name)).fill(Number.NaN));
  await model.saveWeights(file);
  model.dispose();
  const bytes = await readFile(file);
  const stateFile = path.join(folder, "training_state.json");
  const state = JSON.parse(await readFile(stateFile, "utf8"));
  state.files["model.safetensors"] = { size: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
  await writeFile(stateFile, JSON.stringify(state));
}

describe("a loss that is not finite", () => {
  beforeAll(requireAddon);

  it("fails the run, names the step, keeps the checkpoint before it and marks the curve", async () => {
    await using folder = await temporaryFolder("assay-loss-");
    const { directory } = await createTinyRun(folder.path, ["eval_interval=100ba"]);
    await (await spawnRunner(directory, { ASSAY_TEST_KILL_AT: "in-step:11" })).ended;
    const { checkpoint } = await newestWholeCheckpoint(directory);
    expect(checkpoint?.step).toBe(8);
    await ruin(checkpoint?.path ?? "");
    const summary = await runToEnd(directory);
    expect(summary).toMatchObject({
      status: "failed",
      code: 1,
      exitReason: {
        code: "LOSS_NOT_FINITE",
        message:
          "The loss at step 9 is NaN, so the weights were left as they were; lower optimizer.lr or lengthen scheduler.t_warmup and resume: it goes on from step 8.",
      },
    });
    expect((await newestWholeCheckpoint(directory)).checkpoint?.step).toBe(8);
    const last = (await readMetrics(directory)).lines.at(-1);
    expect(last).toMatchObject({ kind: "record", record: { step: 9, "train/loss": Number.NaN } });
  });
});
