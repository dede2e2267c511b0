import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MdsWriter } from "../corpus/mds/writer.ts";
import { noCuda } from "../planner/machine.ts";
import { createRecipeHandlers } from "./handlers.ts";
import { readPreset } from "./presets.ts";

const context = { signal: new AbortController().signal };
const machine = () => ({
  cpuModel: "test",
  physicalCores: 2,
  isa: ["avx2"],
  gemm: "portable" as const,
  memoryBytes: 8e9,
  cuda: noCuda,
  clockGhz: 3,
});

let folder: string;
let requests: ReturnType<typeof createRecipeHandlers>["requests"];
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-recipes-"));
  const options = { workspace: () => path.join(folder, "workspace"), userData: path.join(folder, "data"), machine };
  requests = createRecipeHandlers(options).requests;
});
afterEach(() => rm(folder, { recursive: true }));

describe("recipes.save and recipes.read", () => {
  it("keeps a recipe in the workspace and lists it", async () => {
    const { file } = await requests["recipes.save"]({ name: "mine", text: "seed: 1\n" }, context);
    expect(file).toBe(path.join(folder, "workspace", "recipes", "mine.yaml"));
    expect(await requests["recipes.read"]({ source: file }, context)).toEqual({ text: "seed: 1\n", draft: null });
    const { files, presets } = await requests["recipes.list"]({}, context);
    expect(files.map((each) => each.name)).toEqual(["mine"]);
    expect(presets.map((preset) => preset.name)).toContain("biomedlm-tiny");
  });

  it("reads nothing outside the recipes folder", async () => {
    for (const source of ["../secret.yaml", "/etc/hosts", path.join(folder, "x.yaml"), "a/b.yaml"]) {
      await expect(requests["recipes.read"]({ source }, context)).rejects.toMatchObject({ code: "RECIPE_NOT_FOUND" });
    }
    await expect(requests["recipes.save"]({ name: "../x", text: "" }, context)).rejects.toMatchObject({
      code: "BAD_ARGUMENT",
    });
  });
});

describe("recipes.keep-draft", () => {
  it("gives unsaved text back until it is saved or thrown away", async () => {
    const source = "preset:gpt2-s";
    await requests["recipes.keep-draft"]({ source, text: "unsaved" }, context);
    const read = await requests["recipes.read"]({ source }, context);
    expect(read.draft).toBe("unsaved");
    expect(read.text).toBe((await readPreset("gpt2-s")).text);
    await requests["recipes.keep-draft"]({ source, text: null }, context);
    expect((await requests["recipes.read"]({ source }, context)).draft).toBeNull();

    const { file } = await requests["recipes.save"]({ name: "mine", text: "a" }, context);
    await requests["recipes.keep-draft"]({ source: file, text: "b" }, context);
    expect((await requests["recipes.read"]({ source: file }, context)).draft).toBe("b");
    await rm(file);
    expect(await requests["recipes.read"]({ source: file }, context)).toEqual({ text: "", draft: "b" });
    await requests["recipes.save"]({ name: "mine", text: "b" }, context);
    expect((await requests["recipes.read"]({ source: file }, context)).draft).toBeNull();
  });
});

