// What a model sees of running text: with a border between documents, a training step is the same as one on a batch whose
// segments and positions say so; and weights stored in bf16 or int8 compute what their rounded values say.
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeModel, type NativeModelConfig } from "#core/engine/addon";
import { someDocuments, TINY_END_OF_TEXT, tinyConfig, tinyTraining, writeTokenCache } from "../support/engine.ts";
import { Agreement } from "../support/families.ts";
import { temporaryFolder } from "../support/workspace.ts";

const seqLen = 32;
const rows = 4;

/** The windows of the first batch, (rows, seqLen + 1), by the documented order. */
function firstWindows(documents: readonly (readonly number[])[], windowCount: number): readonly (readonly number[])[] {
  const text = documents.flatMap((document) => [...document, TINY_END_OF_TEXT]);
  const order = loadAddon().dataOrder({ windowCount, seed: 7, epoch: 0, from: 0, to: rows });
  return [...order].map((window) => text.slice(window * seqLen, window * seqLen + seqLen + 1));
}

/** Segment and position of each token: both begin anew at end-of-text, which is the context of what follows. */
function documentsOf(window: readonly number[]): { readonly segments: number[]; readonly positions: number[] } {
  const segments: number[] = [];
  const positions: number[] = [];
  for (const [index, token] of window.slice(0, seqLen).entries()) {
    const begins = index === 0 || token === TINY_END_OF_TEXT;
    segments.push(index === 0 ? 0 : (segments[index - 1] ?? 0) + (begins ? 1 : 0));
    positions.push(begins ? 0 : (positions[index - 1] ?? 0) + 1);
  }
  return { segments, positions };
}

describe("training on running text", () => {
  it("with a border between documents is training on separate texts", async () => {
    await using folder = await temporaryFolder();
    const documents = someDocuments(40);
    const data = loadAddon().openTokenData(await writeTokenCache(folder.path, documents));
    const windows = firstWindows(documents, data.windowCount(seqLen));
    const parts = windows.map(documentsOf);
    expect(parts.some(({ segments }) => (segments.at(-1) ?? 0) > 0)).toBe(true);
    const batch = {
      batch: rows,
      seqLen,
      tokens: Int32Array.from(windows.flatMap((window) => window.slice(0, seqLen))),
      targets: Int32Array.from(windows.flatMap((window) => window.slice(1))),
      segments: Int32Array.from(parts.flatMap(({ segments }) => segments)),
      positions: Int32Array.from(parts.flatMap(({ positions }) => positions)),
    };
    const lr = 1e-3;
    const stepOf = async (documentMask: boolean) => {
      const model = loadAddon().createModel(tinyConfig(), { threads: 2 });
      await model.initialize(5);
      await model.prepareTraining(tinyTraining({ documentMask }));
      const loss = await model.trainStep({ data, step: 1, lr, shuffleSeed: 7 });
      const weights = await model.readTensor("transformer.h.0.attn.c_attn.weight");
      model.dispose();
      return { ...loss, weights };
    };
    const separated = await stepOf(true);
    const model = loadAddon().createModel(tinyConfig(), { threads: 2 });
    await model.initialize(5);
    await model.prepareTraining(tinyTraining());
    const onBatch = await model.trainBatch({ batch, step: 1, lr });
    expect(separated.loss).toBe(onBatch.loss);
    expect(separated.gradNorm).toBe(onBatch.gradNorm);
    expect(separated.weights).toEqual(await model.readTensor("transformer.h.0.attn.c_attn.weight"));
    expect((await stepOf(false)).loss).not.toBe(separated.loss);
    model.dispose();
    data.close();
  });
});

const families: readonly NativeModelConfig[] = [
  tinyConfig(),
  tinyConfig({ family: "bert", head: "masked-lm", activation: "gelu", typeVocabSize: 2 }),
  tinyConfig({
    family: "megatron_bert",
    head: "sequence-classification",
    labels: 3,
    activation: "gelu",
    typeVocabSize: 2,
  }),
];

async function somePredictions(model: NativeModel): Promise<Float32Array> {
  const tokens = Int32Array.from({ length: 2 * seqLen }, (_, index) => (index * 37) % TINY_END_OF_TEXT);
  return await model.predict({ tokens, batch: 2, seqLen });
}

/** The loss of precision that a format allows a value among values as large as `largest`. */
const roundingOf = {
  bf16: (value: number) => Math.abs(value) * 2 ** -8,
  int8: (_: number, largest: number) => largest / 254 + 1e-7,
} as const;

describe("weights stored narrower", () => {
  for (const config of families) {
    for (const weights of ["bf16", "int8"] as const) {
      it(`${config.family} in ${weights} computes what its rounded values say`, async () => {
        await using folder = await temporaryFolder();
        const file = `${folder.path}/model.safetensors`;
        const exact = loadAddon().createModel(config, { threads: 2 });
        await exact.initialize(11);
        await exact.saveWeights(file);
        const narrow = loadAddon().createModel(config, { threads: 2, weights });
        await narrow.loadWeights(file);
        const before = await somePredictions(exact);
        let changed = 0;
        for (const { name } of exact.parameters()) {
          const original = await exact.readTensor(name);
          const rounded = await narrow.readTensor(name);
          const largest = Math.max(...original.map(Math.abs));
          for (const [index, value] of original.entries()) {
            const difference = Math.abs(value - (rounded[index] ?? Number.NaN));
            if (!(difference <= roundingOf[weights](value, largest))) {
              throw new Error(`${name}[${index}] is ${value}, and ${rounded[index]} in ${weights}.`);
            }
          }
          changed += rounded.some((value, index) => value !== original[index]) ? 1 : 0;
          await exact.writeTensor(name, rounded);
        }
        expect(changed).toBeGreaterThan(4);
        // Narrow weights go with bf16 products.
        const agreement = new Agreement("bf16");
        agreement.tensor("predictions", await somePredictions(narrow), await somePredictions(exact));
        expect(agreement.failures).toEqual([]);
        expect(await somePredictions(exact)).not.toEqual(before);
        exact.dispose();
        narrow.dispose();
      });
    }
  }
});
