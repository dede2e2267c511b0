// The weights a run begins with: random ones, or those of the model it starts from. What that model lacks of the head
// that is trained keeps its random beginning.
import type { NativeModel } from "../engine/addon.ts";
import { loadWeightsInto } from "../models/load.ts";
import type { PreparedTraining } from "./prepare.ts";

/** Says in a sentence what was taken from where. */
export async function loadFirstWeights(
  model: NativeModel,
  { recipe, base }: Pick<PreparedTraining, "recipe" | "base">,
): Promise<string> {
  await model.initialize(recipe.seed);
  if (base === null) {
    return `Weights begin at random, from seed ${recipe.seed}.`;
  }
  if (base.described === null) {
    throw new Error("A run that begins has read what its base says of itself.");
  }
  const { unexpected } = await loadWeightsInto(model, base.folder, base.described);
  const lacks = base.described.hasHead ? "" : ` It has no head for ${recipe.objective.name}: that begins at random.`;
  const unused = unexpected.length === 0 ? "" : ` Not used of it: ${unexpected.join(", ")}.`;
  return `Weights begin as those of ${base.folder}.${lacks}${unused}`;
}