describe("recipes.check", () => {
  const sound = async (train: string) =>
    (await readPreset("gpt2-s")).text.replace("resources/sample/abstracts.jsonl", train);

  it("forecasts a sound recipe", async () => {
    const text = path.join(folder, "text.txt");
    await writeFile(text, "word ".repeat(1000));
    const checked = await requests["recipes.check"]({ text: await sound(text) }, context);
    expect(checked.problems).toEqual([]);
    expect(checked.forecast?.steps.value).toBe(400);
    expect(checked.forecast?.basis).toBe("estimated");
    expect(checked.forecastProblem).toBeNull();
  });

  it("underlines a corpus that is not there", async () => {
    const checked = await requests["recipes.check"]({ text: await sound("nowhere.jsonl") }, context);
    expect(checked.forecast).toBeNull();
    expect(checked.problems).toHaveLength(1);
    expect(checked.problems[0]).toMatchObject({ code: "CORPUS_NOT_FOUND", path: "data.train", line: 12 });
  });

  it("forecasts a preset that waits for its user's text, and says where the text goes", async () => {
    const preset = (await readPreset("biomedlm-2.7b")).text;
    const checked = await requests["recipes.check"]({ text: preset }, context);
    expect(checked.problems).toHaveLength(1);
    expect(checked.problems[0]).toMatchObject({ code: "CORPUS_NOT_FOUND", path: "data.train", severity: "error" });
    expect(checked.problems[0]?.message).toContain("text that only you have");
    expect(checked.forecast?.parameters.value).toBe(2_594_247_680);
    expect(checked.forecastProblem).toMatch(/needs .* GB of memory and this machine has 8.0 GB/);
    const inPasses = preset.replace("max_duration: 300e9tok", "max_duration: 6ep");
    expect((await requests["recipes.check"]({ text: inPasses }, context)).forecast).toBeNull();
  });

  const streaming = async (train: string, held: string, tokenizer = "{path: gpt2}") =>
    (await readPreset("gpt2-s")).text
      .replace(/^data:.*(\n {2}.*)*$/m, `data: {train: ${train}, eval: ${held}}`)
      .replace(/^tokenizer:.*(\n {2}.*)*$/m, `tokenizer: ${tokenizer}`);

  it("forecasts a stream without asking its server, and says who does", async () => {
    const held = path.join(folder, "held.txt");
    await writeFile(held, "word ".repeat(1000));
    const checked = await requests["recipes.check"]({ text: await streaming("s3://nobody/there", held) }, context);
    expect(checked.problems).toEqual([]);
    expect(checked.forecast?.download).toEqual({ value: null, how: expect.stringContaining("assay plan") });
    const later = await requests["recipes.check"](
      { text: await streaming("s3://nobody/there", "{fraction: 0.1}") },
      context,
    );
    expect(later.problems).toMatchObject([{ code: "RECIPE_INVALID", path: "data.eval", severity: "error" }]);
  });

  it("finds by their index that shards hold tokens, and what such a stream cannot do", async () => {
    const shards = path.join(folder, "shards");
    const writer = await MdsWriter.create({
      directory: shards,
      columns: { tokens: "bytes" },
      compression: null,
      hashes: [],
      sizeLimitBytes: 4096,
    });
    await writer.add({ tokens: new Uint8Array(80) });
    await writer.finish();
    const text = await streaming(shards, "{fraction: 0.1}", "{train: {vocab_size: 300}}");
    const { problems } = await requests["recipes.check"]({ text }, context);
    expect(problems.map(({ path: at }) => at)).toEqual(["data.eval", "tokenizer.train"]);
    const lines = text.split("\n");
    expect(lines[(problems[0]?.line ?? 0) - 1]).toContain("eval: {fraction");
    expect(lines[(problems[1]?.line ?? 0) - 1]).toContain("vocab_size: 300");
  });

  it("underlines a folder without shards that is to be streamed", async () => {
    const held = path.join(folder, "held.txt");
    await writeFile(held, "word");
    const text = await streaming(`${folder}, streaming: {enabled: true}`, held);
    expect((await requests["recipes.check"]({ text }, context)).problems).toMatchObject([
      { path: "data.train", message: expect.stringContaining("is not a folder of MDS shards") },
    ]);
  });

  it("warns before a run that the memory cannot hold", async () => {
    const text = path.join(folder, "text.txt");
    await writeFile(text, "word");
    const huge = (await sound(text)).replace("n_layers: 4", "n_layers: 64").replace("d_model: 256", "d_model: 8192");
    const checked = await requests["recipes.check"]({ text: huge }, context);
    expect(checked.forecastProblem).toMatch(/needs .* GB of memory and this machine has 8.0 GB/);
  });
});
