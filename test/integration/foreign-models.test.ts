// Checkpoints that others wrote: tiny public ones against PyTorch, with and without the base's prefix; one with the
// names and layout of stanford-crfm/BioMedLM in both file formats; and that model's headers alone at full width.
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it, vi } from "vitest";
import { loadAddon, type NativeModel, type NativeModelConfig, type NativeTrainingOptions } from "#core/engine/addon";
import { openModel } from "#core/models/load";
import { Agreement, hasTorch, readTensors, runReference, withoutTorch } from "../support/families.ts";
import { temporaryFolder } from "../support/workspace.ts";

const root = path.resolve(import.meta.dirname, "..", "..");
const data = path.resolve(root, process.env["ASSAY_TEST_DATA"] ?? path.join("..", "shared", "data"), "models");
const withoutData = existsSync(data) ? "" : ` (${data} is absent: set ASSAY_TEST_DATA)`;

// Hundreds of megabytes are written and read.
vi.setConfig({ testTimeout: 180_000 });

/** What differs between the logits of `model` and the reference's in `folder`. */
async function compareLogits(folder: string, model: NativeModel): Promise<readonly string[]> {
  const expected = await readTensors(path.join(folder, "logits.safetensors"));
  const tokens = expected.get("tokens");
  const [batch = 0, seqLen = 0] = tokens?.shape ?? [];
  const logits = await model.predict({ tokens: Int32Array.from(tokens?.values ?? []), batch, seqLen });
  const agreement = new Agreement("fp32");
  agreement.tensor("logits", logits, expected.get("logits")?.values ?? new Float32Array());
  return agreement.failures;
}

async function readConfig(folder: string): Promise<NativeModelConfig> {
  return JSON.parse(await readFile(path.join(folder, "native-config.json"), "utf8"));
}

/** The same with `weights` in a model of the reference's configuration. */
async function disagreements(folder: string, weights: string): Promise<readonly string[]> {
  const model = loadAddon().createModel(await readConfig(folder), { threads: 2 });
  try {
    expect(await model.loadWeights(weights)).toEqual({ missing: [], unexpected: [] });
    return await compareLogits(folder, model);
  } finally {
    model.dispose();
  }
}

