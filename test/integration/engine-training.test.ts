// Training through the addon: the same bits every time, over a save and a load, and weights left alone when it goes wrong.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { loadAddon, type NativeModel, type NativeStepResult, type NativeTokenData } from "#core/engine/addon";
import { windowOfSample } from "#shared/domain/data-order";
import { someDocuments, TINY_END_OF_TEXT, tinyConfig, tinyTraining, writeTokenCache } from "../support/engine.ts";
import { temporaryFolder } from "../support/workspace.ts";

const addon = loadAddon();
const withDropout = tinyConfig({ embdPdrop: 0.1, attnPdrop: 0.1, residPdrop: 0.1 });

async function freshModel(threads = 2): Promise<NativeModel> {
  const model = addon.createModel(withDropout, { threads });
  await model.initialize(17);
  await model.prepareTraining(tinyTraining());
  return model;
}

async function train(model: NativeModel, data: NativeTokenData, from: number, to: number): Promise<NativeStepResult[]> {
  const results: NativeStepResult[] = [];
  for (let step = from; step <= to; step += 1) {
    results.push(await model.trainStep({ data, step, lr: 1e-3, shuffleSeed: 5 }));
  }
  return results;
}

const numbers = (results: readonly NativeStepResult[]) => results.map(({ loss, gradNorm }) => [loss, gradNorm]);

describe("trainStep", () => {
  it("gives the same bits in two runs, and learns", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const one = await freshModel();
    const two = await freshModel();
    const first = await train(one, data, 1, 30);
    expect(numbers(await train(two, data, 1, 30))).toEqual(numbers(first));
    await one.saveWeights(path.join(folder.path, "one"));
    await two.saveWeights(path.join(folder.path, "two"));
    expect(await readFile(path.join(folder.path, "one"))).toEqual(await readFile(path.join(folder.path, "two")));
    expect(first.every((step) => step.applied && step.tokens === 4 * 32)).toBe(true);
    expect(first.at(-1)?.loss).toBeLessThan((first[0]?.loss ?? 0) - 0.3);
    one.dispose();
    two.dispose();
    data.close();
  });

  it("goes on from saved weights and optimizer state as if nothing had happened, bit for bit", async () => {
    await using folder = await temporaryFolder();
    const file = (name: string) => path.join(folder.path, name);
    const data = addon.openTokenData(await writeTokenCache(file("cache"), someDocuments(30)));
    const whole = await freshModel();
    const expected = numbers(await train(whole, data, 1, 12)).slice(7);
    await whole.saveWeights(file("whole"));

    const before = await freshModel();
    await train(before, data, 1, 7);
    await before.saveWeights(file("weights"));
    await before.saveOptimizer(file("optimizer"));
    before.dispose();
    const after = addon.createModel(withDropout, { threads: 2 });
    await after.loadWeights(file("weights"));
    await after.prepareTraining(tinyTraining());
    await after.loadOptimizer(file("optimizer"));
    expect(numbers(await train(after, data, 8, 12))).toEqual(expected);
    await after.saveWeights(file("resumed"));
    expect(await readFile(file("resumed"))).toEqual(await readFile(file("whole")));
    whole.dispose();
    after.dispose();
  });

  it("leaves the weights alone and says so when a weight is not a number", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const model = await freshModel();
    const bias = await model.readTensor("transformer.h.1.mlp.c_fc.bias");
    bias[0] = Number.NaN;
    await model.writeTensor("transformer.h.1.mlp.c_fc.bias", bias);
    const before = await model.readTensor("transformer.wte.weight");
    const [result] = await train(model, data, 1, 1);
    expect(result).toMatchObject({ applied: false, loss: Number.NaN });
    expect(await model.readTensor("transformer.wte.weight")).toEqual(before);
    model.dispose();
  });

  it("refuses a text shorter than the context with both lengths, and a cache of a larger vocabulary", async () => {
    await using folder = await temporaryFolder();
    const model = await freshModel();
    const short = addon.openTokenData(await writeTokenCache(path.join(folder.path, "short"), [[1, 2, 3]]));
    await expect(train(model, short, 1, 1)).rejects.toMatchObject({
      code: "TEXT_SHORTER_THAN_CONTEXT",
      message: expect.stringMatching(/4 tokens.*33/),
    });
    const foreign = addon.openTokenData(
      await writeTokenCache(path.join(folder.path, "foreign"), someDocuments(30), { vocab_size: 5000 }),
    );
    await expect(train(model, foreign, 1, 1)).rejects.toMatchObject({ code: "TOKENIZER_MODEL_MISMATCH" });
    model.dispose();
  });

  it("is computeGradients and applyUpdate of its batch, where nothing is dropped", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const text = someDocuments(30).flatMap((document) => [...document, TINY_END_OF_TEXT]);
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    await model.initialize(17);
    await model.prepareTraining(tinyTraining());
    const windows = [4, 5, 6, 7].map((sample) => windowOfSample(data.windowCount(32), 5, sample));
    const tokens = Int32Array.from(windows.flatMap((window) => text.slice(window * 32, window * 32 + 33)));
    const { loss } = await model.computeGradients({ tokens, batch: 4, seqLen: 32 });
    const { gradNorm } = await model.applyUpdate({ step: 2, lr: 1e-3 });
    const updated = await model.readTensor("transformer.wte.weight");
    await model.initialize(17);
    await model.prepareTraining(tinyTraining());
    const result = await model.trainStep({ data, step: 2, lr: 1e-3, shuffleSeed: 5 });
    expect(result.loss).toBeCloseTo(loss, 6);
    expect(result.gradNorm).toBeCloseTo(gradNorm, 5);
    const stepped = await model.readTensor("transformer.wte.weight");
    expect(Math.max(...stepped.map((value, index) => Math.abs(value - (updated[index] ?? 0))))).toBeLessThan(1e-5);
    model.dispose();
  });

  it("asks for prepareTraining first", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    const notPrepared = { code: "TRAINING_NOT_PREPARED", message: expect.stringContaining("prepareTraining") };
    await expect(train(model, data, 1, 1)).rejects.toMatchObject(notPrepared);
    await expect(model.readGradient("transformer.wte.weight")).rejects.toMatchObject(notPrepared);
    await expect(model.saveOptimizer(path.join(folder.path, "o"))).rejects.toMatchObject(notPrepared);
    model.dispose();
  });
});

