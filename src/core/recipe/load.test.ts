import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AppError } from "#shared/errors";
import { programRoot } from "../paths.ts";
import { loadRecipe, loadRecipeSource } from "./load.ts";
import { listPresets } from "./presets.ts";
import { toYaml } from "./resolve.ts";

const minimal = `run_name: small
max_seq_len: 64
model: {name: gpt2, n_layers: 2, n_heads: 2, d_model: 32}
tokenizer:
  train:
    vocab_size: 300
data:
  train: text.jsonl
optimizer: {lr: 1.0e-3}
max_duration: 10ba
global_train_batch_size: 4
`;

/** The only problem, with what stands in its range. */
function problemOf(text: string) {
  const { recipe, problems } = loadRecipe({ text });
  expect(problems).toHaveLength(1);
  const problem = problems[0];
  if (problem === undefined) {
    throw new Error("unreachable");
  }
  const line = text.split("\n")[problem.line - 1] ?? "";
  const at = problem.line === problem.endLine ? line.slice(problem.column - 1, problem.endColumn - 1) : null;
  return { ...problem, at, recipe };
}

describe("loadRecipe", () => {
  it("fills in every default", () => {
    const { recipe, problems } = loadRecipe({ text: minimal });
    expect(problems).toEqual([]);
    expect(recipe).toMatchObject({
      format_version: 1,
      seed: 17,
      device: "auto",
      model: { expansion_ratio: 4, dropout: 0 },
      tokenizer: { train: { type: "byte-bpe", min_frequency: 2 } },
      data: { eval: { fraction: 0.05 }, shuffle_seed: 17 },
      optimizer: { name: "decoupled_adamw", betas: [0.9, 0.95], weight_decay: 1e-5 },
      scheduler: { t_warmup: "0ba", alpha_f: 0.1 },
      gradient_clipping: 1,
      precision: "fp32",
      samples: { prompts: [] },
      launch: { target: "local" },
    });
  });

  it("reads back what toYaml writes", () => {
    const { recipe } = loadRecipe({ text: minimal });
    expect(loadRecipe({ text: recipe === null ? "" : toYaml(recipe) }).recipe).toEqual(recipe);
  });

  it("takes the run's name from the file where the recipe has none", () => {
    const text = minimal.replace("run_name: small\n", "");
    expect(loadRecipe({ text, file: "/x/My recipe.yaml" }).recipe?.run_name).toBe("My-recipe");
  });

  it("places an unknown key, and proposes the nearest right one", () => {
    const problem = problemOf(minimal.replace("max_seq_len", "max_seq_ln"));
    expect(problem).toMatchObject({
      code: "RECIPE_INVALID",
      line: 2,
      column: 1,
      at: "max_seq_ln",
      suggestion: "max_seq_len",
      recipe: null,
    });
    expect(problem.message).toBe("There is no key max_seq_ln: did you mean max_seq_len?");
  });

  it("places an unknown key inside a flow mapping", () => {
    const problem = problemOf(minimal.replace("n_layers: 2", "n_layer: 2"));
    expect(problem).toMatchObject({ line: 3, at: "n_layer", path: "model.n_layer", suggestion: "n_layers" });
  });

  it("places an unknown key inside a union's mapping", () => {
    const problem = problemOf(minimal.replace("text.jsonl", "text.jsonl\n  eval: {fractoin: 0.1}"));
    expect(problem).toMatchObject({ at: "fractoin", path: "data.eval.fractoin", suggestion: "fraction" });
  });

  it("places a wrong value and says what the key takes", () => {
    expect(problemOf(minimal.replace("1.0e-3", "fast"))).toMatchObject({
      at: "fast",
      message: 'optimizer.lr is "fast"; it takes a number above 0, such as 1.0e-3.',
    });
    expect(problemOf(minimal.replace("max_seq_len: 64", "max_seq_len: 4"))).toMatchObject({ at: "4", line: 2 });
    expect(problemOf(minimal.replace("d_model: 32", "d_model: 32, dropout: 1.5"))).toMatchObject({ at: "1.5" });
    expect(problemOf(`${minimal}optimizer_: 3\n`)).toMatchObject({ at: "optimizer_" });
  });

  it("mends a duration without a unit, or with another spelling of it", () => {
    expect(problemOf(minimal.replace("10ba", "10"))).toMatchObject({ at: "10", suggestion: "10ba" });
    expect(problemOf(minimal.replace("10ba", "10 steps"))).toMatchObject({ at: "10 steps", suggestion: "10ba" });
    expect(problemOf(minimal.replace("10ba", "2 epochs"))).toMatchObject({ suggestion: "2ep" });
  });

  it("says of a value that is to come that it is not built yet", () => {
    for (const [key, value] of [
      ["device", "mps"],
      ["precision", "amp_fp16"],
      ["objective", "{name: span-qa}"],
      ["launch", "{target: slurm}"],
    ]) {
      const problem = problemOf(`${minimal}${key}: ${value}\n`);
      expect(problem.code).toBe("NOT_SUPPORTED");
      expect(problem.message).toContain("is not built yet in this version; use ");
    }
    expect(problemOf(minimal.replace("text.jsonl", "gs://bucket/text"))).toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("s3://"),
    });
  });

  it("refuses a foreign format version, and says nothing else of such a recipe", () => {
    const problem = problemOf(`format_version: 2\nsomething: else\n`);
    expect(problem).toMatchObject({ code: "FORMAT_VERSION_UNKNOWN", line: 1, at: "2" });
  });

  it("says which key is missing", () => {
    const problem = problemOf(minimal.replace("max_duration: 10ba\n", ""));
    expect(problem.message).toMatch(/^The recipe lacks max_duration; it takes a duration/);
  });

  it("does not report a misspelt key as missing too", () => {
    expect(problemOf(minimal.replace("max_duration", "max_duratoin")).suggestion).toBe("max_duration");
  });

  it("places duplicate keys, tabs, and brackets left open", () => {
    expect(problemOf(`${minimal}max_seq_len: 32\n`)).toMatchObject({ line: 12, column: 1 });
    expect(problemOf("data:\n\ttrain: x\n").message).toContain("tab");
    expect(loadRecipe({ text: "model: {name: gpt2\nseed: 1\n" }).problems[0]?.message).toContain("left open");
    expect(loadRecipe({ text: "- a\n" }).problems[0]?.message).toContain("mapping of keys");
    expect(loadRecipe({ text: "# nothing\n" }).problems[0]?.message).toContain("empty");
  });

  it("survives aliases that would grow without bound", () => {
    const bomb = `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
    expect(loadRecipe({ text: bomb }).recipe).toBeNull();
  });

  it("checks keys against each other", () => {
    const heads = problemOf(minimal.replace("n_heads: 2", "n_heads: 3"));
    expect(heads).toMatchObject({ at: "3", suggestion: "2" });
    expect(problemOf(`${minimal}device_train_microbatch_size: 3\n`)).toMatchObject({ at: "3", suggestion: "2" });
    expect(problemOf(`${minimal}scheduler: {t_warmup: 20ba}\n`)).toMatchObject({ at: "20ba" });
    expect(problemOf(`${minimal}scheduler: {t_warmup: 1e6tok}\n`)).toMatchObject({ at: "1e6tok" });
    expect(problemOf(minimal.replace("d_model: 32", "d_model: 32, vocab_size: 512"))).toMatchObject({
      suggestion: "300",
    });
    expect(problemOf(minimal.replace("tokenizer:", "tokenizer:\n  path: gpt2")).message).toContain("holds both");
  });

  it("only warns of a weight decay as it is usual elsewhere", () => {
    const problem = problemOf(minimal.replace("lr: 1.0e-3", "lr: 1.0e-3, weight_decay: 0.1"));
    expect(problem).toMatchObject({ severity: "warning", at: "0.1" });
    expect(problem.recipe?.optimizer.weight_decay).toBe(0.1);
  });

  it("applies overrides as YAML values and keeps comments", () => {
    const { recipe, text } = loadRecipe({
      text: `# mine\n${minimal}`,
      overrides: [
        "optimizer.betas=[0.8, 0.9]",
        "samples.prompts=['A:']",
        "data.eval.fraction=0.2",
        "gradient_clipping=null",
      ],
    });
    expect(recipe?.optimizer.betas).toEqual([0.8, 0.9]);
    expect(recipe?.samples.prompts).toEqual(["A:"]);
    expect(recipe?.data.eval).toEqual({ fraction: 0.2 });
    expect(recipe?.gradient_clipping).toBeNull();
    expect(text).toMatch(/^# mine\n/);
    expect(loadRecipe({ text }).recipe).toEqual(recipe);
  });

  it("names the override where the fault is in it", () => {
    const { problems } = loadRecipe({ text: minimal, overrides: ["optimizer.lrr=1"] });
    expect(problems[0]?.message).toBe(
      "--set optimizer.lrr=1: There is no key optimizer.lrr: did you mean optimizer.lr?",
    );
    expect(() => loadRecipe({ text: minimal, overrides: ["optimizer.lr"] })).toThrow(/--set takes key.sub=value/);
  });

  it("lets tokenizer.path take the place of tokenizer.train", () => {
    expect(loadRecipe({ text: minimal, overrides: ["tokenizer.path=gpt2"] }).recipe?.tokenizer).toEqual({
      path: "gpt2",
    });
  });
});

