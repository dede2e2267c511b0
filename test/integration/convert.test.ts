// `assay convert`: what it reads and writes for every family and head, that what it wrote says the same, and that a
// difference is never passed over.
import { closeSync, openSync, statSync, writeSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeLora, type NativeModelConfig } from "#core/engine/addon";
import { readAdapterFolder, writeAdapterFolder } from "#core/models/adapter";
import { compareLogits, logitsOf, probeSequences } from "#core/models/compare-logits";
import { describeModel } from "#core/models/describe";
import { type ExportRequest, exportModel } from "#core/models/export";
import { configJson, readModelFolder, weightsName } from "#core/models/hugging-face";
import { headsOf } from "#core/models/hugging-face/architectures";
import { openModel } from "#core/models/load";
import { modelTensors } from "#core/models/tensors";
import { assay } from "../support/command-line.ts";
import { tinyConfig } from "../support/engine.ts";
import { fillWeights, writeSmallModel } from "../support/small-model.ts";
import { temporaryFolder } from "../support/workspace.ts";

const families = ["gpt2", "bert", "megatron_bert"] as const;

function configOf(family: NativeModelConfig["family"], head: NativeModelConfig["head"]): NativeModelConfig {
  const hasLabels = head === "sequence-classification" || head === "token-classification";
  return tinyConfig({
    family,
    head,
    labels: hasLabels ? 3 : 1,
    ...(family === "gpt2" ? {} : { typeVocabSize: 2, layerNormEps: 1e-12, activation: "gelu" }),
  });
}

/** A model folder of the config with weights of its own; without a tokenizer. */
async function writeModel(folder: string, config: NativeModelConfig, seed = 3): Promise<void> {
  await mkdir(folder, { recursive: true });
  const model = loadAddon().createModel(config, { threads: 1 });
  await fillWeights(model, seed);
  await model.saveWeights(path.join(folder, weightsName));
  model.dispose();
  await writeFile(path.join(folder, "config.json"), JSON.stringify(configJson(config, { endOfTextId: 96, padId: 0 })));
}

function request(source: string, target: string, changes: Partial<ExportRequest> = {}): ExportRequest {
  return { source, target, format: "safetensors", type: "f32", shardBytes: null, mergeAdapter: false, ...changes };
}

async function logitsIn(folder: string) {
  const opened = await openModel(folder, { workspace: folder, threads: 1 });
  try {
    const sequences = probeSequences(opened.config, null);
    return { sequences, logits: await logitsOf(opened.model, opened.config, sequences) };
  } finally {
    opened.model.dispose();
  }
}

