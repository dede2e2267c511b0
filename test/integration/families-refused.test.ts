// Batches, options and models that cannot be: each is refused with a code and a sentence, and nothing crashes or changes.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  loadAddon,
  type NativeBatch,
  type NativeModel,
  type NativeModelConfig,
  type NativeModelOptions,
  type NativeTrainingOptions,
} from "#core/engine/addon";
import { tinyConfig, tinyTraining } from "../support/engine.ts";

const rows = 4;
const seqLen = 8;
const places = rows * seqLen;
const zeros = (count: number): Int32Array => new Int32Array(count);
const filled = (count: number, value: number): Int32Array => new Int32Array(count).fill(value);

const bert = (changes: Partial<NativeModelConfig>): NativeModelConfig =>
  tinyConfig({ family: "bert", activation: "gelu", typeVocabSize: 2, ...changes });

const classifier = bert({ head: "sequence-classification", labels: 3 });
const classified: NativeBatch = { batch: rows, seqLen, tokens: zeros(places), targets: zeros(rows) };

describe("a batch that does not fit is refused", () => {
  let model: NativeModel;

  beforeAll(async () => {
    model = loadAddon().createModel(classifier, { threads: 1 });
    await model.initialize(1);
    await model.prepareTraining(tinyTraining({ seqLen: 16 }));
  });
  afterAll(() => model.dispose());

  const refused: readonly (readonly [string, Partial<NativeBatch>, string])[] = [
    ["fewer tokens than its size", { tokens: zeros(places - 1) }, "BATCH_SHAPE_MISMATCH"],
    ["no rows", { batch: 0, tokens: zeros(0), targets: zeros(0) }, "BAD_ARGUMENT"],
    ["a negative size", { batch: -1 }, "BAD_ARGUMENT"],
    ["a size beyond memory", { batch: 2 ** 40 }, "BAD_ARGUMENT"],
    ["sizes whose product overflows", { batch: 2 ** 52, seqLen: 2 ** 52 }, "BAD_ARGUMENT"],
    [
      "more positions than were prepared",
      { batch: 1, seqLen: 32, tokens: zeros(32), targets: zeros(1) },
      "BATCH_SHAPE_MISMATCH",
    ],
    ["a target too many", { targets: zeros(rows + 1) }, "BATCH_SHAPE_MISMATCH"],
    ["no targets", { targets: zeros(0) }, "BATCH_SHAPE_MISMATCH"],
    ["token types of another size", { tokenTypes: zeros(1) }, "BATCH_SHAPE_MISMATCH"],
    ["segments of another size", { segments: zeros(places + 1) }, "BATCH_SHAPE_MISMATCH"],
    ["positions of another size", { positions: zeros(2) }, "BATCH_SHAPE_MISMATCH"],
    ["a token beyond the vocabulary", { tokens: filled(places, 97) }, "TOKEN_OUT_OF_RANGE"],
    ["a negative token", { tokens: filled(places, -1) }, "TOKEN_OUT_OF_RANGE"],
    ["a token type that there is not", { tokenTypes: filled(places, 2) }, "TOKEN_OUT_OF_RANGE"],
    ["a position beyond the table", { positions: filled(places, 32) }, "TOKEN_OUT_OF_RANGE"],
    ["a negative position", { positions: filled(places, -1) }, "TOKEN_OUT_OF_RANGE"],
    ["a label that there is not", { targets: filled(rows, 3) }, "TOKEN_OUT_OF_RANGE"],
  ];
  for (const [what, changes, code] of refused) {
    it(`for ${what}`, async () => {
      const before = await model.readTensor("classifier.weight");
      const attempt = async () => model.trainBatch({ batch: { ...classified, ...changes }, step: 1, lr: 1e-3 });
      await expect(attempt()).rejects.toMatchObject({ code, message: expect.stringMatching(/\.$/) });
      expect(await model.readTensor("classifier.weight")).toEqual(before);
    });
  }

  it("and one without anything to score has a loss of zero and no gradient", async () => {
    const { loss } = await model.computeBatchGradients({ ...classified, targets: filled(rows, -1) });
    expect(loss).toBe(0);
    const gradient = await model.readGradient("bert.encoder.layer.0.output.dense.weight");
    expect(gradient.every((value) => value === 0)).toBe(true);
  });

  it("and one that is all padding does no harm", async () => {
    const segments = filled(places, -1);
    const result = await model.trainBatch({ batch: { ...classified, segments }, step: 1, lr: 1e-3 });
    expect(Number.isFinite(result.loss) && Number.isFinite(result.gradNorm)).toBe(true);
    expect((await model.predict({ ...classified, segments })).every(Number.isFinite)).toBe(true);
  });
});

