// What a run is planned to take against what its process really held at most: within a tenth, for every way to train.
import { beforeAll, describe, expect, it } from "vitest";
import { PROCESS_BYTES } from "#core/planner/plan";
import { readManifest } from "#core/runs/manifest";
import { readMetrics } from "#core/runs/metrics";
import { createTinyRun, requireAddon, runToEnd } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

/** Large enough that a plan that is wrong by a tenth cannot hide in the program's own memory. */
const small = [
  "samples.prompts=[]",
  "model={name: gpt2, n_layers: 4, n_heads: 4, d_model: 256}",
  "max_seq_len=128",
  "global_train_batch_size=8",
  "device_train_microbatch_size=8",
  "max_duration=3ba",
  "scheduler.t_warmup=0ba",
  "eval_interval=2ba",
  "save_interval=2ba",
];
const masked = ["model.name=bert", "objective.name=mlm", "samples.prompts=[]"];

/** The program's own share is the same in each; what is left is the engine's. */
async function peakOverPlan(directory: string): Promise<number> {
  const { planned_memory_bytes: planned } = await readManifest(directory);
  const peaks = (await readMetrics(directory)).lines.map((line) =>
    line.kind === "record" ? (line.record["memory/peak_bytes"] ?? 0) : 0,
  );
  return (Math.max(...peaks) - PROCESS_BYTES) / (planned ?? 0);
}

describe("the peak of a run's memory", () => {
  beforeAll(requireAddon);

  it.each([
    ["in fp32", []],
    ["with recomputation", ["activation_checkpointing=true"]],
    ["with selective recomputation", ["activation_checkpointing=selective"]],
    ["with recomputation and dropout", ["activation_checkpointing=true", "model.dropout=0.1"]],
    ["in amp_bf16", ["precision=amp_bf16"]],
    ["with an optimizer in 8 bits", ["optimizer.state=8bit"]],
    ["with LoRA", ["model.lora={rank: 8}"]],
    ["with LoRA on bf16", ["model.lora={rank: 8}", "model.weights=bf16", "precision=amp_bf16"]],
    ["with frozen blocks", ["model.freeze=[transformer.w*, transformer.h.0.*, transformer.h.1.*]"]],
    ["of a masked model", masked],
    ["of a masked model that learns sentence order", [...masked, "objective.name=mlm+sop", "model.name=megatron_bert"]],
  ])("is the plan's %s", async (_, overrides) => {
    await using folder = await temporaryFolder("assay-peak-");
    const { directory } = await createTinyRun(folder.path, [...small, ...overrides]);
    expect(await runToEnd(directory)).toMatchObject({ exitReason: null, status: "completed" });
    const ratio = await peakOverPlan(directory);
    expect(ratio).toBeGreaterThan(0.9);
    expect(ratio).toBeLessThan(1.1);
  });

  it("does not hold the file of the model it starts from", async () => {
    await using folder = await temporaryFolder("assay-peak-");
    const large = [...small, "global_train_batch_size=1", "device_train_microbatch_size=1", "max_seq_len=64"];
    const { directory: base } = await createTinyRun(folder.path, [
      ...large,
      "model={name: gpt2, n_layers: 6, n_heads: 8, d_model: 512}",
    ]);
    expect(await runToEnd(base)).toMatchObject({ exitReason: null, status: "completed" });
    const { directory } = await createTinyRun(folder.path, [
      ...large,
      `model={name: gpt2, init_from: "${base}", lora: {rank: 4}, weights: bf16}`,
      "tokenizer={}",
    ]);
    expect(await runToEnd(directory)).toMatchObject({ exitReason: null, status: "completed" });
    // The file is twice what its weights take in bf16, which are most of the plan.
    expect(await peakOverPlan(directory)).toBeLessThan(1.5);
  });
});
