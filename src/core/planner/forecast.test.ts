import { describe, expect, it } from "vitest";
import { isShaped } from "#shared/domain/recipe";
import { knownShapeName } from "../models/known-shapes.ts";
import { modelConfigOf } from "../recipe/engine-options.ts";
import { loadRecipe } from "../recipe/load.ts";
import { type ForecastFacts, forecast } from "./forecast.ts";
import { ratesOf } from "./measured-rate.ts";
import { modelParameterCount, trainingFlopsPerToken } from "./model-size.ts";

function aRecipe(overrides: readonly string[] = []) {
  const text = `max_seq_len: 1024
model: {name: gpt2, n_layers: 12, n_heads: 12, d_model: 768}
tokenizer: {path: gpt2}
data: {train: x.txt}
optimizer: {lr: 6.0e-4}
max_duration: 100ba
global_train_batch_size: 8
save_num_checkpoints_to_keep: 2
device_train_microbatch_size: 4
`;
  const { recipe, problems } = loadRecipe({ text, overrides });
  if (recipe === null || !isShaped(recipe)) {
    throw new Error(problems[0]?.message);
  }
  return recipe;
}

const facts: ForecastFacts = {
  machine: { cpuModel: "test", physicalCores: 2, isa: ["avx2", "fma"], gemm: "onednn", clockGhz: 3, memoryBytes: 16e9 },
  vocabSize: 50_257,
  trainTokens: { value: 1_024_001, how: "counted." },
  measured: null,
};

const shape = (overrides: readonly string[] = [], vocabSize = 50_257) =>
  modelConfigOf(aRecipe(["objective.name=mlm+sop", ...overrides]), vocabSize);

describe("modelParameterCount", () => {
  it.each([
    ["GPT-2", ["objective.name=clm"], 50_257, 124_439_808],
    [
      "GPT-2 XL",
      ["objective.name=clm", "model.n_layers=48", "model.n_heads=25", "model.d_model=1600"],
      50_257,
      1_557_611_200,
    ],
    [
      "BioMedLM",
      ["objective.name=clm", "model.n_layers=32", "model.n_heads=20", "model.d_model=2560"],
      28_896,
      2_594_247_680,
    ],
    // BertForPreTraining of bert-base-uncased and bert-large-uncased, 512 positions.
    ["BERT-base", ["model.name=bert", "max_seq_len=512"], 30_522, 110_106_428],
    [
      "BERT-large",
      ["model.name=bert", "max_seq_len=512", "model.n_layers=24", "model.n_heads=16", "model.d_model=1024"],
      30_522,
      336_226_108,
    ],
  ])("is %s's own", (_, overrides, vocabSize, expected) => {
    expect(modelParameterCount(shape(overrides, vocabSize))).toBe(expected);
  });

  it("moves layer norms in Megatron's order without adding any", () => {
    const bert = modelParameterCount(shape(["model.name=bert"]));
    expect(modelParameterCount(shape(["model.name=megatron_bert"]))).toBe(bert);
  });
});

describe("knownShapeName", () => {
  it("says what the papers call a shape", () => {
    const biomedlm = ["objective.name=clm", "model.n_layers=32", "model.n_heads=20", "model.d_model=2560"];
    expect(knownShapeName(shape(biomedlm, 28_896))).toBe("BioMedLM 2.7B");
    expect(knownShapeName(shape(biomedlm, 28_895))).toBeNull();
    const megatron = ["model.name=megatron_bert", "model.n_layers=24", "model.n_heads=16", "model.d_model=2048"];
    expect(knownShapeName(shape(megatron, 30_522))).toBe("BioMegatron 1.2B");
  });
});

describe("trainingFlopsPerToken", () => {
  it("is 6(N − position embeddings) + 12·L·d·T", () => {
    const expected = 6 * (124_439_808 - 1024 * 768) + 12 * 12 * 768 * 1024;
    expect(trainingFlopsPerToken(shape(["objective.name=clm"]), 1024)).toBe(expected);
  });
});

describe("forecast", () => {
  it("multiplies steps, windows and context", () => {
    const figures = forecast(aRecipe(), facts);
    expect(figures.steps.value).toBe(100);
    expect(figures.tokensTotal.value).toBe(100 * 8 * 1024);
    expect(figures.diskBytes.value).toBeGreaterThan(3 * 12 * 124_439_808);
    expect(figures.memoryBytes.value).toBeGreaterThan(16 * 124_439_808);
  });

  it("ends tokens and epochs at the first step that reaches them", () => {
    expect(forecast(aRecipe(["max_duration=8193tok"]), facts).steps.value).toBe(2);
    // 1 000 windows of 1 024 in 1 024 001 tokens, 8 a step.
    expect(forecast(aRecipe(["max_duration=1ep"]), facts).steps.value).toBe(125);
    expect(forecast(aRecipe(["max_duration=0.5ep"]), facts).steps.value).toBe(63);
  });

  it("takes the time of a run that is bounded by the clock as given", () => {
    const figures = forecast(aRecipe(["max_duration=600sec"]), facts);
    expect(figures.seconds.value).toBe(600);
    expect(figures.tokensTotal.value / 600).toBeCloseTo(figures.tokensPerSecond.value, -2);
  });

  it("goes by a measured run of the same shape, and scales one of another", () => {
    const measured = { tokensPerSecond: 200, flopsPerToken: 1e9, runName: "first" };
    const same = forecast(aRecipe(), { ...facts, measured: { ...measured, isSameShape: true } });
    expect(same).toMatchObject({ basis: "measured", tokensPerSecond: { value: 200 } });
    expect(same.seconds.value).toBeCloseTo((100 * 8 * 1024) / 200);
    const other = forecast(aRecipe(), { ...facts, measured: { ...measured, isSameShape: false } });
    expect(other.basis).toBe("estimated");
    expect(other.tokensPerSecond.value).toBeCloseTo(2e11 / other.flopsPerToken.value);
  });

  it("adds the evaluations where the held-out text is known", () => {
    const measured = { tokensPerSecond: 300, flopsPerToken: 1e9, runName: "first", isSameShape: true };
    const without = forecast(aRecipe(), { ...facts, measured });
    const figures = forecast(aRecipe(), { ...facts, measured, evalTokens: 9000 });
    // At step 0, 50 and 100, each a third of a training pass.
    expect(figures.seconds.value - without.seconds.value).toBeCloseTo((3 * 9000) / 900);
  });

  it("opens every figure in a sentence with numbers", () => {
    for (const [name, figure] of Object.entries(forecast(aRecipe(), facts))) {
      if (typeof figure === "object" && figure !== null) {
        expect(figure.how, name).toMatch(/\d.*\.$/s);
      }
    }
    expect(forecast(aRecipe(), facts).tokensPerSecond.how).toContain(
      "2 cores × 32 operations a cycle × 3.0 GHz = 192 GFLOP/s",
    );
  });
});

describe("ratesOf", () => {
  it("skips torn lines and lines without a rate", () => {
    const tail =
      'ughput/tokens_per_second": 9}\n{"step": 1, "throughput/tokens_per_second": 100}\n{"step": 2}\n{"step": 3, "thr';
    expect(ratesOf(tail)).toEqual([100]);
  });
});
