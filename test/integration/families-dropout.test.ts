// Gradients where something is dropped, for every family and head: a step's masks follow from its number alone, so the
// loss of step 1 is a function of the weights, and its slope along each tensor's gradient must be that gradient's length.
import { describe, expect, it } from "vitest";
import {
  loadAddon,
  type NativeBatch,
  type NativeFamily,
  type NativeHead,
  type NativeLora,
  type NativeModel,
  type NativeModelConfig,
} from "#core/engine/addon";
import type { Recompute } from "#shared/domain/recipe";
import { pseudoRandom, tinyConfig, tinyTraining } from "../support/engine.ts";
import { norm } from "../support/families.ts";

const rows = 4;
const seqLen = 11;
const labels = 3;
const vocabulary = 41;

const gpt2Heads: readonly NativeHead[] = [
  "causal-lm",
  "sequence-classification",
  "token-classification",
  "multiple-choice",
  "span-qa",
];
const encoderHeads: readonly NativeHead[] = ["pretraining", ...gpt2Heads.slice(1)];

function configOf(family: NativeFamily, head: NativeHead): NativeModelConfig {
  return tinyConfig({
    family,
    head,
    vocabSize: vocabulary,
    dModel: 24,
    dInner: 40,
    nHeads: 3,
    typeVocabSize: family === "gpt2" ? 0 : 2,
    labels: head.endsWith("classification") ? labels : 1,
    activation: family === "gpt2" ? "gelu_new" : "gelu",
    embdPdrop: 0.1,
    attnPdrop: 0.2,
    residPdrop: 0.15,
    classifierPdrop: 0.25,
  });
}

function batchOf(head: NativeHead): NativeBatch {
  const random = pseudoRandom(31);
  const draw = (count: number, limit: number) => Int32Array.from({ length: count }, () => random(limit));
  const lengths = [seqLen, 7, 9, 5];
  const segments = Int32Array.from({ length: rows * seqLen }, (_, index) =>
    index % seqLen < (lengths[Math.floor(index / seqLen)] ?? 0) ? 0 : -1,
  );
  const ofText = (values: Int32Array) => values.map((value, index) => ((segments[index] ?? -1) < 0 ? -1 : value));
  const targets: Record<string, () => Int32Array> = {
    "causal-lm": () => ofText(draw(rows * seqLen, vocabulary)),
    pretraining: () => ofText(draw(rows * seqLen, vocabulary)),
    "token-classification": () => ofText(draw(rows * seqLen, labels)),
    "sequence-classification": () => draw(rows, labels),
    "multiple-choice": () => draw(rows / 2, 2),
    "span-qa": () => draw(2 * rows, 5),
  };
  return {
    batch: rows,
    seqLen,
    tokens: draw(rows * seqLen, vocabulary),
    segments,
    targets: targets[head]?.() ?? new Int32Array(),
    ...(head === "pretraining" ? { sentenceTargets: draw(rows, 2) } : {}),
    ...(head === "multiple-choice" ? { choices: 2 } : {}),
  };
}

async function lossOf(model: NativeModel, batch: NativeBatch): Promise<number> {
  const { loss, applied } = await model.trainBatch({ batch, step: 1, lr: 0 });
  expect(applied).toBe(true);
  return loss;
}

/** Every tensor whose gradient is not the slope of the loss. */
async function wrongSlopes(
  config: NativeModelConfig,
  options: { readonly lora?: NativeLora; readonly microbatchSize: number; readonly recompute: Recompute },
): Promise<readonly string[]> {
  const { lora = null, ...training } = options;
  const model = loadAddon().createModel(config, { threads: 1, lora });
  await model.initialize(13);
  const random = pseudoRandom(17);
  for (const { name } of model.parameters()) {
    const values = await model.readTensor(name);
    await model.writeTensor(
      name,
      values.map((value) => value * 4 + 0.2 * (random(2 ** 20) / 2 ** 20 - 0.5)),
    );
  }
  await model.prepareTraining(tinyTraining({ seqLen, globalBatchSize: rows, gradientClipping: null, ...training }));
  const batch = batchOf(config.head);
  const loss = await lossOf(model, batch);
  expect(await lossOf(model, batch)).toBe(loss);
  expect((await model.computeBatchGradients(batch)).loss).not.toBe(loss);
  await lossOf(model, batch);
  const gradients = new Map<string, Float32Array>();
  for (const { name } of model.parameters()) {
    gradients.set(name, await model.readGradient(name));
  }
  const wrong: string[] = [];
  let checked = 0;
  for (const [name, gradient] of gradients) {
    const length = norm(gradient);
    if (length < 1e-3) {
      continue; // Frozen, or no more than rounding.
    }
    checked += 1;
    const values = await model.readTensor(name);
    const along = async (step: number): Promise<number> => {
      await model.writeTensor(
        name,
        values.map((value, index) => value + (step * (gradient[index] ?? 0)) / length),
      );
      return await lossOf(model, batch);
    };
    // So that the loss moves by about as much for every tensor.
    const step = 0.01 / Math.max(1, length);
    const slope = ((await along(step)) - (await along(-step))) / (2 * step);
    await model.writeTensor(name, values);
    if (Math.abs(slope - length) > 0.02 * length + 2e-4) {
      wrong.push(`${name}: the loss rises by ${slope} where the gradient is ${length}`);
    }
  }
  expect(checked).toBeGreaterThan(lora === null ? 20 : 4);
  model.dispose();
  return wrong;
}

describe("gradients with dropout are those of what is left", () => {
  const heads: readonly (readonly [NativeFamily, readonly NativeHead[]])[] = [
    ["gpt2", gpt2Heads],
    ["bert", encoderHeads],
    ["megatron_bert", encoderHeads],
  ];
  for (const [family, own] of heads) {
    for (const head of own) {
      it(`in ${family} for ${head}`, async () => {
        expect(await wrongSlopes(configOf(family, head), { microbatchSize: rows, recompute: "none" })).toEqual([]);
        expect(await wrongSlopes(configOf(family, head), { microbatchSize: 2, recompute: "full" })).toEqual([]);
      });
    }
    it(`in ${family} for adapters`, async () => {
      const targets = family === "gpt2" ? ["c_attn", "mlp.c_proj"] : ["query", "value", "intermediate.dense"];
      const lora = { rank: 3, alpha: 6, dropout: 0.3, targets };
      for (const recompute of ["none", "selective", "full"] as const) {
        const config = configOf(family, "sequence-classification");
        expect(await wrongSlopes(config, { lora, microbatchSize: 2, recompute })).toEqual([]);
      }
    });
  }
});