/** The same safetensors file with other names. */
async function writeRenamed(source: string, target: string, rename: (name: string) => string): Promise<void> {
  const bytes = await readFile(source);
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header: Record<string, unknown> = JSON.parse(bytes.toString("utf8", 8, end));
  const renamed = Object.entries(header).map(([name, entry]) => [name === "__metadata__" ? name : rename(name), entry]);
  const text = Buffer.from(JSON.stringify(Object.fromEntries(renamed)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  await writeFile(target, Buffer.concat([length, text, bytes.subarray(end)]));
}

describe.skipIf(!hasTorch || withoutData !== "")(`public checkpoints${withoutTorch}${withoutData}`, () => {
  for (const [name, prefix] of [
    ["tiny_gpt2", "transformer."],
    ["fake_gpt2", "transformer."],
    ["bert_tiniest", "bert."],
  ] as const) {
    it(`${name} says what PyTorch says, with and without the prefix`, async () => {
      await using folder = await temporaryFolder();
      const source = path.join(data, name);
      await runReference("foreign_models.py", "logits", "--model", source, "--out", folder.path);
      const weights = path.join(source, "model.safetensors");
      expect(await disagreements(folder.path, weights)).toEqual([]);
      const bare = path.join(folder.path, "bare.safetensors");
      await writeRenamed(weights, bare, (tensor) => (tensor.startsWith(prefix) ? tensor.slice(prefix.length) : tensor));
      expect(await disagreements(folder.path, bare)).toEqual([]);
      const full = path.join(folder.path, "full.safetensors");
      const belongsElsewhere = /^(bert|transformer|cls)\./;
      await writeRenamed(weights, full, (tensor) => (belongsElsewhere.test(tensor) ? tensor : prefix + tensor));
      expect(await disagreements(folder.path, full)).toEqual([]);
    });
  }

  it("bert_tiniest takes a new head where the file has another", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(data, "bert_tiniest");
    await runReference("foreign_models.py", "logits", "--model", source, "--out", folder.path);
    const config = await readConfig(folder.path);
    const model = loadAddon().createModel({ ...config, head: "token-classification", labels: 3 }, { threads: 1 });
    await model.initialize(1);
    const weights = path.join(source, "model.safetensors");
    const { missing, unexpected } = await model.loadWeights(weights, { allowMissingHead: true });
    expect(missing.toSorted()).toEqual(["classifier.bias", "classifier.weight"]);
    expect(unexpected.every((name) => name.startsWith("cls."))).toBe(true);
    expect(unexpected).toContain("cls.predictions.bias");
    await expect(model.loadWeights(weights)).rejects.toMatchObject({ code: "CHECKPOINT_MISMATCH" });
    model.dispose();
  });
});

/** 28 896 · 2560 tokens, 1024 · 2560 positions, 32 · (12 · 2560² + 13 · 2560) in blocks, 2 · 2560 in the last norm. */
const BIOMEDLM_PARAMETERS = 2_594_247_680;

const biomedlmTraining: NativeTrainingOptions = {
  microbatchSize: 1,
  seqLen: 1024,
  globalBatchSize: 8,
  seed: 17,
  optimizer: { lr: 1e-5, betas: [0.9, 0.95], eps: 1e-8, weightDecay: 1e-5, noDecay: [] },
  gradientClipping: 1,
  precision: "fp32",
  recompute: "none",
  stochasticRounding: false,
  optimizerState: "fp32",
  frozen: [],
  labelSmoothing: 0,
  classWeights: null,
  documentMask: false,
  masking: null,
};

describe.skipIf(!hasTorch)(`a checkpoint with BioMedLM's names and layout${withoutTorch}`, () => {
  it("loads as model.safetensors and as pytorch_model.bin, with PyTorch's logits", async () => {
    await using folder = await temporaryFolder();
    await runReference("foreign_models.py", "biomedlm", "--width", "320", "--out", folder.path);
    for (const file of ["model.safetensors", "pytorch_model.bin"]) {
      const { model, unexpected } = await openModel(path.join(folder.path, file), { workspace: folder.path });
      expect(unexpected, file).toEqual([]);
      expect(await compareLogits(folder.path, model), file).toEqual([]);
      model.dispose();
    }
  });

  it("is read at full width by its headers alone", async () => {
    await using folder = await temporaryFolder();
    await runReference("foreign_models.py", "biomedlm-headers", "--width", "2560", "--out", folder.path);
    const shapes = new Map<string, readonly number[]>();
    for (const [file, format, count] of [
      ["model.safetensors", "safetensors", 32 * 14 + 4],
      ["pytorch_model.bin", "pytorch", 32 * 14 + 5],
    ] as const) {
      const full = path.join(folder.path, file);
      const { size, blocks } = await stat(full);
      expect(size).toBeGreaterThan(10e9);
      expect(blocks * 512).toBeLessThan(1e8);
      const headers = loadAddon().readTensorHeaders(full);
      expect(headers.format).toBe(format);
      expect(headers.tensors.length).toBe(count);
      for (const { name, dtype, shape } of headers.tensors) {
        expect(dtype, name).toBe(name.endsWith(".attn.bias") ? "U8" : "F32");
        expect(shapes.get(name) ?? shape, name).toEqual(shape);
        shapes.set(name, shape);
      }
    }
    expect(shapes.get("transformer.h.31.mlp.c_fc.weight")).toEqual([2560, 10_240]);
    const parameters = [...shapes].filter(([name]) => !/\.attn\.(masked_)?bias$|^lm_head/.test(name));
    const sizes = parameters.map(([, shape]) => shape.reduce((product, size) => product * size, 1));
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(BIOMEDLM_PARAMETERS);
  });

  it("is forecast at full width for fp32, bf16, and adapters over bf16 and int8", async () => {
    await using folder = await temporaryFolder();
    await runReference("foreign_models.py", "biomedlm-headers", "--width", "2560", "--out", folder.path);
    const config = await readConfig(folder.path);
    const lora = { rank: 16, alpha: 32, dropout: 0.05, targets: ["c_attn"] };
    const planned = (weights: "fp32" | "bf16" | "int8", changes: Partial<NativeTrainingOptions>) =>
      loadAddon().planTraining(
        config,
        { threads: 2, weights, lora: weights === "fp32" ? null : lora },
        { ...biomedlmTraining, ...changes },
      );
    const fp32 = planned("fp32", {});
    const bf16 = planned("fp32", { precision: "amp_bf16" });
    const recomputed = planned("fp32", { recompute: "full", optimizerState: "8bit" });
    const loraBf16 = planned("bf16", { precision: "amp_bf16", recompute: "full" });
    const loraInt8 = planned("int8", { precision: "amp_bf16", recompute: "full" });
    for (const plan of [fp32, bf16, recomputed, loraBf16, loraInt8]) {
      expect(plan.parameterCount).toBe(BIOMEDLM_PARAMETERS);
      const parts = [plan.parameterBytes, plan.gradientBytes, plan.optimizerBytes, plan.activationBytes];
      expect(plan.totalBytes).toBe(parts.reduce((sum, bytes) => sum + bytes, plan.workspaceBytes));
    }
    // Weights and gradients of four bytes, and two moments of four; what is rounded up is far below a percent.
    expect(fp32.parameterBytes / (4 * BIOMEDLM_PARAMETERS)).toBeCloseTo(1, 2);
    expect(fp32.gradientBytes / (4 * BIOMEDLM_PARAMETERS)).toBeCloseTo(1, 2);
    expect(fp32.optimizerBytes / (8 * BIOMEDLM_PARAMETERS)).toBeCloseTo(1, 2);
    expect(recomputed.optimizerBytes / (2 * BIOMEDLM_PARAMETERS)).toBeCloseTo(1, 1);
    expect(recomputed.activationBytes).toBeLessThan(fp32.activationBytes / 4);
    expect(loraBf16.parameterBytes / (2 * BIOMEDLM_PARAMETERS)).toBeCloseTo(1, 1);
    expect(loraInt8.parameterBytes / BIOMEDLM_PARAMETERS).toBeCloseTo(1, 1);
    expect(loraBf16.adapterParameterCount).toBe(32 * 16 * (2560 + 3 * 2560));
    expect(loraBf16.totalBytes).toBeLessThan(fp32.totalBytes / 4);
    expect(loraInt8.totalBytes).toBeLessThan(loraBf16.totalBytes);
  });
});
