// The planner's arithmetic against the engine's own plan, which is what it allocates.
import { describe, expect, it } from "vitest";
import { loadAddon } from "#core/engine/addon";
import { planMemory, totalBytes } from "#core/planner/memory";
import { modelParameterCount } from "#core/planner/model-size";
import { modelConfigOf, modelOptionsOf, trainingOptionsOf } from "#core/recipe/engine-options";
import { loadRecipeSource } from "#core/recipe/load";
import { isShaped } from "#shared/domain/recipe";

describe("planMemory", () => {
  it.each([
    ["biomedlm-tiny", 1024],
    ["bench-s", 8192],
    ["bench-m", 8192],
    ["gpt2-124m", 50_257],
  ])("is within 2 %% of the engine's plan for %s", async (preset, vocabSize) => {
    const { recipe } = await loadRecipeSource(preset);
    if (!isShaped(recipe)) {
      throw new Error("A preset without model.init_from has a shape.");
    }
    const config = modelConfigOf(recipe, vocabSize);
    const options = modelOptionsOf(recipe, 2);
    const training = trainingOptionsOf(recipe, Math.min(8, recipe.global_train_batch_size), null);
    const native = loadAddon().createModel(config, options);
    try {
      const exact = native.planTraining(training);
      const planned = totalBytes(planMemory(config, options, training));
      expect(planned / exact.totalBytes).toBeGreaterThan(0.98);
      expect(planned / exact.totalBytes).toBeLessThan(1.02);
      const count = native.parameters().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(modelParameterCount(config)).toBe(count);
    } finally {
      native.dispose();
    }
  });
});
