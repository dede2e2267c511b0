// GGUF: what is written is read back by another reader, the tokenizer comes along, and what llama.cpp could not run is
// refused. That llama.cpp itself says the same is `npm run test:gguf`.
import { readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { describeModel } from "#core/models/describe";
import { type ExportRequest, exportModel } from "#core/models/export";
import { tokenizerJsonOfGguf } from "#core/models/gguf/gpt2";
import { readGgufHeader, readGgufTensor } from "#core/models/gguf/reader";
import { q8Bytes, writeGguf } from "#core/models/gguf/writer";
import { weightsName } from "#core/models/hugging-face";
import { openModel } from "#core/models/load";
import { loadTokenizer } from "#core/tokenizer/load";
import { assay } from "../support/command-line.ts";
import { buildGguf, f32s } from "../support/gguf.ts";
import { nastyText } from "../support/nasty-text.ts";
import { writeSmallModel } from "../support/small-model.ts";
import { temporaryFolder } from "../support/workspace.ts";

function toGguf(source: string, target: string, type: ExportRequest["type"] = "f32") {
  return exportModel(
    { source, target, format: "gguf", type, shardBytes: null, mergeAdapter: false },
    { workspace: path.dirname(source), threads: 1 },
  );
}

describe("GGUF", () => {
  it("is written byte for byte as the format says", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "x.gguf");
    const values = new Map([
      ["a", Float32Array.of(1, 2, 3, 4, 5, 6)],
      ["b", new Float32Array(64).fill(0.5)],
    ]);
    await writeGguf({
      file,
      metadata: [
        { key: "general.architecture", type: "string", value: "gpt2" },
        { key: "n", type: "u32", value: 7 },
        { key: "e", type: "f32", value: 0.25 },
        { key: "y", type: "bool", value: true },
        { key: "t", type: "strings", value: ["a", "β"] },
        { key: "i", type: "i32s", value: Int32Array.of(1, -2) },
      ],
      tensors: [
        { name: "a", shape: [2, 3], type: "f32" },
        { name: "b", shape: [2, 32], type: "q8_0" },
      ],
      read: async (name) => values.get(name) ?? new Float32Array(0),
    });
    const block = Buffer.concat([Buffer.from(Uint16Array.of(0x1c08).buffer), Buffer.alloc(32, 127)]);
    const expected = buildGguf(
      {
        "general.architecture": { type: "string", value: "gpt2" },
        n: { type: "u32", value: 7 },
        e: { type: "f32", value: 0.25 },
        y: { type: "bool", value: true },
        t: { type: "strings", value: ["a", "β"] },
        i: { type: "i32s", value: [1, -2] },
      },
      [
        { name: "a", shape: [2, 3], type: 0, data: f32s([1, 2, 3, 4, 5, 6]) },
        { name: "b", shape: [2, 32], type: 8, data: Buffer.concat([block, block]) },
      ],
    );
    expect((await readFile(file)).toString("hex")).toBe(expected.toString("hex"));
  });

  it("keeps values in q8_0 to half a step of the largest of their block", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "x.gguf");
    const values = Float32Array.from({ length: 96 }, (_, i) => (i < 32 ? 0 : Math.sin(i) * 10 ** ((i % 7) - 4)));
    expect(q8Bytes(values)).toHaveLength(3 * 34);
    await writeGguf({
      file,
      metadata: [],
      tensors: [{ name: "a", shape: [96], type: "q8_0" }],
      read: async () => values,
    });
    const header = readGgufHeader(file);
    const [tensor] = header.tensors;
    const back = tensor === undefined ? new Float32Array(0) : readGgufTensor(header, tensor);
    for (let block = 0; block < 3; block += 1) {
      const part = values.subarray(32 * block, 32 * block + 32);
      const step = Math.max(...part.map(Math.abs)) / 127;
      for (const [index, value] of part.entries()) {
        // The step itself is kept as a half, so the largest value may miss by its rounding.
        expect(Math.abs((back[32 * block + index] ?? 0) - value)).toBeLessThanOrEqual(step * (0.5 + 127 / 2048));
      }
    }
  });

  it("of a model with its own tokenizer is read back with the same logits, and the same ids for any text", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    const { tokenizer, config } = await writeSmallModel(source);
    for (const type of ["f32", "f16", "q8_0"] as const) {
      const file = path.join(folder.path, `${type}.gguf`);
      const { comparison } = await toGguf(source, file, type);
      expect(comparison.maxDifference).toBeLessThanOrEqual(comparison.tolerance);
      expect(comparison.maxDifference === 0).toBe(type === "f32");
      const opened = await openModel(file, { workspace: folder.path, threads: 1 });
      expect(opened.config).toEqual({ ...config, classifierPdrop: 0 });
      for (let seed = 0; seed < 40; seed += 1) {
        const text = nastyText(seed, 30);
        expect([...(opened.tokenizer?.encode(text).ids ?? [])]).toEqual([...tokenizer.encode(text).ids]);
      }
      expect(opened.tokenizer?.endOfTextId).toBe(tokenizer.endOfTextId);
      opened.model.dispose();
    }
    const sizes = await Promise.all(["f32", "f16", "q8_0"].map((type) => stat(path.join(folder.path, `${type}.gguf`))));
    expect(sizes.map(({ size }) => size)).toEqual(sizes.map(({ size }) => size).toSorted((a, b) => b - a));
  });

  it("names architecture, shape, pre-tokenizer, token types and ends of text as llama.cpp wants them", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    const { tokenizer, config } = await writeSmallModel(source, { vocabSize: 320 });
    const file = path.join(folder.path, "model.gguf");
    await toGguf(source, file, "q8_0");
    const { metadata, tensors } = readGgufHeader(file);
    const eos = tokenizer.endOfTextId ?? -1;
    expect(Object.fromEntries(metadata)).toMatchObject({
      "general.architecture": "gpt2",
      "general.file_type": 7,
      "general.quantization_version": 2,
      "gpt2.context_length": config.maxSeqLen,
      "gpt2.block_count": config.nLayers,
      "gpt2.attention.head_count": config.nHeads,
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.eos_token_id": eos,
      "tokenizer.ggml.bos_token_id": eos,
      "tokenizer.ggml.add_bos_token": false,
    });
    const tokens = metadata.get("tokenizer.ggml.tokens") as readonly string[];
    const types = metadata.get("tokenizer.ggml.token_type") as readonly number[];
    expect(tokens).toHaveLength(320);
    expect(new Set(tokens).size).toBe(320);
    expect([tokens[eos], types[eos]]).toEqual(["<|endoftext|>", 3]);
    expect(types.filter((type) => type === 5)).toHaveLength(320 - tokenizer.vocabSize);
    expect(tokens[220]).toBe("Ġ");
    // Vectors and positions stay fp32, matrices are (out, in), and the output layer is not written twice.
    expect(tensors.find(({ name }) => name === "position_embd.weight")?.dtype).toBe("F32");
    expect(tensors.find(({ name }) => name === "blk.0.ffn_up.weight")).toMatchObject({
      dtype: "Q8_0",
      shape: [128, 32],
    });
    expect(tensors.some(({ name }) => name === "output.weight")).toBe(false);
  });

  it("becomes a model folder again, weight for weight", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeSmallModel(source);
    const file = path.join(folder.path, "model.gguf");
    await toGguf(source, file);
    const back = path.join(folder.path, "back");
    const result = await assay(["convert", "--model", file, "--to", "safetensors", "--out", back]);
    expect(result).toMatchObject({ code: 0 });
    expect((await readFile(path.join(back, weightsName))).equals(await readFile(path.join(source, weightsName)))).toBe(
      true,
    );
    const again = await loadTokenizer(back);
    expect([...again.encode("patients with 中文").ids]).toEqual([
      ...(await loadTokenizer(source)).encode("patients with 中文").ids,
    ]);
  });

  it("is generated from like any other model, and described from its header", async () => {
    await using folder = await temporaryFolder();
    const source = path.join(folder.path, "model");
    await writeSmallModel(source);
    const file = path.join(folder.path, "model.gguf");
    await toGguf(source, file);
    const words = ["--prompt", "patients", "--temperature", "0", "--max-new-tokens", "8", "--json"];
    const [ours, theirs] = await Promise.all(
      [source, file].map((model) => assay(["generate", "--model", model, ...words])),
    );
    const text = (result: { stdout: string } | undefined) =>
      (JSON.parse(result?.stdout ?? "") as { text: string }).text;
    expect(text(theirs)).toBe(text(ours));
    expect(await describeModel(file, { workspace: folder.path })).toMatchObject({
      format: "gguf",
      family: "gpt2",
      architecture: "GPT2LMHeadModel",
      missing: [],
      findings: [],
      tokenizer: { kind: "byte-bpe", vocabSize: 300 },
    });
  });

  it("is not written of what llama.cpp does not run, nor of a tokenizer without an end of text", async () => {
    await using folder = await temporaryFolder();
    const bert = path.join(folder.path, "bert");
    await writeSmallModel(bert, { family: "bert", head: "masked-lm", typeVocabSize: 2, activation: "gelu_new" });
    await expect(toGguf(bert, path.join(folder.path, "bert.gguf"))).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("masked-lm"),
    });
    const endless = path.join(folder.path, "endless");
    await writeSmallModel(endless);
    const file = path.join(endless, "tokenizer.json");
    const json = JSON.parse(await readFile(file, "utf8")) as {
      added_tokens: unknown[];
      model: { vocab: Record<string, number> };
    };
    json.added_tokens = [];
    delete json.model.vocab["<|endoftext|>"];
    await writeFile(file, JSON.stringify(json));
    await expect(toGguf(endless, path.join(folder.path, "endless.gguf"))).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("end-of-text"),
    });
  });

  it("of another architecture or pre-tokenizer is refused by name", async () => {
    await using folder = await temporaryFolder();
    const file = path.join(folder.path, "x.gguf");
    await writeFile(file, buildGguf({ "general.architecture": { type: "string", value: "llama" } }, []));
    await expect(openModel(file, { workspace: folder.path })).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("llama"),
    });
    await writeFile(
      file,
      buildGguf(
        {
          "tokenizer.ggml.model": { type: "string", value: "gpt2" },
          "tokenizer.ggml.pre": { type: "string", value: "qwen2" },
        },
        [],
      ),
    );
    expect(() => tokenizerJsonOfGguf(readGgufHeader(file))).toThrow(/qwen2/);
  });
});