describe("planTraining", () => {
  it("equals what prepareTraining allocates, and forecasts models that no memory could hold", async () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    const plan = model.planTraining(tinyTraining());
    expect(await model.prepareTraining(tinyTraining())).toEqual(plan);
    expect(plan.totalBytes).toBe(
      plan.parameterBytes + plan.gradientBytes + plan.optimizerBytes + plan.activationBytes + plan.workspaceBytes,
    );
    model.dispose();

    const large = addon.createModel(
      tinyConfig({ vocabSize: 50_257, maxSeqLen: 1024, nLayers: 96, nHeads: 96, dModel: 12_288, dInner: 49_152 }),
      { threads: 1 },
    );
    const options = tinyTraining({ seqLen: 1024 });
    expect(large.planTraining(options).parameterBytes).toBeGreaterThan(600e9);
    await expect(large.prepareTraining(options)).rejects.toMatchObject({
      code: "OUT_OF_MEMORY",
      message: expect.stringMatching(/\d{12} bytes/),
    });
    large.dispose();
  });

  it("names the option that is wrong", () => {
    const model = addon.createModel(tinyConfig(), { threads: 1 });
    expect(() => model.planTraining(tinyTraining({ seqLen: 33 }))).toThrow(/33/);
    expect(() => model.planTraining(tinyTraining({ microbatchSize: 0 }))).toThrow(/microbatchSize/);
    expect(() => model.planTraining(tinyTraining({ seed: 2 ** 60 }))).toThrow(/seed/);
    const { optimizer } = tinyTraining();
    expect(() => model.planTraining(tinyTraining({ optimizer: { ...optimizer, lr: Number.NaN } }))).toThrow(
      /lr is nan/,
    );
    model.dispose();
  });
});

describe("evaluate", () => {
  it("scores a trained model better than a fresh one, and the same each time", async () => {
    await using folder = await temporaryFolder();
    const data = addon.openTokenData(await writeTokenCache(path.join(folder.path, "cache"), someDocuments(30)));
    const held = addon.openTokenData(await writeTokenCache(path.join(folder.path, "held"), someDocuments(8, 99)));
    const model = await freshModel();
    const request = { data: held, seqLen: 32, endOfTextId: held.endOfTextId };
    const before = await model.evaluate(request);
    expect(before.tokenCount).toBe(held.tokenCount - held.documentCount);
    expect(before.nats / before.tokenCount).toBeCloseTo(Math.log(97), 0);
    await train(model, data, 1, 40);
    const after = await model.evaluate(request);
    expect(after.nats).toBeLessThan(before.nats * 0.95);
    expect(await model.evaluate(request)).toEqual(after);
    const parts = await Promise.all([
      model.evaluate({ ...request, toDocument: 3 }),
      model.evaluate({ ...request, fromDocument: 3 }),
    ]);
    expect(parts[0].tokenCount + parts[1].tokenCount).toBe(after.tokenCount);
    expect(parts[0].nats + parts[1].nats).toBeCloseTo(after.nats, 3);
    const strided = await model.evaluate({ ...request, stride: 16 });
    expect(strided.tokenCount).toBe(after.tokenCount);
    model.dispose();
  });
});
