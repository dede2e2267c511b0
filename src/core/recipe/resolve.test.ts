import { describe, expect, it } from "vitest";
import { isShaped } from "#shared/domain/recipe";
import { loadRecipe } from "./load.ts";
import { resolveRecipe } from "./resolve.ts";

const facts = { device: "cpu" as const, physicalCores: 4, vocabSize: 2048, autoMicrobatch: () => 12 };

function aRecipe(overrides: readonly string[] = []) {
  const text = `max_seq_len: 256
model: {name: gpt2, n_layers: 4, n_heads: 4, d_model: 256}
tokenizer: {train: {vocab_size: 2048}}
data: {train: x.txt}
optimizer: {lr: 1.0e-3}
max_duration: 10ba
global_train_batch_size: 24
`;
  const { recipe } = loadRecipe({ text, overrides });
  if (recipe === null || !isShaped(recipe)) {
    throw new Error("The recipe of this test is wrong.");
  }
  return recipe;
}

describe("resolveRecipe", () => {
  it("leaves no auto", () => {
    expect(resolveRecipe(aRecipe(), facts)).toMatchObject({
      device: "cpu",
      threads: 4,
      device_train_microbatch_size: 12,
      model: { vocab_size: 2048 },
    });
  });

  it("keeps what the recipe says", () => {
    const recipe = aRecipe(["threads=2", "device_train_microbatch_size=3"]);
    expect(resolveRecipe(recipe, facts)).toMatchObject({
      threads: 2,
      device_train_microbatch_size: 3,
    });
  });

  it("resolves a resolved recipe to itself", () => {
    const once = resolveRecipe(aRecipe(), facts);
    expect(resolveRecipe(once, { ...facts, physicalCores: 64, autoMicrobatch: () => 1 })).toEqual(once);
  });

  it("refuses a tokenizer of another size than the model's", () => {
    const recipe = { ...aRecipe(), model: { ...aRecipe().model, vocab_size: 2048 } };
    expect(() => resolveRecipe(recipe, { ...facts, vocabSize: 1999 })).toThrow(
      expect.objectContaining({ code: "TOKENIZER_MODEL_MISMATCH", message: expect.stringMatching(/1999.*2048/) }),
    );
  });

  it("lets a model it starts from have rows of padding, but not too few", () => {
    const { model } = aRecipe();
    const recipe = { ...aRecipe(), model: { ...model, vocab_size: 2048, init_from: "/models/base" } };
    expect(resolveRecipe(recipe, { ...facts, vocabSize: 2000 }).model.vocab_size).toBe(2048);
    expect(() => resolveRecipe(recipe, { ...facts, vocabSize: 2049 })).toThrow(/2049 tokens.*init_from has 2048/);
  });
});
