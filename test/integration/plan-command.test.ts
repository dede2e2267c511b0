// assay plan and assay train --from as a person calls them: what they print, what --json holds, what they refuse.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assay } from "../support/command-line.ts";
import { createTinyRun, requireAddon, runToEnd } from "../support/runner.ts";
import { temporaryFolder } from "../support/workspace.ts";

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let workspace: string;
beforeAll(async () => {
  requireAddon();
  folder = await temporaryFolder("assay-plan-");
  workspace = folder.path;
});
afterAll(() => folder[Symbol.asyncDispose]());

async function planJson(...words: readonly string[]) {
  const { code, stdout, stderr } = await assay(["plan", ...words, "--json", "--workspace", workspace]);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout);
}

const biomedlm = ["biomedlm-2.7b", "--gpu", "a100-40gb", "--gpus", "128", "--mfu", "0.2303", "--price", "2"];

describe("assay plan", () => {
  it("gives BioMedLM's published figures, without its text", async () => {
    const plan = await planJson(...biomedlm);
    expect(plan).toMatchObject({
      params: 2_594_247_680,
      params_name: "BioMedLM 2.7B",
      gpu: { name: "a100-40gb", count: 128 },
      memory: {
        fp32: { total: expect.any(Number) },
        amp_bf16: { total: expect.any(Number) },
        lora_bf16: { total: expect.any(Number) },
        int8_inference: { total: expect.any(Number) },
      },
    });
    expect(plan.flops_per_token).toBe(6 * (2_594_247_680 - 1024 * 2560) + 12 * 32 * 2560 * 1024);
    expect(plan.days).toBeCloseTo(6.25, 2);
    expect(Math.round(plan.gpu_hours / 100)).toBe(192);
    expect(Math.round(plan.cost_usd / 100)).toBe(384);
    expect(plan.memory_bytes).toBeLessThan(40e9);
  });

  it("prints every figure with its arithmetic, and the four memories side by side", async () => {
    const { stdout } = await assay(["plan", ...biomedlm, "--workspace", workspace]);
    for (const part of [
      "2 594 247 680 (BioMedLM 2.7B)",
      "6.25 days",
      "GPU-hours",
      "$38 40",
      "6 × (2 594 247 680 − 2 621 440",
    ]) {
      expect(stdout).toContain(part);
    }
    expect(stdout).toMatch(/train fp32 +train amp_bf16 +LoRA on bf16 +int8 inference/);
  });

  it("plans a model by its config.json alone, at full size", async () => {
    const model = path.join(workspace, "biomedlm");
    await mkdir(model);
    const config = { model_type: "gpt2", architectures: ["GPT2LMHeadModel"], n_embd: 2560, n_head: 20, n_layer: 32 };
    await writeFile(
      path.join(model, "config.json"),
      JSON.stringify({ ...config, n_positions: 1024, vocab_size: 28_896 }),
    );
    const plan = await planJson(model);
    expect(plan).toMatchObject({ params: 2_594_247_680, days: null, cost_usd: null });
    expect(plan.memory.lora_bf16.total).toBeLessThan(0.5 * plan.memory.fp32.total);
    expect(plan.memory.int8_inference.total).toBeLessThan(4e9);
  });

  it.each([
    ["biomegatron-345m", "BioMegatron 345M", 0.35e9],
    ["biomegatron-800m", "BioMegatron 800M", 0.76e9],
    ["biomegatron-1.2b", "BioMegatron 1.2B", 1.28e9],
    ["bert-base", "BERT-base 110M", 0.11e9],
    ["gpt2-medium", "GPT-2 medium 355M", 0.355e9],
  ])("knows %s by its name in the papers", async (preset, name, about) => {
    const plan = await planJson(preset);
    expect(plan.params_name).toBe(name);
    expect(plan.params / about).toBeCloseTo(1, 1);
    expect(plan.basis).toBe("estimated");
  });

  it("counts passes over the text that is there, and says what is missing where it is not", async () => {
    expect((await planJson("biomedlm-tiny", "--set", "max_duration=2ep")).steps).toBeGreaterThan(10);
    const { code, stderr } = await assay(["plan", "gpt2", "--set", "max_duration=1ep", "--workspace", workspace]);
    expect(code).toBe(2);
    expect(stderr).toContain("path of a preset stands for text that only you have");
  });

  it("refuses what makes no sense as a wrong request", async () => {
    for (const words of [
      ["biomedlm-2.7b", "--gpu", "abacus"],
      ["biomedlm-2.7b", "--price", "2"],
      ["biomedlm-2.7b", "--gpu", "h100", "--mfu", "1.2"],
    ]) {
      const { code, stderr } = await assay(["plan", ...words, "--workspace", workspace]);
      expect(code, stderr).toBe(2);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    }
  });
});

describe("assay train --from", () => {
  it("says where a branch comes from and which keys it changes", async () => {
    const { directory } = await createTinyRun(workspace, ["max_duration=8ba"]);
    expect(await runToEnd(directory)).toMatchObject({ status: "completed" });
    const id = path.basename(directory);
    expect(await planJson(id)).toMatchObject({ name: "tiny", steps: 8, basis: "measured" });
    expect(await planJson(`${id}@8`)).toMatchObject({ days: null, memory: { int8_inference: expect.anything() } });
    const words = [
      "train",
      "--from",
      `${id}@8`,
      "--set",
      "max_duration=12ba",
      "--dry-run",
      "--json",
      "--workspace",
      workspace,
    ];
    const { code, stdout } = await assay(words);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      branched_from: { run: id, step: 8 },
      changed: [{ key: "max_duration", from: "8ba", to: "12ba" }],
    });
    const refused = await assay(["train", "--from", `${id}@8`, "--set", "model.d_model=64", "--workspace", workspace]);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain("A branch cannot change model.d_model");
  });

  it("needs a recipe or a run", async () => {
    const { code, stderr } = await assay(["train", "--workspace", workspace]);
    expect(code).toBe(2);
    expect(stderr).toContain("`assay train` needs RECIPE");
  });
});
