import { describe, expect, it } from "vitest";
import { loadRecipe } from "./load.ts";
import { autoMicrobatch, resolveRecipe } from "./resolve.ts";

const machine = { physicalCores: 4, memoryBytes: 16e9 };

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
  if (recipe === null) {
    throw new Error("The recipe of this test is wrong.");
  }
  return recipe;
}

describe("resolveRecipe", () => {
  it("leaves no auto", () => {
    expect(resolveRecipe(aRecipe(), { machine, vocabSize: 2048 })).toMatchObject({
      device: "cpu",
      threads: 4,
      device_train_microbatch_size: 12,
      model: { vocab_size: 2048 },
    });
  });

  it("keeps what the recipe says", () => {
    const recipe = aRecipe(["threads=2", "device_train_microbatch_size=3"]);
    expect(resolveRecipe(recipe, { machine, vocabSize: 2048 })).toMatchObject({
      threads: 2,
      device_train_microbatch_size: 3,
    });
  });

  it("resolves a resolved recipe to itself", () => {
    const once = resolveRecipe(aRecipe(), { machine, vocabSize: 2048 });
    expect(resolveRecipe(once, { machine: { physicalCores: 64, memoryBytes: 1e9 }, vocabSize: 2048 })).toEqual(once);
  });

  it("refuses a tokenizer of another size than the model's", () => {
    const recipe = { ...aRecipe(), model: { ...aRecipe().model, vocab_size: 2048 } };
    expect(() => resolveRecipe(recipe, { machine, vocabSize: 1999 })).toThrow(
      expect.objectContaining({ code: "TOKENIZER_MODEL_MISMATCH", message: expect.stringMatching(/1999.*2048/) }),
    );
  });
});

describe("autoMicrobatch", () => {
  it("is a divisor of the global batch, and smaller where memory is", () => {
    const large = autoMicrobatch(aRecipe(), 2048, machine);
    const small = autoMicrobatch(aRecipe(), 2048, { ...machine, memoryBytes: 3e8 });
    expect(24 % large).toBe(0);
    expect(24 % small).toBe(0);
    expect(small).toBeLessThan(large);
    expect(autoMicrobatch(aRecipe(), 2048, { ...machine, memoryBytes: 1 })).toBe(1);
    expect(autoMicrobatch(aRecipe(["global_train_batch_size=23"]), 2048, machine)).toBe(1);
  });
});
