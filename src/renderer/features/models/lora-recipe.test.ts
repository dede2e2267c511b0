import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { recipeSchema } from "#shared/domain/recipe";
import { checkRecipe } from "#shared/domain/recipe-check";
import { canFineTune, loraProblem, loraRecipe } from "./lora-recipe.ts";

const shape = {
  layers: 2,
  heads: 2,
  width: 64,
  inner: 256,
  vocabulary: 512,
  context: 128,
  tokenTypes: 0,
  labels: 1,
  activation: "gelu_new",
};
const form = { name: "tiny-lora", data: "/texts: a #1", rank: "8" };

describe("loraRecipe", () => {
  it("is a recipe without a problem, for a causal and for a masked model, whatever its paths hold", () => {
    for (const family of ["gpt2", "bert"] as const) {
      for (const base of ["fp32", "bf16"] as const) {
        const text = loraRecipe({ source: "/models/it's: #one", family, shape, name: "one" }, form, base);
        const recipe = recipeSchema.parse(parse(text));
        expect(recipe.model).toMatchObject({
          init_from: "/models/it's: #one",
          weights: base,
          lora: { rank: 8, alpha: 16 },
        });
        expect(recipe.data.train).toBe("/texts: a #1");
        expect(recipe.max_seq_len).toBe(128);
        expect(checkRecipe(recipe).filter(({ severity }) => severity === "error")).toEqual([]);
      }
    }
  });
});

describe("canFineTune", () => {
  it("holds for whole language models that a recipe can begin with", () => {
    const model = { head: "causal-lm", format: "safetensors", adapter: null } as const;
    expect(canFineTune(model)).toBe(true);
    expect(canFineTune({ ...model, head: "pretraining" })).toBe(true);
    expect(canFineTune({ ...model, head: "span-qa" })).toBe(false);
    expect(canFineTune({ ...model, format: "gguf" })).toBe(false);
    expect(canFineTune({ ...model, adapter: { base: "/b", rank: 4, targets: ["c_attn"] } })).toBe(false);
  });
});

describe("loraProblem", () => {
  it("names the first thing missing or wrong", () => {
    const problem = (change: Partial<typeof form>) => loraProblem({ ...form, ...change }, new Set(["taken"]), 64);
    expect(problem({})).toBeNull();
    expect(problem({ data: "" })).toBe("Choose the texts to fine-tune on.");
    expect(problem({ name: "taken" })).toBe("There is a recipe taken already.");
    expect(problem({ name: "a b" })).toContain("The name takes");
    expect(problem({ rank: "65" })).toContain("from 1 to the model’s width, 64");
    expect(problem({ rank: "1.5" })).toContain("whole number");
  });
});
