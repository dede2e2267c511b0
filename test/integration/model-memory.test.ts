import { describe, expect, it } from "vitest";
import { modelMemory } from "#core/planner/model-memory";
import { bioMedLm } from "../support/foreign-models.ts";

const options = { microbatch: 4, context: 1024, loraRank: 16 };
const columns = modelMemory(bioMedLm, options);
const column = (precision: string) => {
  const found = columns.find((each) => each.precision === precision);
  if (found === undefined) {
    throw new Error(`No column ${precision}.`);
  }
  return found;
};

describe("modelMemory of BioMedLM", () => {
  it("counts its weights exactly in every form", () => {
    expect(column("fp32").run.weights.value).toBe(4 * 2_594_247_680);
    expect(column("bf16").run.weights.value).toBeLessThan(0.51 * column("fp32").run.weights.value);
    expect(column("int8").run.weights.value).toBeLessThan(0.26 * column("fp32").run.weights.value);
  });

  it("trains rank × (inputs + outputs) of each adapted layer and nothing else under LoRA", () => {
    const { train } = column("lora-bf16");
    // c_attn of 32 layers: 2 560 in, 7 680 out.
    expect(train?.trainableParameters.value).toBe(32 * 16 * (2560 + 7680));
    expect(train?.gradients.value).toBe(4 * 32 * 16 * (2560 + 7680));
    expect(train?.total.value).toBeLessThan(0.5 * (column("fp32").train?.total.value ?? 0));
  });

  it("does not train weights of eight bits", () => {
    expect(column("int8").train).toBeNull();
  });

  it("adds up: each total is the sum of its parts", () => {
    for (const { train, run } of columns) {
      const { total, ...parts } = run;
      expect(total.value).toBe(Object.values(parts).reduce((sum, { value }) => sum + value, 0));
      if (train !== null) {
        const { total: whole, trainableParameters: _counted, ...trainParts } = train;
        expect(whole.value).toBe(Object.values(trainParts).reduce((sum, { value }) => sum + value, 0));
      }
    }
  });

  it("needs less for shorter windows", () => {
    const short = modelMemory(bioMedLm, { ...options, context: 128 });
    expect(short[0]?.train?.activations.value).toBeLessThan(0.2 * (columns[0]?.train?.activations.value ?? 0));
    expect(short[0]?.run.cache.value).toBe((columns[0]?.run.cache.value ?? 0) / 8);
  });
});