describe("assay convert", () => {
  it("knows every tensor of every family and head, as the engine does", () => {
    for (const family of families) {
      for (const head of headsOf(family)) {
        const config = configOf(family, head);
        const model = loadAddon().createModel(config, { threads: 1 });
        const told = (tensors: readonly { name: string; shape: readonly number[] }[]) =>
          tensors.map(({ name, shape }) => `${name} (${shape.join(", ")})`).toSorted();
        expect(told(modelTensors(config)), `${family} ${head}`).toEqual(told(model.parameters()));
        model.dispose();
      }
    }
  });

  it("writes safetensors of every family and head that say the same, in f32 to the bit", async () => {
    await using folder = await temporaryFolder();
    for (const family of families) {
      for (const head of headsOf(family)) {
        const name = `${family}-${head}`;
        const source = path.join(folder.path, name);
        await writeModel(source, configOf(family, head));
        const target = path.join(folder.path, `${name}-out`);
        const { comparison } = await exportModel(request(source, target), { workspace: folder.path, threads: 1 });
        expect(comparison, name).toMatchObject({ maxDifference: 0, tolerance: 1e-5 });
        expect((await readModelFolder(target)).config, name).toEqual((await readModelFolder(source)).config);
        expect(
          (await readFile(path.join(target, weightsName))).equals(await readFile(path.join(source, weightsName))),
          name,
        ).toBe(true);
      }
    }
  });

  it("rounds to f16 and bf16 within what it states, and says which in config.json", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("bert", "pretraining"));
    const whole = (await stat(path.join(source, weightsName))).size;
    for (const [type, torch] of [
      ["f16", "float16"],
      ["bf16", "bfloat16"],
    ] as const) {
      const target = path.join(folder.path, type);
      const { comparison } = await exportModel(request(source, target, { type }), { workspace: folder.path });
      expect(comparison.maxDifference).toBeGreaterThan(0);
      expect(comparison.maxDifference).toBeLessThan(comparison.tolerance);
      expect((await stat(path.join(target, weightsName))).size).toBeLessThan(0.6 * whole);
      const config: unknown = JSON.parse(await readFile(path.join(target, "config.json"), "utf8"));
      expect(config).toMatchObject({ torch_dtype: torch });
    }
  });

  it("writes shards of at most the size asked for, and reads them back", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("gpt2", "causal-lm"));
    const target = path.join(folder.path, "shards");
    const result = await assay([
      "convert",
      "--model",
      source,
      "--to",
      "safetensors",
      "--out",
      target,
      "--max-shard-size",
      "40KB",
      "--json",
    ]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    const shards = (await readdir(target)).filter((name) => name.endsWith(".safetensors"));
    expect(shards.length).toBeGreaterThan(2);
    expect(JSON.parse(result.stdout)).toMatchObject({ comparison: { maxDifference: 0 } });
  });

  it("keeps what a foreign config.json says besides, and the names of labels", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("bert", "token-classification"));
    const config = path.join(source, "config.json");
    const json = JSON.parse(await readFile(config, "utf8")) as Record<string, unknown>;
    const labels = { "0": "O", "1": "B-Disease", "2": "I-Disease" };
    await writeFile(
      config,
      JSON.stringify({ ...json, id2label: labels, task_specific_params: { ner: 1 }, _name_or_path: "/home/someone/x" }),
    );
    await writeFile(path.join(source, "vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
    const target = path.join(folder.path, "out");
    await exportModel(request(source, target), { workspace: folder.path });
    const written = JSON.parse(await readFile(path.join(target, "config.json"), "utf8")) as Record<string, unknown>;
    expect(written).toMatchObject({ id2label: labels, task_specific_params: { ner: 1 } });
    expect(written).not.toHaveProperty("_name_or_path");
    expect(await readdir(target)).toContain("vocab.txt");
  });

  it("puts BioMedLM's attention scaling into the weights, so that the copy is an ordinary GPT-2 that says the same", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    const config = tinyConfig({ nLayers: 3 });
    await writeModel(source, config);
    const json = configJson(config, { endOfTextId: 96, padId: null });
    await writeFile(
      path.join(source, "config.json"),
      JSON.stringify({ ...json, scale_attn_by_inverse_layer_idx: true }),
    );
    const target = path.join(folder.path, "out");
    const { comparison } = await exportModel(request(source, target), { workspace: folder.path });
    expect(comparison.maxDifference).toBe(0);
    expect((await readModelFolder(target)).scalesByInverseLayer).toBe(false);
    // The scores of layer i are those of query weights divided by i + 1, done here a second time by hand.
    const plain = loadAddon().createModel(config, { threads: 1 });
    await plain.loadWeights(path.join(source, weightsName));
    for (const layer of [1, 2]) {
      for (const part of ["weight", "bias"]) {
        const name = `transformer.h.${layer}.attn.c_attn.${part}`;
        const values = await plain.readTensor(name);
        const width = 3 * config.dModel;
        await plain.writeTensor(
          name,
          values.map((value, index) => (index % width < config.dModel ? value / (layer + 1) : value)),
        );
      }
    }
    const { sequences, logits } = await logitsIn(target);
    expect(compareLogits(sequences, logits, await logitsOf(plain, config, sequences)).maxDifference).toBe(0);
    // And they are not those of the weights as they stand.
    await plain.loadWeights(path.join(source, weightsName));
    expect(compareLogits(sequences, logits, await logitsOf(plain, config, sequences)).maxDifference).toBeGreaterThan(
      1e-3,
    );
    plain.dispose();
  });

  it("saves an adapter as PEFT does, gives it away alone, and merges it into its base with the same logits", async () => {
    await using folder = await temporaryFolder();
    const base = path.join(folder.path, "base");
    const { config } = await writeSmallModel(base);
    const lora: NativeLora = { rank: 4, alpha: 8, dropout: 0, targets: ["c_attn", "mlp.c_fc"] };
    const model = loadAddon().createModel(config, { threads: 1, lora });
    await model.loadWeights(path.join(base, weightsName));
    for (const { name } of model.parameters().filter((each) => each.name.includes("lora_B"))) {
      const values = await model.readTensor(name);
      await model.writeTensor(
        name,
        values.map((_, index) => Math.sin(index) / 5),
      );
    }
    const adapter = path.join(folder.path, "adapter");
    await mkdir(adapter);
    await writeAdapterFolder(adapter, model, { config, lora, base });
    const sequences = probeSequences(config, null);
    const expected = await logitsOf(model, config, sequences);
    model.dispose();

    const json = JSON.parse(await readFile(path.join(adapter, "adapter_config.json"), "utf8")) as unknown;
    expect(json).toMatchObject({
      peft_type: "LORA",
      task_type: "CAUSAL_LM",
      base_model_name_or_path: base,
      r: 4,
      lora_alpha: 8,
      target_modules: ["c_attn", "mlp.c_fc"],
      fan_in_fan_out: true,
      modules_to_save: null,
    });
    const { tensors } = loadAddon().readSafetensorsHeader(path.join(adapter, "adapter_model.safetensors"));
    expect(tensors.map(({ name }) => name)).toContain("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight");
    expect(await readAdapterFolder(adapter)).toMatchObject({ lora, base });

    const opened = await openModel(adapter, { workspace: folder.path, threads: 1 });
    const { maxDifference } = compareLogits(sequences, expected, await logitsOf(opened.model, config, sequences));
    opened.model.dispose();
    expect(maxDifference).toBe(0);

    await expect(
      exportModel(request(adapter, path.join(folder.path, "no")), { workspace: folder.path }),
    ).rejects.toMatchObject({ code: "BAD_ARGUMENT", message: expect.stringContaining("--merge-adapter") });
    const alone = path.join(folder.path, "alone");
    await exportModel(request(adapter, alone, { format: "peft" }), { workspace: folder.path });
    expect((await readdir(alone)).toSorted()).toEqual(
      expect.arrayContaining(["adapter_config.json", "adapter_model.safetensors", "tokenizer.json"]),
    );

    const merged = path.join(folder.path, "merged");
    await exportModel(request(adapter, merged, { mergeAdapter: true }), { workspace: folder.path });
    expect(await readdir(merged)).not.toContain("adapter_config.json");
    const after = await logitsIn(merged);
    expect(compareLogits(sequences, expected, after.logits).maxDifference).toBeLessThan(1e-5);
  });

  it("fails loudly, and removes nothing, when what was written says something else", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("gpt2", "causal-lm"));
    const target = path.join(folder.path, "out");
    const work = exportModel(request(source, target), {
      workspace: folder.path,
      // Between writing and reading back, one weight changes on the disk.
      onProgress: ({ phase }) => {
        if (phase === "reading it back") {
          overwriteEnd(path.join(target, weightsName));
        }
      },
    });
    await expect(work).rejects.toMatchObject({
      code: "EXPORT_DIFFERS",
      message: expect.stringContaining("left for you"),
    });
    expect(await readdir(target)).toContain(weightsName);
  });

  it("writes into no folder that holds something, and takes no type that a format has not", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("gpt2", "causal-lm"));
    for (const [changes, code] of [
      [{ target: source }, "FILE_NOT_WRITABLE"],
      [{ type: "q8_0" }, "BAD_ARGUMENT"],
      [{ format: "gguf", type: "bf16" }, "BAD_ARGUMENT"],
      [{ format: "gguf", shardBytes: 1e6 }, "BAD_ARGUMENT"],
      [{ format: "gguf" }, "TOKENIZER_NOT_FOUND"],
      [{ format: "peft" }, "NOT_SUPPORTED"],
    ] as const) {
      const work = exportModel(request(source, path.join(folder.path, "out"), changes), { workspace: folder.path });
      await expect(work, JSON.stringify(changes)).rejects.toMatchObject({ code });
    }
    expect((await readdir(source)).toSorted()).toEqual(["config.json", "model.safetensors"]);
  });

  it("--check tells what a model is and ends with 1 when its tokenizer cannot work", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    const { tokenizer, config } = await writeSmallModel(source);
    const good = await assay(["convert", "--check", "--model", source, "--json"]);
    expect(good.code).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({
      family: "gpt2",
      head: "causal-lm",
      format: "safetensors",
      parameters: { value: modelTensors(config).reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0) },
      tokenizer: { kind: "byte-bpe", vocabSize: tokenizer.vocabSize },
      findings: [],
    });
    const small = path.join(folder.path, "small");
    await writeModel(small, configOf("gpt2", "causal-lm"));
    await copyFile(path.join(source, "tokenizer.json"), path.join(small, "tokenizer.json"));
    const bad = await assay(["convert", "--check", "--model", small]);
    expect(bad).toMatchObject({ code: 1, stdout: expect.stringContaining("error: The tokenizer has ids up to") });
  });

  it("describes what a file lacks, has too much or has in another shape", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeModel(source, configOf("gpt2", "causal-lm"));
    const config = path.join(source, "config.json");
    const json = JSON.parse(await readFile(config, "utf8")) as Record<string, unknown>;
    await writeFile(config, JSON.stringify({ ...json, n_layer: 3, n_positions: 64 }));
    const described = await describeModel(source, { workspace: folder.path });
    expect(described.missing).toHaveLength(12);
    const messages = described.findings.map(({ message }) => message).join("\n");
    expect(messages).toContain("lacks 12 of the 40 tensors");
    expect(messages).toContain("transformer.wpe.weight is (32, 32) instead of (64, 32)");
    await writeFile(config, JSON.stringify({ ...json, n_layer: 1 }));
    expect((await describeModel(source, { workspace: folder.path })).unexpected).toHaveLength(12);
  });
});

/** The last four bytes of a file become another number. */
function overwriteEnd(file: string): void {
  const descriptor = openSync(file, "r+");
  try {
    writeSync(descriptor, Buffer.from(Float32Array.of(10).buffer), 0, 4, statSync(file).size - 4);
  } finally {
    closeSync(descriptor);
  }
}
