// Replaces every `auto` of a recipe by what this machine has, and the vocabulary's size by the tokenizer's. The result is
// what a run directory keeps; resume goes by it, so that the same microbatch and threads give the same bits.
import { stringify } from "yaml";
import type { Device, Recipe, ResolvedRecipe, ShapedRecipe } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";

/**
 * The vocabulary a model gets. The tokenizer says; a recipe that says otherwise is refused. A model that training starts
 * from may have more rows than its tokenizer has tokens: some are padded.
 */
export function checkVocabulary(recipe: Recipe, tokenizerVocabSize: number): number {
  const wanted = recipe.model.vocab_size;
  const mayBePadded = recipe.model.init_from !== undefined;
  if (wanted !== undefined && wanted !== tokenizerVocabSize && !(mayBePadded && tokenizerVocabSize < wanted)) {
    const where = mayBePadded ? "the model of model.init_from has" : "model.vocab_size is";
    const remedy = mayBePadded
      ? "leave tokenizer out, it comes with the model"
      : "leave model.vocab_size out, or choose the other tokenizer";
    throw new AppError(
      "TOKENIZER_MODEL_MISMATCH",
      `The tokenizer has ${tokenizerVocabSize} tokens and ${where} ${wanted}; ${remedy}.`,
    );
  }
  return wanted ?? tokenizerVocabSize;
}

export function resolveRecipe(
  recipe: ShapedRecipe,
  facts: {
    readonly device: Device;
    readonly physicalCores: number;
    readonly vocabSize: number;
    /** Asked only where the recipe leaves it open. */
    readonly autoMicrobatch: (vocabSize: number, threads: number) => number;
  },
): ResolvedRecipe {
  const vocabSize = checkVocabulary(recipe, facts.vocabSize);
  const threads = recipe.threads === "auto" ? Math.max(1, facts.physicalCores) : recipe.threads;
  return {
    ...recipe,
    device: facts.device,
    threads,
    device_train_microbatch_size:
      recipe.device_train_microbatch_size === "auto"
        ? facts.autoMicrobatch(vocabSize, threads)
        : recipe.device_train_microbatch_size,
    model: { ...recipe.model, vocab_size: vocabSize },
  };
}

/** A recipe as a file. Reads back as the same recipe. */
export function toYaml(recipe: Recipe | ResolvedRecipe): string {
  return stringify(recipe, { lineWidth: 0 });
}
