import { describe, expect, it } from "vitest";
import { isShaped } from "#shared/domain/recipe";
import { loadRecipeSource } from "../recipe/load.ts";
import { needsText } from "./corpus-size.ts";
import { findGpu, gpuPeak, gpus, gpuTrainingMemory } from "./gpus.ts";
import { totalBytes } from "./memory.ts";
import { type Cluster, planRecipe } from "./plan.ts";

const machine = {
  cpuModel: "test",
  physicalCores: 2,
  isa: ["avx2"],
  gemm: "onednn",
  clockGhz: 3,
  memoryBytes: 16e9,
} as const;
const biomedlmCluster: Cluster = { gpu: findGpu("a100-40gb"), count: 128, mfu: 0.2303, pricePerHour: 2 };

async function planOf(preset: string, cluster: Cluster | null, overrides: readonly string[] = []) {
  const { recipe } = await loadRecipeSource(preset, { overrides });
  if (!isShaped(recipe)) {
    throw new Error("A preset without model.init_from has a shape.");
  }
  const vocabSize = recipe.tokenizer.train?.vocab_size ?? 50_257;
  return planRecipe(recipe, { machine, vocabSize, trainTokens: null, measured: null, availableBytes: 16e9 }, cluster);
}

describe("planRecipe", () => {
  it("gives BioMedLM's days, GPU-hours and cost on its 128 GPUs", async () => {
    const plan = await planOf("biomedlm-2.7b", biomedlmCluster);
    expect(plan.publishedName).toBe("BioMedLM 2.7B");
    expect(plan.forecast.parameters.value).toBe(2_594_247_680);
    expect(plan.days.value).toBeCloseTo(6.25, 2);
    expect(plan.gpuHours?.value).toBeGreaterThan(19_150);
    expect(plan.gpuHours?.value).toBeLessThan(19_250);
    expect(plan.cost?.value).toBeGreaterThan(38_300);
    expect(plan.cost?.value).toBeLessThan(38_500);
    expect(plan.memory.value).toBeLessThan(40e9);
  });

  it("needs no more of 8 bits and of LoRA than of training whole weights", async () => {
    const { variants } = await planOf("biomedlm-2.7b", null);
    expect(totalBytes(variants.fp32)).toBeGreaterThan(16 * 2_594_247_680);
    expect(totalBytes(variants.lora_bf16)).toBeLessThan(0.2 * totalBytes(variants.fp32));
    expect(totalBytes(variants.int8_inference)).toBeLessThan(totalBytes(variants.lora_bf16));
    expect(variants.int8_inference.gradientBytes).toBe(0);
  });

  it("leaves the cost open without a price, and hours without GPUs", async () => {
    const plan = await planOf("biomedlm-2.7b", { ...biomedlmCluster, pricePerHour: null, mfu: null });
    expect(plan.cost).toBeNull();
    expect(plan.forecast.tokensPerSecond.how).toContain("assumed; --mfu gives another");
    expect((await planOf("biomedlm-tiny", null)).gpuHours).toBeNull();
  });

  it("says where a model is too large for one GPU", async () => {
    const plan = await planOf("biomedlm-2.7b", { ...biomedlmCluster, count: 1 });
    expect(plan.memory.how).toContain("more than the 40.00 GB of one");
  });

  it("opens every figure in a sentence with numbers", async () => {
    const plan = await planOf("biomegatron-345m", biomedlmCluster);
    for (const figure of [plan.memory, plan.days, plan.gpuHours, plan.cost]) {
      expect(figure?.how).toMatch(/\d.*\.$/s);
    }
  });

  it("counts what is trained of LoRA and of frozen weights", async () => {
    const lora = await planOf("biomedlm-tiny", null, ["model.lora.rank=4"]);
    expect(lora.trainable).toBe(4 * 4 * (256 + 3 * 256));
    const frozen = await planOf("biomedlm-tiny", null, ["model.freeze=[transformer.wte.*, transformer.wpe.*]"]);
    expect(frozen.trainable).toBe(frozen.forecast.parameters.value - (2048 + 128) * 256);
  });

  it("needs the text only where a run is counted in passes of it", async () => {
    const { recipe } = await loadRecipeSource("biomedlm-tiny", { overrides: ["max_duration=1ep"] });
    expect(needsText(recipe)).toBe(true);
    expect(needsText({ max_duration: "300e9tok" })).toBe(false);
  });
});

describe("findGpu", () => {
  it("takes usual spellings, and names the nearest of what it does not know", () => {
    expect(findGpu("A100 80GB").memoryBytes).toBe(80e9);
    expect(findGpu("h100").bf16FlopsPerSecond).toBe(989e12);
    expect(() => findGpu("a100-40g")).toThrow(/did you mean a100-40gb\?/);
    expect(() => findGpu("abacus")).toThrow(gpus[0]?.name ?? "");
  });
});

describe("gpuPeak", () => {
  it("knows a GPU by what its driver calls it, and its best by the number format", () => {
    expect(gpuPeak("NVIDIA H200", "amp_bf16")).toEqual({ title: "H200 141 GB", flopsPerSecond: 989e12 });
    expect(gpuPeak("NVIDIA H200", "fp32")?.flopsPerSecond).toBe(67e12);
    expect(gpuPeak("NVIDIA A100-SXM4-80GB", "amp_bf16")?.title).toBe("A100 80 GB");
    expect(gpuPeak("NVIDIA GeForce RTX 4090", "amp_bf16")?.title).toBe("RTX 4090 24 GB");
    // Others of nearly the same name are other GPUs.
    for (const name of ["NVIDIA A10G", "NVIDIA L40", "NVIDIA GeForce RTX 3090 Ti", "NVIDIA H200 NVL", "Tesla T4"]) {
      expect(gpuPeak(name, "amp_bf16")).toBeNull();
    }
  });
});

describe("gpuTrainingMemory", () => {
  const shape = { parameters: 1e9, layers: 10, width: 1000, vocabSize: 1 };

  it("shares 16 bytes a parameter among the GPUs", () => {
    const training = { microbatch: 1, seqLen: 1, recompute: "none" } as const;
    expect(gpuTrainingMemory(shape, { ...training, gpuCount: 1 }).stateBytes).toBe(16e9);
    expect(gpuTrainingMemory(shape, { ...training, gpuCount: 8 }).stateBytes).toBe(2e9);
  });

  it("keeps little of a block that is computed again", () => {
    const training = { microbatch: 2, seqLen: 512, gpuCount: 1 };
    const kept = gpuTrainingMemory(shape, { ...training, recompute: "none" }).activationBytes;
    const again = gpuTrainingMemory(shape, { ...training, recompute: "full" }).activationBytes;
    expect(kept).toBe(34 * 10 * 1000 * 1024);
    expect(again).toBe((2 * 10 + 34) * 1000 * 1024);
  });
});
