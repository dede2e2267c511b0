import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listModels } from "#core/models/list";
import { bioMedLm, writeHeadersOnly } from "../support/foreign-models.ts";

const small = { ...bioMedLm, vocabSize: 64, maxSeqLen: 16, nLayers: 1, nHeads: 2, dModel: 8, dInner: 32 };

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-models-"));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe("listModels", () => {
  it("finds exports, what was fetched by organisation and name, and what was opened from elsewhere", async () => {
    const workspace = path.join(folder, "workspace");
    const elsewhere = path.join(folder, "elsewhere", "mine");
    await writeHeadersOnly(path.join(workspace, "exports", "half"), small);
    await writeHeadersOnly(path.join(workspace, "models", "stanford-crfm", "BioMedLM"), small);
    await writeHeadersOnly(elsewhere, small);
    const models = await listModels(workspace, [elsewhere, path.join(workspace, "exports", "half"), elsewhere]);
    expect(models.map(({ origin, name, family, problem }) => [origin, name, family, problem])).toEqual([
      ["export", "half", "gpt2", null],
      ["fetched", "stanford-crfm/BioMedLM", "gpt2", null],
      ["opened", "mine", "gpt2", null],
    ]);
    expect(models.every(({ sizeBytes, modifiedAt }) => sizeBytes > 0 && modifiedAt !== null)).toBe(true);
  });

  it("counts an adapter as a model and an optimizer's state as none", async () => {
    const adapter = path.join(folder, "adapter");
    const rest = path.join(folder, "rest");
    await writeHeadersOnly(adapter, small);
    await cp(path.join(adapter, "model.safetensors"), path.join(adapter, "adapter_model.safetensors"));
    await rm(path.join(adapter, "model.safetensors"));
    await mkdir(rest);
    await writeFile(path.join(rest, "optimizer.safetensors"), "");
    const [first, second] = await listModels(path.join(folder, "workspace"), [adapter, rest]);
    expect(first?.problem).toBeNull();
    expect(second?.problem).toContain("holds no weights");
  });

  it("lists what is gone or damaged with a sentence and does not fail for it", async () => {
    const damaged = path.join(folder, "damaged");
    await mkdir(damaged);
    await writeFile(path.join(damaged, "config.json"), "{");
    await writeFile(path.join(damaged, "model.safetensors"), "no header");
    const cut = path.join(folder, "cut.gguf");
    await writeFile(cut, "GGUF");
    const models = await listModels(path.join(folder, "workspace"), [path.join(folder, "gone"), damaged, cut]);
    expect(models.map(({ name, family, problem }) => [name, family, problem])).toEqual([
      ["gone", null, `${path.join(folder, "gone")} is not there any more.`],
      ["damaged", null, null],
      ["cut.gguf", null, null],
    ]);
  });
});
