// Replaces every `auto` of a recipe by what this machine has, and the vocabulary's size by the tokenizer's. The result is
// what a run directory keeps; resume goes by it, so that the same microbatch and threads give the same bits.
import { stringify } from "yaml";
import type { Recipe, ResolvedRecipe } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { activationBytes, shapeOf } from "../planner/memory.ts";

export type MachineFacts = {
  readonly physicalCores: number;
  readonly memoryBytes: number;
};

/** Activations may take this share of the memory: the rest is for weights, the page cache and everyone else. */
const ACTIVATION_SHARE = 1 / 4;
/** Beyond this many windows at once a CPU gains nothing: its matrix products are large enough. */
const MAX_AUTO_MICROBATCH = 16;

/** The largest divisor of the global batch that fits; a function of recipe and machine alone. */
export function autoMicrobatch(recipe: Recipe, vocabSize: number, machine: MachineFacts): number {
  const batch = recipe.global_train_batch_size;
  for (let divisor = Math.min(batch, MAX_AUTO_MICROBATCH); divisor > 1; divisor -= 1) {
    const bytes = activationBytes(shapeOf(recipe, vocabSize), divisor);
    if (batch % divisor === 0 && bytes <= machine.memoryBytes * ACTIVATION_SHARE) {
      return divisor;
    }
  }
  return 1;
}

/** The vocabulary a model gets. The tokenizer says; a recipe that says otherwise is refused. */
export function checkVocabulary(recipe: Recipe, tokenizerVocabSize: number): number {
  const wanted = recipe.model.vocab_size;
  if (wanted !== undefined && wanted !== tokenizerVocabSize) {
    throw new AppError(
      "TOKENIZER_MODEL_MISMATCH",
      `The tokenizer has ${tokenizerVocabSize} tokens and model.vocab_size is ${wanted}; leave model.vocab_size out, or choose the other tokenizer.`,
    );
  }
  return tokenizerVocabSize;
}

export function resolveRecipe(
  recipe: Recipe,
  facts: { readonly machine: MachineFacts; readonly vocabSize: number },
): ResolvedRecipe {
  const vocabSize = checkVocabulary(recipe, facts.vocabSize);
  return {
    ...recipe,
    device: "cpu",
    threads: recipe.threads === "auto" ? Math.max(1, facts.machine.physicalCores) : recipe.threads,
    device_train_microbatch_size:
      recipe.device_train_microbatch_size === "auto"
        ? autoMicrobatch(recipe, vocabSize, facts.machine)
        : recipe.device_train_microbatch_size,
    model: { ...recipe.model, vocab_size: vocabSize },
  };
}

/** A recipe as a file. Reads back as the same recipe. */
export function toYaml(recipe: Recipe | ResolvedRecipe): string {
  return stringify(recipe, { lineWidth: 0 });
}
