import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { NativeModelConfig } from "../engine/addon.ts";
import { writeModelFiles } from "../models/hugging-face.ts";
import { shapeRecipe, withBase } from "./init-from.ts";
import { loadRecipe } from "./load.ts";
import { splitRunStep, withAbsolutePaths } from "./paths.ts";

const config: NativeModelConfig = {
  family: "gpt2",
  head: "causal-lm",
  vocabSize: 320,
  maxSeqLen: 64,
  nLayers: 3,
  nHeads: 2,
  dModel: 32,
  dInner: 64,
  typeVocabSize: 0,
  labels: 1,
  layerNormEps: 1e-5,
  embdPdrop: 0,
  attnPdrop: 0,
  residPdrop: 0,
  classifierPdrop: 0,
  activation: "gelu_new",
};

function aRecipe(model: string, overrides: readonly string[] = []) {
  const text = `max_seq_len: 64
model: {name: gpt2, ${model}}
data: {train: /x.txt}
optimizer: {lr: 1.0e-3}
max_duration: 1ba
global_train_batch_size: 1
`;
  const { recipe, problems } = loadRecipe({ text, overrides });
  if (recipe === null) {
    throw new Error(problems[0]?.message);
  }
  return recipe;
}

describe("withBase", () => {
  const base = { folder: "/models/base", config };

  it("takes shape, vocabulary, tokenizer and the width of the feed-forward layer from the model", () => {
    const recipe = withBase(aRecipe("init_from: base"), base);
    expect(recipe.model).toMatchObject({
      n_layers: 3,
      n_heads: 2,
      d_model: 32,
      expansion_ratio: 2,
      vocab_size: 320,
      init_from: "/models/base",
    });
    expect(recipe.tokenizer).toEqual({ path: "/models/base" });
    expect(withBase(aRecipe("init_from: b", ["tokenizer.path=/t"]), base).tokenizer).toEqual({ path: "/t" });
  });

  it.each([
    ["n_layers: 4", /model\.n_layers 4 is not the 3 of \/models\/base/],
    ["d_model: 64, n_heads: 2", /model\.d_model 64 is not the 32/],
    ["vocab_size: 300", /model\.vocab_size 300 is not the 320/],
    ["expansion_ratio: 3", /model\.expansion_ratio 3 is not the 2/],
  ])("refuses %s, which the model has otherwise", (key, message) => {
    expect(() => withBase(aRecipe(`init_from: base, ${key}`), base)).toThrow(message);
  });

  it("refuses another family and a context without positions", () => {
    const bert = { folder: "/m", config: { ...config, family: "bert" } as const };
    expect(() => withBase(aRecipe("init_from: base"), bert)).toThrow(/write model\.name: bert/);
    expect(() => withBase(aRecipe("init_from: base", ["max_seq_len=65"]), base)).toThrow(
      expect.objectContaining({
        code: "CONTEXT_TOO_LONG",
        message: expect.stringContaining("lower max_seq_len to 64"),
      }),
    );
  });
});

describe("shapeRecipe", () => {
  let workspace: string;
  beforeAll(async () => {
    workspace = await mkdtemp(path.join(tmpdir(), "assay-init-"));
    const folder = path.join(workspace, "base");
    await mkdir(folder);
    await writeModelFiles(folder, config, 319);
    const adapter = path.join(workspace, "adapter");
    await mkdir(adapter);
    await writeModelFiles(adapter, config, 319);
    await writeFile(path.join(adapter, "adapter_config.json"), "{}");
  });
  afterAll(() => rm(workspace, { recursive: true }));

  it("reads the shape of a folder", async () => {
    const { recipe, base } = await shapeRecipe(aRecipe(`init_from: ${path.join(workspace, "base")}`), workspace);
    expect(recipe.model.n_layers).toBe(3);
    expect(base?.config.vocabSize).toBe(320);
  });

  it("refuses what is neither folder nor run, and an adapter", async () => {
    await expect(shapeRecipe(aRecipe("init_from: nothing-here"), workspace)).rejects.toMatchObject({
      code: "CHECKPOINT_NOT_FOUND",
      message: expect.stringContaining("model.init_from nothing-here is neither"),
    });
    await expect(
      shapeRecipe(aRecipe(`init_from: ${path.join(workspace, "adapter")}`), workspace),
    ).rejects.toMatchObject({ code: "NOT_SUPPORTED", message: expect.stringContaining("is an adapter") });
  });

  it("leaves a recipe that says its own shape as it is", async () => {
    const recipe = aRecipe("n_layers: 1, n_heads: 1, d_model: 8", ["tokenizer.path=gpt2"]);
    expect(await shapeRecipe(recipe, workspace)).toEqual({ recipe, base: null });
  });
});

describe("paths of model.init_from", () => {
  it("splits a run and a step", () => {
    expect(splitRunStep("my-run@12")).toEqual({ run: "my-run", step: 12 });
    expect(splitRunStep("runs/x@step-300")).toEqual({ run: "runs/x", step: 300 });
    expect(splitRunStep("someone@example")).toEqual({ run: "someone@example", step: null });
  });

  it("makes folders absolute and leaves names to the workspace", () => {
    const fromHere = (source: string) =>
      withAbsolutePaths(aRecipe(`init_from: "${source}"`), { baseDirectory: "/recipes" }).model.init_from;
    expect(fromHere("models/base")).toBe("/recipes/models/base");
    expect(fromHere("runs/x@12")).toBe("/recipes/runs/x@12");
    expect(fromHere("my-run@12")).toBe("my-run@12");
    expect(fromHere("/somewhere/base")).toBe("/somewhere/base");
  });
});
