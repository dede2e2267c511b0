// Low-rank adapters on a frozen base: their gradients and what merging makes of the weights against PyTorch, training
// that leaves the base alone, and the file that PEFT reads.
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { loadAddon, type NativeModel } from "#core/engine/addon";
import {
  Agreement,
  type FamilyCase,
  familyTraining,
  hasTorch,
  openCase,
  readCases,
  readTensors,
  runReference,
  unpaddedLogits,
  withoutTorch,
} from "../support/families.ts";
import { temporaryFolder } from "../support/workspace.ts";

const isAdapter = (name: string): boolean => /\.lora_[AB]\.weight$/.test(name);
const isSmallHead = (name: string): boolean => /^(classifier|score|qa_outputs)\./.test(name);

async function readAll(model: NativeModel): Promise<ReadonlyMap<string, Float32Array>> {
  const tensors = new Map<string, Float32Array>();
  for (const { name } of model.parameters()) {
    tensors.set(name, await model.readTensor(name));
  }
  return tensors;
}

describe.skipIf(!hasTorch)(`low-rank adapters beside PyTorch${withoutTorch}`, () => {
  let cases: readonly FamilyCase[] = [];

  beforeAll(async () => {
    const folder = await temporaryFolder();
    const out = path.join(folder.path, "cases");
    await runReference("families_cases.py", "--adapters", "--out", out);
    cases = await readCases(out);
    return () => folder[Symbol.asyncDispose]();
  }, 180_000);

  it("stand on the layers that PEFT would adapt, with its shapes", async () => {
    expect(cases.length).toBeGreaterThan(4);
    for (const each of cases) {
      const model = await openCase(each);
      const stored = await readTensors(path.join(each.folder, "adapter.safetensors"));
      const ours = model.parameters().filter(({ name }) => isAdapter(name) || isSmallHead(name));
      expect(new Map(ours.map(({ name, shape }) => [`base_model.model.${name}`, shape])), each.name).toEqual(
        new Map([...stored].map(([name, { shape }]) => [name, shape])),
      );
      expect(ours.filter(({ name }) => isAdapter(name)).length).toBe(2 * (each.lora?.adapted.length ?? 0));
      model.dispose();
    }
  });

  it("learn while the base keeps its bits", async () => {
    for (const each of cases) {
      const model = await openCase(each);
      const before = await readAll(model);
      const losses: number[] = [];
      for (let step = 1; step <= 12; step += 1) {
        const { loss, applied } = await model.trainBatch({ batch: each.batch, step, lr: 2e-2 });
        expect(applied).toBe(true);
        losses.push(loss);
      }
      expect(losses.at(-1), each.name).toBeLessThan((losses[0] ?? 0) * 0.95);
      for (const [name, values] of await readAll(model)) {
        if (isAdapter(name) || isSmallHead(name)) {
          expect(values, name).not.toEqual(before.get(name));
        } else {
          expect(values, name).toEqual(before.get(name));
        }
      }
      model.dispose();
    }
  });

  it("change nothing before they are trained", async () => {
    for (const each of cases) {
      const weights = path.join(each.folder, "weights.safetensors");
      const base = loadAddon().createModel(each.config, { threads: 2 });
      const adapted = loadAddon().createModel(each.config, { threads: 2, lora: each.lora });
      await adapted.initialize(3);
      await base.loadWeights(weights);
      await adapted.loadWeights(weights);
      for (const { name } of adapted.parameters().filter((tensor) => isAdapter(tensor.name))) {
        const isSomething = (await adapted.readTensor(name)).some((value) => value !== 0);
        expect(isSomething, name).toBe(name.endsWith("lora_A.weight"));
      }
      expect(await adapted.predict(each.batch), each.name).toEqual(await base.predict(each.batch));
      base.dispose();
      adapted.dispose();
    }
  });

  it("merge into weights that give the same logits, as PyTorch's do", async () => {
    await using folder = await temporaryFolder();
    for (const each of cases) {
      const model = await openCase(each);
      const before = unpaddedLogits(each.batch, await model.predict(each.batch));
      await model.mergeAdapter();
      const after = unpaddedLogits(each.batch, await model.predict(each.batch));
      const largest = Math.max(...before.map(Math.abs));
      expect(Math.max(...after.map((value, index) => Math.abs(value - (before[index] ?? Number.NaN))))).toBeLessThan(
        1e-5 * Math.max(1, largest),
      );
      const file = path.join(folder.path, `${each.name}.safetensors`);
      await model.saveWeights(file);
      const merged = await readTensors(path.join(each.folder, "merged.safetensors"));
      const ours = await readTensors(file);
      expect([...ours.keys()].toSorted()).toEqual([...merged.keys()].toSorted());
      const agreement = new Agreement("fp32");
      for (const [name, { values }] of merged) {
        agreement.tensor(name, ours.get(name)?.values ?? new Float32Array(), values);
      }
      expect(agreement.failures, each.name).toEqual([]);
      // A plain model of the saved file says the same.
      const plain = loadAddon().createModel(each.config, { threads: 2 });
      await plain.loadWeights(file);
      const alone = new Agreement("fp32");
      alone.tensor("logits", unpaddedLogits(each.batch, await plain.predict(each.batch)), after);
      expect(alone.failures, each.name).toEqual([]);
      plain.dispose();
      model.dispose();
    }
  });

  it("are saved as PEFT names them, and loaded again", async () => {
    await using folder = await temporaryFolder();
    for (const each of cases) {
      const model = await openCase(each);
      await model.trainBatch({ batch: each.batch, step: 1, lr: 1e-2 });
      const file = path.join(folder.path, `${each.name}.safetensors`);
      await model.saveAdapter(file);
      const saved = await readTensors(file);
      const stored = await readTensors(path.join(each.folder, "adapter.safetensors"));
      expect(new Map([...saved].map(([name, { shape }]) => [name, shape]))).toEqual(
        new Map([...stored].map(([name, { shape }]) => [name, shape])),
      );
      const again = loadAddon().createModel(each.config, { threads: 2, lora: each.lora });
      await again.loadWeights(path.join(each.folder, "weights.safetensors"));
      await again.loadAdapter(file);
      expect(await again.predict(each.batch), each.name).toEqual(await model.predict(each.batch));
      again.dispose();
      model.dispose();
    }
  });

  it("refuse a file of another rank, naming the tensor", async () => {
    const [each] = cases;
    if (each?.lora == null) {
      throw new Error("There is no case with adapters.");
    }
    const model = loadAddon().createModel(each.config, { threads: 1, lora: { ...each.lora, rank: 1 } });
    await expect(model.loadAdapter(path.join(each.folder, "adapter.safetensors"))).rejects.toMatchObject({
      code: "CHECKPOINT_MISMATCH",
      message: expect.stringMatching(/lora_[AB]\.weight/),
    });
    model.dispose();
  });

  it("need far less memory than training all", async () => {
    const [each] = cases;
    if (each === undefined) {
      throw new Error("There is no case with adapters.");
    }
    const addon = loadAddon();
    const training = familyTraining(each);
    const whole = addon.planTraining(each.config, { threads: 1 }, training);
    const adapted = addon.planTraining(each.config, { threads: 1, lora: each.lora }, training);
    expect(adapted.parameterCount).toBe(whole.parameterCount);
    expect(adapted.adapterParameterCount).toBeGreaterThan(0);
    expect(adapted.optimizerBytes).toBeLessThan(whole.optimizerBytes / 2);
    expect(adapted.gradientBytes).toBeLessThan(whole.gradientBytes / 2);
  });
});
