// The weights a run begins with: random ones, or those of the model it starts from. What that model lacks of the head
// that is trained keeps its random beginning.
import type { NativeModel } from "../engine/addon.ts";
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
  const { missing, unexpected } = await model.loadWeights(base.folder, { allowMissingHead: true });
  const lacks = missing.length === 0 ? "" : ` It has no ${missing.join(", ")}: these begin at random.`;
  const unused = unexpected.length === 0 ? "" : ` Not used of it: ${unexpected.join(", ")}.`;
  return `Weights begin as those of ${base.folder}.${lacks}${unused}`;
}
