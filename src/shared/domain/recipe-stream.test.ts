import { describe, expect, it } from "vitest";
import { recipeSchema } from "./recipe.ts";
import { parseBytes, readBytes } from "./recipe-bytes.ts";
import { checkRecipe } from "./recipe-check.ts";
import { isStream, trainLocations } from "./recipe-stream.ts";

function recipeOf(data: Readonly<Record<string, unknown>>, top: Readonly<Record<string, unknown>> = {}) {
  return recipeSchema.parse({
    max_seq_len: 64,
    model: { name: "gpt2", n_layers: 2, n_heads: 2, d_model: 32 },
    tokenizer: { path: "gpt2" },
    data,
    optimizer: { lr: 1e-3 },
    samples: { prompts: [] },
    max_duration: "10ba",
    global_train_batch_size: 4,
    ...top,
  });
}

const stream = { train: "s3://bucket/shards/", eval: "held-out.jsonl" };

describe("a recipe that streams", () => {
  it("is one whose text lies at an address, or that says so", () => {
    expect(isStream(recipeOf(stream).data)).toBe(true);
    expect(isStream(recipeOf({ train: ["a.jsonl", "https://host/shards"] }).data)).toBe(true);
    expect(isStream(recipeOf({ train: "shards", streaming: { enabled: true } }).data)).toBe(true);
    expect(isStream(recipeOf({ train: "shards" }).data)).toBe(false);
    expect(trainLocations(recipeOf({ train: ["a", { path: "s3://b/c", format: "mds" }] }).data)).toEqual([
      "a",
      "s3://b/c",
    ]);
  });

  it("has nothing to say of one that is sound", () => {
    expect(checkRecipe(recipeOf(stream))).toEqual([]);
    expect(checkRecipe(recipeOf({ ...stream, eval: "s3://bucket/held-out/" }))).toEqual([]);
    expect(checkRecipe(recipeOf(stream, { max_duration: "1e9tok", scheduler: { t_warmup: "0ep" } }))).toEqual([]);
  });

  it("is refused what only the whole text could tell", () => {
    const found = checkRecipe(
      recipeOf(
        { train: "s3://bucket/shards" },
        { max_duration: "2ep", eval_interval: "1ep", tokenizer: { train: { vocab_size: 300 } } },
      ),
    );
    expect(found.map(({ path, severity }) => [path.join("."), severity])).toEqual([
      ["data.eval", "error"],
      ["max_duration", "error"],
      ["eval_interval", "error"],
      ["tokenizer.train", "error"],
    ]);
    expect(found[3]?.message).toContain("tokenizer.path");
  });

  it.each(["https://host/text.jsonl.gz", "s3://bucket/part-*.parquet", "https://host/abstracts.xml.gz?version=2"])(
    "sends %s to the import, for training and for evaluation",
    (address) => {
      const importing = expect.stringContaining("assay corpus import");
      expect(checkRecipe(recipeOf({ ...stream, train: address }))).toMatchObject([
        { path: ["data", "train"], message: importing },
      ]);
      expect(checkRecipe(recipeOf({ train: "a.jsonl", eval: address }))).toMatchObject([
        { path: ["data", "eval"], message: importing },
      ]);
    },
  );

  it("cannot be switched off for an address, nor read other formats", () => {
    expect(checkRecipe(recipeOf({ ...stream, streaming: { enabled: false } }))).toMatchObject([
      { path: ["data", "streaming", "enabled"], suggestion: "auto" },
    ]);
    const parts = [{ path: "s3://bucket/shards", format: "jsonl" }];
    expect(checkRecipe(recipeOf({ ...stream, train: parts }))).toMatchObject([
      { path: ["data", "train", "0", "format"], suggestion: "mds" },
    ]);
  });
});

describe("sizes", () => {
  it("are numbers with a unit of powers of ten", () => {
    expect(["1kb", "1.5mb", "20gb", "2tb"].map(readBytes)).toEqual([1e3, 1.5e6, 20e9, 2e12]);
    expect(["20", "20GB", "20gib", "gb", "-1gb", "9e9gb"].map(readBytes)).toEqual(Array(6).fill(null));
    expect(() => parseBytes("much")).toThrow("20gb");
  });
});
