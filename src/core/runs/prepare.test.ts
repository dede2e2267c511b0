import { describe, expect, it } from "vitest";
import { isShaped } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import type { NativeAddon, NativeMemoryPlan, NativeModel, NativeTrainingOptions } from "../engine/addon.ts";
import { modelConfigOf, modelOptionsOf, trainingOptionsOf } from "../recipe/engine-options.ts";
import { loadRecipe } from "../recipe/load.ts";
import { resolveRecipe } from "../recipe/resolve.ts";
import { allocateTraining, type PreparedTraining } from "./prepare.ts";

const plan: NativeMemoryPlan = {
  parameterBytes: 1,
  weightCopyBytes: 0,
  gradientBytes: 1,
  optimizerBytes: 1,
  activationBytes: 1,
  workspaceBytes: 1,
  totalBytes: 5,
};

/** An engine that has memory for so many windows, and counts the models it made and let go. */
function engineWith(windows: number, code: "OUT_OF_MEMORY" | "BUG" = "OUT_OF_MEMORY") {
  const counts = { made: 0, disposed: 0 };
  const model = {
    planTraining: () => plan,
    prepareTraining: async ({ microbatchSize }: NativeTrainingOptions) => {
      if (microbatchSize > windows) {
        throw new AppError(code, "There is not enough memory.");
      }
      return plan;
    },
    dispose: () => {
      counts.disposed += 1;
    },
  };
  const addon = {
    createModel: () => {
      counts.made += 1;
      return model as unknown as NativeModel; // as: only these are called
    },
  };
  return { addon: addon as unknown as NativeAddon, counts }; // as: likewise
}

function prepared(isMicrobatchChosen: boolean): PreparedTraining {
  const { recipe } = loadRecipe({
    text: `max_seq_len: 64
model: {name: gpt2, n_layers: 1, n_heads: 1, d_model: 8}
tokenizer: {path: gpt2}
data: {train: /x.txt}
optimizer: {lr: 1.0e-3}
max_duration: 1ba
global_train_batch_size: 12
`,
  });
  if (recipe === null || !isShaped(recipe)) {
    throw new Error("The recipe of this test is wrong.");
  }
  const resolved = resolveRecipe(recipe, {
    device: "cpu",
    physicalCores: 1,
    vocabSize: 50_257,
    autoMicrobatch: () => 12,
  });
  // as: what allocating does not look at is left out.
  return {
    recipe: resolved,
    modelConfig: modelConfigOf(recipe, 50_257),
    modelOptions: modelOptionsOf(recipe, 1),
    trainingOptions: trainingOptionsOf(recipe, 12, null),
    isMicrobatchChosen,
  } as PreparedTraining;
}

describe("allocateTraining", () => {
  it("halves a microbatch that was chosen until it fits, says so, and records the one that did", async () => {
    const { addon, counts } = engineWith(3);
    const notices: string[] = [];
    const trained = await allocateTraining(
      addon,
      prepared(true),
      () => undefined,
      (sentence) => notices.push(sentence),
    );
    expect(trained.prepared.recipe.device_train_microbatch_size).toBe(3);
    expect(trained.prepared.trainingOptions.microbatchSize).toBe(3);
    expect(notices).toEqual([
      "There was no memory for 12 windows at once; trying device_train_microbatch_size 6.",
      "There was no memory for 6 windows at once; trying device_train_microbatch_size 3.",
    ]);
    expect(counts).toEqual({ made: 3, disposed: 2 });
  });

  it("keeps to a microbatch that the recipe names", async () => {
    const { addon, counts } = engineWith(3);
    const allocating = allocateTraining(
      addon,
      prepared(false),
      () => undefined,
      () => undefined,
    );
    await expect(allocating).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    expect(counts).toEqual({ made: 1, disposed: 1 });
  });

  it("gives up where one window is too much, and at once for any other reason", async () => {
    const none = engineWith(0);
    const first = allocateTraining(
      none.addon,
      prepared(true),
      () => undefined,
      () => undefined,
    );
    await expect(first).rejects.toMatchObject({ code: "OUT_OF_MEMORY" });
    expect(none.counts.made).toBe(4);
    const broken = engineWith(0, "BUG");
    const second = allocateTraining(
      broken.addon,
      prepared(true),
      () => undefined,
      () => undefined,
    );
    await expect(second).rejects.toMatchObject({ code: "BUG" });
    expect(broken.counts).toEqual({ made: 1, disposed: 1 });
  });
});
