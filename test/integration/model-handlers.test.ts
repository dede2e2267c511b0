import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createModelEngineHandlers } from "#core/models/engine-handlers";
import { bioMedLm, writeHeadersOnly } from "../support/foreign-models.ts";

const small = { ...bioMedLm, vocabSize: 64, maxSeqLen: 64, nLayers: 1, nHeads: 2, dModel: 8, dInner: 32 };

let folder = "";
const signal = { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined };

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-model-handlers-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

const handlers = () => createModelEngineHandlers({ workspace: () => folder });

describe("models.describe, models.forecast and models.lint", () => {
  it("answer for a model that no machine here could train, from its headers", async () => {
    const model = path.join(folder, "BioMedLM");
    await writeHeadersOnly(model, bioMedLm);
    const { requests } = handlers();
    const described = await requests["models.describe"]({ model }, { signal });
    expect(described).toMatchObject({
      architecture: "GPT2LMHeadModel",
      parameters: { value: 2_594_247_680 },
      publishedName: "BioMedLM 2.7B",
      tokenizer: null,
      adapter: null,
      findings: [],
    });
    expect(described.tensors).toHaveLength(388);
    const { columns, context } = await requests["models.forecast"](
      { model, microbatch: 1, context: null, loraRank: 8 },
      { signal },
    );
    expect(context).toBe(1024);
    expect(columns.map(({ precision }) => precision)).toEqual(["fp32", "bf16", "lora-bf16", "int8"]);
    const own = await requests["models.lint"]({ model, tokenizer: null }, { signal });
    expect(own.findings.map(({ code }) => code)).toEqual(["TOKENIZER_MISSING"]);
    const gpt2 = await requests["models.lint"]({ model, tokenizer: "gpt2" }, { signal });
    expect(gpt2.tokenizer).toBe("gpt2");
    expect(gpt2.findings[0]?.severity).toBe("error");
    expect(gpt2.findings[0]?.message).toContain("50 256");
  });

  it("say what is missing in a folder that is no model", async () => {
    await expect(handlers().requests["models.describe"]({ model: folder }, { signal })).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
    });
  });
});

describe("models.export", () => {
  const request = (target: string) => ({
    model: path.join(folder, "small"),
    format: "safetensors" as const,
    precision: "f16" as const,
    shardBytes: null,
    target,
  });

  it("tells its phases, writes and compares", async () => {
    await writeHeadersOnly(path.join(folder, "small"), small);
    const phases = new Set<string>();
    const target = path.join(folder, "out");
    const result = await handlers().streams["models.export"](request(target), ({ phase }) => phases.add(phase), {
      signal,
    });
    expect([...phases]).toEqual(expect.arrayContaining(["reading the model", "reading it back"]));
    expect(result.comparison.maxDifference).toBeLessThanOrEqual(result.comparison.tolerance);
    expect(await readdir(target)).toContain("model.safetensors");
  });

  it("leaves nothing behind when it is cancelled, and never removes what was there before", async () => {
    await writeHeadersOnly(path.join(folder, "small"), small);
    const target = path.join(folder, "out");
    const cancelled = { ...signal, aborted: true };
    const exporting = handlers().streams["models.export"](request(target), () => undefined, { signal: cancelled });
    await expect(exporting).rejects.toMatchObject({ code: "CANCELLED" });
    await expect(stat(target)).rejects.toMatchObject({ code: "ENOENT" });
    const over = handlers().streams["models.export"](request(path.join(folder, "small")), () => undefined, { signal });
    await expect(over).rejects.toMatchObject({ code: "FILE_NOT_WRITABLE" });
    expect(await readdir(path.join(folder, "small"))).toContain("model.safetensors");
  });
});
