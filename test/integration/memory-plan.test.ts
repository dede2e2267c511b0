// The planner's arithmetic against the engine's own plan, which is what it allocates.
import { describe, expect, it } from "vitest";
import { loadAddon } from "#core/engine/addon";
import { planMemory } from "#core/planner/memory";
import { modelParameterCount } from "#core/planner/model-size";
import { loadRecipeSource } from "#core/recipe/load";

describe("planMemory", () => {
  it.each([
    ["biomedlm-tiny", 1024],
    ["bench-s", 8192],
    ["bench-m", 8192],
    ["gpt2-124m", 50_257],
  ])("is within 2 %% of the engine's plan for %s", async (preset, vocabSize) => {
    const { recipe } = await loadRecipeSource(preset);
    const { model, optimizer } = recipe;
    const microbatch = Math.min(8, recipe.global_train_batch_size);
    const native = loadAddon().createModel(
      {
        family: "gpt2",
        head: "causal-lm",
        typeVocabSize: 0,
        labels: 1,
        classifierPdrop: 0,
        activation: "gelu_new",
        vocabSize,
        maxSeqLen: recipe.max_seq_len,
        nLayers: model.n_layers,
        nHeads: model.n_heads,
        dModel: model.d_model,
        dInner: model.expansion_ratio * model.d_model,
        layerNormEps: 1e-5,
        embdPdrop: model.dropout,
        attnPdrop: model.dropout,
        residPdrop: model.dropout,
      },
      { threads: 2 },
    );
    try {
      const exact = native.planTraining({
        microbatchSize: microbatch,
        seqLen: recipe.max_seq_len,
        globalBatchSize: recipe.global_train_batch_size,
        seed: recipe.seed,
        optimizer: { ...optimizer, weightDecay: optimizer.weight_decay, noDecay: optimizer.no_decay },
        gradientClipping: recipe.gradient_clipping,
      });
      const planned = planMemory(recipe, vocabSize, microbatch);
      const total = Object.values(planned).reduce((sum, bytes) => sum + bytes, 0);
      expect(total / exact.totalBytes).toBeGreaterThan(0.98);
      expect(total / exact.totalBytes).toBeLessThan(1.02);
      const count = native.parameters().reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
      expect(modelParameterCount(model, vocabSize, recipe.max_seq_len)).toBe(count);
    } finally {
      native.dispose();
    }
  });
});
