import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { changedKeys, previewChange } from "./preview-change.ts";

const text = `
run_name: tiny
max_seq_len: 64
model: {name: gpt2, n_layers: 2, n_heads: 2, d_model: 32}
tokenizer: {path: gpt2}
data: {train: /texts, eval: {fraction: 0.1}}
optimizer: {name: decoupled_adamw, lr: 1.0e-3}
max_duration: 20ba
global_train_batch_size: 4
`;

let folder = "";

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-preview-"));
  await writeFile(path.join(folder, "recipe.yaml"), text);
});

afterEach(() => rm(folder, { recursive: true, force: true }));

describe("changedKeys", () => {
  it("names what differs, what is new and what is gone, and nothing else", () => {
    expect(changedKeys("a: 1\nb: {c: x, d: [1, 2]}\n# said\ne: 5\n", "b: {d: [1, 3], c: x}\na: 1\nf: yes\n")).toEqual([
      { key: "b.d", before: "[ 1, 2 ]", after: "[ 1, 3 ]" },
      { key: "f", before: null, after: "yes" },
      { key: "e", before: "5", after: null },
    ]);
  });
});

describe("previewChange", () => {
  it("shows the changed keys with both values", async () => {
    const preview = await previewChange(folder, ["optimizer.lr=3e-4", "max_duration=40ba"], "branch");
    expect(preview.problems.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(preview.changes).toEqual([
      { key: "optimizer.lr", before: "0.001", after: "0.0003" },
      { key: "max_duration", before: "20ba", after: "40ba" },
    ]);
  });

  it("says what is wrong with a change instead of failing", async () => {
    const wrongKey = await previewChange(folder, ["optimiser.lr=3e-4"], "branch");
    expect(wrongKey.problems[0]?.message).toContain("optimizer");
    const halfTyped = await previewChange(folder, ["data.train=[a,"], "branch");
    expect(halfTyped.problems).toHaveLength(1);
    expect(halfTyped.changes).toEqual([]);
  });

  it("refuses what the checkpoint rests on, by the key", async () => {
    const branch = await previewChange(folder, ["model.d_model=64", "data.train=/others"], "branch");
    expect(branch.problems.filter(({ severity }) => severity === "error").map(({ path: key }) => key)).toEqual([
      "model.d_model",
    ]);
    const resume = await previewChange(folder, ["data.train=/others", "max_duration=40ba"], "resume");
    expect(resume.problems.find(({ severity }) => severity === "error")?.message).toContain("data.train");
  });
});