describe("a choice that is not whole is refused", () => {
  it("when a question lacks a sequence, has none, or is larger than a microbatch", async () => {
    const model = loadAddon().createModel(bert({ head: "multiple-choice" }), { threads: 1 });
    await model.initialize(1);
    await model.prepareTraining(tinyTraining({ seqLen }));
    for (const choices of [3, 0, -2, 4, 2 ** 40]) {
      const attempt = async () => model.computeBatchGradients({ ...classified, targets: zeros(1), choices });
      const code = expect.stringMatching(/^(BATCH_SHAPE_MISMATCH|BAD_ARGUMENT)$/);
      await expect(attempt(), `${choices}`).rejects.toMatchObject({ code });
    }
    const { loss } = await model.computeBatchGradients({ ...classified, targets: zeros(2), choices: 2 });
    expect(loss).toBeGreaterThan(0);
    model.dispose();
  });
});

describe("training options that cannot be are refused", () => {
  const refused: readonly (readonly [string, Partial<NativeTrainingOptions>])[] = [
    ["class weights of another number", { classWeights: [1, 2] }],
    ["a negative class weight", { classWeights: [1, -1, 1] }],
    ["a class weight that is no number", { classWeights: [1, Number.NaN, 1] }],
    ["label smoothing of one", { labelSmoothing: 1 }],
    ["negative label smoothing", { labelSmoothing: -0.1 }],
    ["nothing left to train", { frozen: ["*"] }],
    ["no rows in a microbatch", { microbatchSize: 0 }],
    ["more positions than the model has", { seqLen: 33 }],
  ];
  for (const [what, changes] of refused) {
    it(`for ${what}`, () => {
      const plan = () => loadAddon().planTraining(classifier, { threads: 1 }, tinyTraining(changes));
      const code = expect.stringMatching(/^(TRAINING_OPTIONS_INVALID|BAD_ARGUMENT)$/);
      expect(plan).toThrow(expect.objectContaining({ code, message: expect.stringMatching(/\.$/) }));
    });
  }
});

describe("a model that cannot be is refused", () => {
  const lora = { rank: 2, alpha: 4, dropout: 0, targets: ["query"] };
  const refused: readonly (readonly [string, NativeModelConfig, Partial<NativeModelOptions>])[] = [
    ["an encoder's head on a decoder", tinyConfig({ head: "masked-lm" }), {}],
    ["a decoder's head on an encoder", bert({ head: "causal-lm" }), {}],
    ["no labels", bert({ head: "sequence-classification", labels: 0 }), {}],
    ["no token types in an encoder", bert({ head: "masked-lm", typeVocabSize: 0 }), {}],
    ["heads that do not divide the width", tinyConfig({ nHeads: 3 }), {}],
    ["sizes that overflow", tinyConfig({ dModel: 2 ** 40, nHeads: 1, dInner: 2 ** 40, vocabSize: 2 ** 40 }), {}],
    ["adapters without a rank", bert({ head: "masked-lm" }), { lora: { ...lora, rank: 0 } }],
    ["adapters of a negative rank", bert({ head: "masked-lm" }), { lora: { ...lora, rank: -1 } }],
    ["more layers than any machine holds", tinyConfig({ nLayers: 2 ** 31 - 1 }), {}],
    ["an embedding larger than any", tinyConfig({ vocabSize: 2 ** 31 - 1, dModel: 2 ** 31 - 2, nHeads: 1 }), {}],
    ["adapters wider than the layer", bert({ head: "masked-lm" }), { lora: { ...lora, rank: 2 ** 31 - 1 } }],
    ["adapters of an endless rank", bert({ head: "masked-lm" }), { lora: { ...lora, rank: 2 ** 50 } }],
    ["adapters that drop everything", bert({ head: "masked-lm" }), { lora: { ...lora, dropout: 1 } }],
    ["adapters on nothing", bert({ head: "masked-lm" }), { lora: { ...lora, targets: [] } }],
    ["adapters on layers that there are not", bert({ head: "masked-lm" }), { lora: { ...lora, targets: ["c_attn"] } }],
    ["adapters scaled by no number", bert({ head: "masked-lm" }), { lora: { ...lora, alpha: Number.NaN } }],
  ];
  for (const [what, config, options] of refused) {
    it(`for ${what}`, () => {
      // The names of adapted layers are looked up when the model is first used.
      const make = () =>
        loadAddon()
          .createModel(config, { threads: 1, ...options })
          .parameters();
      const code = expect.stringMatching(/^(MODEL_CONFIG_INVALID|BAD_ARGUMENT)$/);
      expect(make).toThrow(expect.objectContaining({ code, message: expect.stringMatching(/\.$/) }));
      expect(() => loadAddon().planTraining(config, { threads: 1, ...options }, tinyTraining())).toThrow();
    });
  }
});
