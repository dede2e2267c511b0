import { describe, expect, it } from "vitest";
import { isShaped } from "#shared/domain/recipe";
import { loadRecipe } from "../recipe/load.ts";
import { resolveRecipe } from "../recipe/resolve.ts";
import { recipeTextWith } from "./recipe-text.ts";

const text = `# Why this recipe exists.
run_name: mine
max_seq_len: 32
device: auto        # cpu for now
threads: auto
model: {name: gpt2, n_layers: 1, n_heads: 1, d_model: 16}   # small
tokenizer: {path: gpt2}
data:
  # Our own abstracts.
  train: abstracts.jsonl
optimizer: {lr: 1.0e-3}
max_duration: 10ba
global_train_batch_size: 4
`;

function recipeOf(source: string) {
  const { recipe } = loadRecipe({ text: source });
  if (recipe === null || !isShaped(recipe)) {
    throw new Error("the recipe is not right");
  }
  return recipe;
}

describe("recipeTextWith", () => {
  const resolved = resolveRecipe(recipeOf(text), {
    device: "cpu",
    physicalCores: 3,
    vocabSize: 50_257,
    autoMicrobatch: () => 4,
  });
  const written = recipeTextWith(text, resolved);

  it("keeps the author's comments", () => {
    for (const comment of ["# Why this recipe exists.", "# cpu for now", "# small", "# Our own abstracts."]) {
      expect(written).toContain(comment);
    }
  });

  it("leaves nothing open, and reads back as the resolved recipe", () => {
    expect(written).not.toContain("auto");
    expect(recipeOf(written)).toEqual(resolved);
  });

  it("changes nothing the second time", () => {
    expect(recipeTextWith(written, resolved)).toBe(written);
  });

  it("gives plain YAML where the text cannot take the values", () => {
    for (const odd of ["", "a: &x 1\nb: *x\n", "a: [1\n"]) {
      expect(recipeOf(recipeTextWith(odd, resolved))).toEqual(resolved);
    }
  });
});
