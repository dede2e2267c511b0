// The planner's arithmetic against the engine's own plan, which is what it allocates.
import { describe, expect, it } from "vitest";
import { loadAddon } from "#core/engine/addon";
import { int8InferenceMemory, planMemory, totalBytes } from "#core/planner/memory";
import { modelConfigOf, modelOptionsOf, plannedMasking, trainingOptionsOf } from "#core/recipe/engine-options";
import { loadRecipeSource } from "#core/recipe/load";
import { modelTensors, parameterCount } from "#shared/domain/model-tensors";
import { isShaped } from "#shared/domain/recipe";
import { trainableCount } from "#shared/domain/recipe-model";

async function planned(preset: string, overrides: readonly string[]) {
  const { recipe } = await loadRecipeSource(preset, { overrides });
  if (!isShaped(recipe)) {
    throw new Error("A preset without model.init_from has a shape.");
  }
  const vocabSize = recipe.tokenizer.train?.vocab_size ?? 50_257;
  const config = modelConfigOf(recipe, vocabSize);
  const options = modelOptionsOf(recipe, 2);
  const microbatch = Math.min(8, recipe.global_train_batch_size);
  return {
    recipe,
    config,
    options,
    training: trainingOptionsOf(recipe, microbatch, plannedMasking(recipe, vocabSize)),
  };
}

const ways: readonly (readonly [string, readonly string[]])[] = [
  ["as it is", []],
  ["in fp32 with dropout", ["precision=fp32", "model.dropout=0.1"]],
  ["with recomputation", ["activation_checkpointing=true"]],
  ["with selective recomputation", ["activation_checkpointing=selective"]],
  ["in amp_bf16", ["precision=amp_bf16"]],
  ["with an optimizer in 8 bits", ["optimizer.state=8bit"]],
  ["with LoRA on bf16", ["model.lora.rank=8", "model.weights=bf16", "precision=amp_bf16"]],
];

describe("planMemory", () => {
  for (const preset of [
    "biomedlm-tiny",
    "bench-s",
    "bench-m",
    "gpt2-124m",
    "bert-base",
    "biomegatron-345m",
    "gpt2-xl",
  ]) {
    it.each(ways)(
      `is within a twentieth, and the threads' scratch space, of the engine's plan for ${preset} %s`,
      async (_, overrides) => {
        const { config, options, training } = await planned(preset, overrides);
        const exact = loadAddon().planTraining(config, options, training);
        const difference = Math.abs(totalBytes(planMemory(config, options, training)) - exact.totalBytes);
        // The formulas leave out the scratch space of the threads.
        expect(difference).toBeLessThan(0.05 * exact.totalBytes + 8e6);
      },
    );
  }
});

describe("what is counted", () => {
  it.each([
    ["biomedlm-tiny", []],
    ["bert-tiny-mlm", []],
    ["biomegatron-tiny", []],
    ["biomegatron-tiny", ["model.lora={rank: 4, targets: [query, dense]}"]],
    ["biomedlm-tiny", ["model.lora={rank: 4, targets: [c_attn, mlp.c_proj]}"]],
    ["bert-tiny-mlm", ["model.freeze=[bert.embeddings.*, '*.bias']"]],
  ])("is what the engine has of %s %j", async (preset, overrides) => {
    const { recipe, config, options, training } = await planned(preset, overrides);
    const model = loadAddon().createModel(config, options);
    try {
      const own = model.parameters().filter(({ name }) => !name.includes(".lora_"));
      const names = modelTensors(config).map(({ name, shape }) => `${name} ${shape.join("×")}`);
      expect(names.toSorted()).toEqual(own.map(({ name, shape }) => `${name} ${shape.join("×")}`).toSorted());
      expect(loadAddon().planTraining(config, options, training).parameterCount).toBe(parameterCount(config));
      await model.prepareTraining(training);
      expect(await model.trainedParameterCount()).toBe(trainableCount(config, recipe.model));
    } finally {
      model.dispose();
    }
  });
});

describe("int8InferenceMemory", () => {
  it.each(["biomedlm-2.7b", "bert-large", "gpt2"])(
    "counts the weights of %s as the engine keeps them",
    async (preset) => {
      const { config, training } = await planned(preset, []);
      const lora = { rank: 1, alpha: 1, dropout: 0, targets: config.family === "gpt2" ? ["c_attn"] : ["query"] };
      // Weights of one byte cannot be trained, so that an adapter is planned with them, and taken off again.
      const exact = loadAddon().planTraining(config, { threads: 1, weights: "int8", lora }, training);
      const ratio =
        int8InferenceMemory(config).parameterBytes / (exact.parameterBytes - 4 * exact.adapterParameterCount);
      expect(ratio).toBeGreaterThan(0.99);
      expect(ratio).toBeLessThan(1.01);
    },
  );
});