describe("loadRecipeSource", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), "assay-recipe-"));
    await mkdir(path.join(folder, "recipes"));
    await writeFile(path.join(folder, "recipes", "mine.yaml"), minimal);
    await writeFile(
      path.join(folder, "wrong.yaml"),
      minimal.replace("max_seq_len", "max_seq_ln").replace("1.0e-3", "x"),
    );
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("finds a file, a recipe of the workspace, and a preset", async () => {
    const file = path.join(folder, "recipes", "mine.yaml");
    expect((await loadRecipeSource(file)).file).toBe(file);
    expect((await loadRecipeSource("mine", { workspace: folder })).file).toBe(file);
    expect(await loadRecipeSource("gpt2-s")).toMatchObject({ isPreset: true, recipe: { run_name: "gpt2-s" } });
  });

  it("makes paths absolute: from the file's folder, from the program's, and from here in overrides", async () => {
    const mine = await loadRecipeSource("mine", { workspace: folder });
    expect(mine.recipe.data.train).toBe(path.join(folder, "recipes", "text.jsonl"));
    expect(loadRecipe({ text: mine.text }).recipe).toEqual(mine.recipe);
    const preset = await loadRecipeSource("gpt2-s");
    expect(preset.recipe.data.train).toBe(path.join(programRoot(), "resources", "sample", "abstracts.jsonl"));
    const overridden = await loadRecipeSource("gpt2-s", {
      overrides: ["data.train=a/*.txt"],
      currentDirectory: "/here",
    });
    expect(overridden.recipe.data.train).toBe("/here/a/*.txt");
    expect(overridden.recipe.tokenizer.path).toBeUndefined();
  });

  it("keeps gpt2 a name", async () => {
    const { recipe } = await loadRecipeSource("gpt2-s", { overrides: ["tokenizer.path=gpt2"] });
    expect(recipe.tokenizer.path).toBe("gpt2");
  });

  it("refuses with file, line, column, and how many more there are", async () => {
    const file = path.join(folder, "wrong.yaml");
    const error = (await loadRecipeSource(file).catch((caught: unknown) => caught)) as AppError;
    expect(error.code).toBe("RECIPE_INVALID");
    expect(error.message).toBe(`${file}:2:1: There is no key max_seq_ln: did you mean max_seq_len? (1 more)`);
    expect(error.details?.["problems"]).toHaveLength(2);
  });

  it("names the nearest preset where there is no such recipe", async () => {
    await expect(loadRecipeSource("gpt2s")).rejects.toMatchObject({
      code: "RECIPE_NOT_FOUND",
      message: expect.stringContaining("did you mean the preset gpt2-s?"),
    });
  });

  it("reads every preset without a problem, and each has a summary", async () => {
    const presets = await listPresets();
    for (const name of [
      "biomedlm-2.7b",
      "biomegatron-345m",
      "biomegatron-800m",
      "biomegatron-1.2b",
      "gpt2-xl",
      "bert-large",
    ]) {
      expect(presets.map((preset) => preset.name)).toContain(name);
    }
    for (const preset of presets) {
      const { name } = preset;
      expect(preset.summary.length, name).toBeGreaterThan(20);
      expect((await loadRecipeSource(name)).problems, name).toEqual([]);
    }
  });
});
