// `assay generate`: what it prints, when it ends, and from what it generates.
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { generateText, generateWhole } from "#core/models/generate";
import { loadGenerator } from "#core/models/load";
import { assay } from "../support/command-line.ts";
import { writeSmallModel } from "../support/small-model.ts";
import { temporaryFolder } from "../support/workspace.ts";

const greedy = { maxNewTokens: 12, temperature: 0, topK: 0, topP: 1, seed: 1, stopAtEndOfText: false };

type Told = {
  readonly prompt: string;
  readonly text: string;
  readonly newTokens: number;
  readonly stopReason: string;
  readonly tokens?: readonly {
    readonly id: number;
    readonly text: string;
    readonly logprob: number;
    readonly alternatives?: readonly { readonly id: number; readonly logprob: number }[];
  }[];
};

async function generate(...words: readonly string[]): Promise<Told> {
  const result = await assay(["generate", "--json", "--temperature", "0", "--max-new-tokens", "12", ...words]);
  expect(result.stderr).toBe("");
  return JSON.parse(result.stdout) as Told;
}

describe("assay generate", () => {
  it("continues several prompts, each as it would be alone", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const prompts = ["patients", "stroke and", ""];
    const together = await assay([
      "generate",
      "--json",
      "--temperature",
      "0",
      "--max-new-tokens",
      "12",
      "--model",
      model,
      ...prompts.flatMap((prompt) => ["--prompt", prompt]),
    ]);
    const { results } = JSON.parse(together.stdout) as { readonly results: readonly Told[] };
    expect(results.map(({ prompt }) => prompt)).toEqual(prompts);
    for (const [index, prompt] of prompts.entries()) {
      expect((await generate("--model", model, "--prompt", prompt)).text).toBe(results[index]?.text);
    }
  });

  it("tells the log-probability of every token, and the tokens are the text", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const told = await generate("--model", model, "--prompt", "patients", "--logprobs");
    expect(told.tokens).toHaveLength(told.newTokens);
    expect(told.tokens?.every(({ logprob }) => logprob < 0 && logprob > -20)).toBe(true);
    expect(await generate("--model", model, "--prompt", "patients")).not.toHaveProperty("tokens");
  });

  it("names what else might have stood in each place, the likeliest first", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const told = await generate("--model", model, "--prompt", "patients", "--top-logprobs", "3");
    for (const { id, logprob, alternatives } of told.tokens ?? []) {
      expect(alternatives).toHaveLength(3);
      expect(alternatives?.[0]).toMatchObject({ id, logprob });
      const logprobs = alternatives?.map((each) => each.logprob) ?? [];
      expect(logprobs).toEqual(logprobs.toSorted((a, b) => b - a));
    }
  });

  it("says less again of what was said under a repetition penalty", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const distinct = (told: Told): number => new Set(told.tokens?.map(({ id }) => id)).size;
    const words = ["--model", model, "--prompt", "patients", "--logprobs"];
    const free = await generate(...words);
    const penal = await generate(...words, "--repetition-penalty", "100");
    expect(distinct(free)).toBeLessThan(12);
    expect(distinct(penal)).toBe(12);
  });

  it("scores a text that is given, token by token", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    const { tokenizer } = await writeSmallModel(model);
    const told = await generate("--model", model, "--prompt", "", "--logprobs");
    const result = await assay(["generate", "--json", "--model", model, "--score", told.text]);
    const score = JSON.parse(result.stdout) as {
      readonly tokens: readonly { readonly id: number; readonly logprob: number; readonly rank: number }[];
      readonly nats: number;
    };
    const ids = [...tokenizer.encode(told.text).ids];
    expect(score.tokens.map(({ id }) => id)).toEqual(ids);
    // The first token follows the end of a text in both.
    expect(score.tokens[0]?.rank).toBe(ids[0] === told.tokens?.[0]?.id ? 1 : expect.any(Number));
    expect(score.tokens.every(({ rank, logprob }) => rank >= 1 && logprob < 0)).toBe(true);
    expect(score.nats).toBeCloseTo(-score.tokens.reduce((sum, { logprob }) => sum + logprob, 0), 4);
    expect(await assay(["generate", "--model", model, "--score", "a", "--prompt", "b"])).toMatchObject({ code: 2 });
  });

  it("ends before a stop text, and says that it stopped", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const whole = await generate("--model", model, "--prompt", "patients");
    const stop = whole.text.slice(4, 7);
    const cut = await generate("--model", model, "--prompt", "patients", "--stop", "never said", "--stop", stop);
    expect(cut.text).toBe(whole.text.slice(0, whole.text.indexOf(stop)));
    expect(cut.stopReason).toBe("stop");
    expect(cut.newTokens).toBeLessThan(whole.newTokens);
  });

  it("says nearly the same with narrower weights", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    const whole = await generate("--model", model, "--prompt", "patients", "--logprobs");
    for (const weights of ["bf16", "int8"]) {
      const narrow = await generate("--model", model, "--prompt", "patients", "--logprobs", "--weights", weights);
      expect(narrow.tokens?.[0]?.id, weights).toBe(whole.tokens?.[0]?.id);
      const gap = Math.abs((narrow.tokens?.[0]?.logprob ?? 0) - (whole.tokens?.[0]?.logprob ?? 0));
      expect(gap, weights).toBeGreaterThan(0);
      expect(gap, weights).toBeLessThan(0.1);
    }
  });

  it("refuses a model without a tokenizer, and one that continues no text", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    await rm(path.join(model, "tokenizer.json"));
    expect(await assay(["generate", "--model", model])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("no tokenizer"),
    });
    const bert = path.join(folder.path, "bert");
    await writeSmallModel(bert, { family: "bert", head: "masked-lm", typeVocabSize: 2, activation: "gelu" });
    expect(await assay(["generate", "--model", bert])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("masked-lm head, which continues no text"),
    });
    expect(await assay(["generate", "--model", model, "--weights", "fp8"])).toMatchObject({ code: 2 });
  });

  it("warns of a tokenizer that promises more than the model has", async () => {
    await using folder = await temporaryFolder();
    const model = path.join(folder.path, "model");
    await writeSmallModel(model);
    await writeFile(path.join(model, "tokenizer_config.json"), '{"model_max_length":4096}');
    const { stderr } = await assay(["generate", "--model", model, "--prompt", "x", "--json"]);
    expect(stderr).toContain("warning: The tokenizer allows 4 096 tokens");
  });
});

describe("text from a model", () => {
  it("is the same piece by piece and whole, with and without stop texts", async () => {
    await using folder = await temporaryFolder();
    await writeSmallModel(path.join(folder.path, "model"));
    const loaded = await loadGenerator(path.join(folder.path, "model"), { workspace: folder.path, threads: 1 });
    const request = { ...greedy, prompt: "patients", maxNewTokens: 40 };
    let pieces = "";
    const add = (text: string): void => {
      pieces += text;
    };
    const report = await generateText(loaded, request, ({ text }) => add(text), { onRest: add });
    const whole = await generateWhole(loaded, request);
    expect(pieces).toBe(whole);
    expect(report).toMatchObject({ newTokens: 40, stopReason: "length" });
    expect(await generateWhole(loaded, { ...request, stop: ["\u0000never"] })).toBe(whole);
    loaded.model.dispose();
  });
});
