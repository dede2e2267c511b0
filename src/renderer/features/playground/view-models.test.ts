import { describe, expect, it } from "vitest";
import { choiceLabel, modelChoices, resolveChoice } from "./model-choices.ts";
import { defaultSampling, draftOf, parseSampling } from "./sampling-form.ts";
import { appendTokens, continuationText, emptyContinuation, meanBits } from "./stream-text.ts";
import { formatChance, surpriseBits, surpriseLevel } from "./surprise.ts";

describe("surprise", () => {
  it("runs from certain to the ceiling and stays there", () => {
    expect([0, -Math.LN2, -5 * Math.LN2, -50].map((logprob) => surpriseLevel(surpriseBits(logprob)))).toEqual([
      0, 0.1, 0.5, 1,
    ]);
    expect(surpriseLevel(surpriseBits(Number.NEGATIVE_INFINITY))).toBe(1);
  });

  it("is said as a share when likely and as odds when not", () => {
    expect([formatChance(0), formatChance(0.5), formatChance(1), formatChance(7)]).toEqual([
      "100.0 %",
      "71 %",
      "one in 2",
      "one in 128",
    ]);
  });
});

describe("appendTokens", () => {
  const token = (index: number, text: string, logprob = -Math.LN2) => ({
    index,
    text,
    id: 100 + index,
    logprob,
    sample: 0,
    alternatives: [{ id: 1, text: " the", logprob: -0.5 }],
  });

  it("puts texts together in order and adds surprise up", () => {
    const first = appendTokens(emptyContinuation, [token(0, " What"), token(1, " are")]);
    const both = appendTokens(first, [token(2, "?")]);
    expect(continuationText(both)).toBe(" What are?");
    expect(both.words.map((word) => word.index)).toEqual([0, 1, 2]);
    expect(meanBits(both)).toBeCloseTo(1, 12);
    expect(both.words[0]?.alternatives.map(({ text }) => text)).toEqual([" the"]);
    expect(continuationText(first)).toBe(" What are");
  });

  it("gives a character split over tokens the surprise of all of them", () => {
    const held = appendTokens(emptyContinuation, [token(0, " x"), token(1, ""), token(2, "")]);
    expect(continuationText(held)).toBe(" x");
    expect(held.tokenCount).toBe(3);
    const whole = appendTokens(held, [token(3, "😀")]);
    expect(whole.words[1]).toEqual({ alternatives: [], text: "😀", ids: [101, 102, 103], bits: 3, index: 1 });
    expect(whole.held).toBeNull();
  });
});

describe("modelChoices", () => {
  const model = (run: string | null, step: number | null) => ({
    source: `/${run}/${step}`,
    run,
    name: run ?? "folder",
    step,
  });
  const models = [
    model("20260101-a", 1000),
    model("20260101-a", 500),
    model("20260301-b", 9),
    model(null, null),
    model("20260301-b", 10),
  ];

  it("sorts steps as numbers, the newest run first, models of no run last", () => {
    const choices = modelChoices(models);
    expect(choices.map((choice) => choice.key)).toEqual(["20260301-b", "20260101-a", "/null/null"]);
    expect(choices[0]?.checkpoints.map((checkpoint) => checkpoint.step)).toEqual([9, 10]);
  });

  it("tells runs of one name apart by their time", () => {
    const [first, second] = modelChoices([
      { source: "/a/1", run: "20260301-101500-tiny-ab12", name: "tiny", step: 1 },
      { source: "/b/1", run: "20260302-101500-tiny-cd34", name: "tiny", step: 1 },
    ]);
    expect(first && second && [choiceLabel(first, [first]), choiceLabel(first, [first, second])]).toEqual([
      "tiny",
      "tiny, 2026-03-02 10:15:00",
    ]);
  });

  it("falls back to the newest checkpoint of the same run when the chosen one was rotated away", () => {
    const choices = modelChoices(models);
    expect(resolveChoice(choices, { source: "/20260101-a/250", key: "20260101-a" })?.checkpoint.step).toBe(1000);
    expect(resolveChoice(choices, { source: null, key: null })?.checkpoint.step).toBe(10);
    expect(resolveChoice([], { source: null, key: null })).toBeNull();
  });
});

describe("parseSampling", () => {
  it("takes a penalty, a number of samples and the kind of weights", () => {
    const draft = { ...draftOf(defaultSampling), repetitionPenalty: "1.2", samples: "4", weights: "int8" as const };
    expect(parseSampling(draft)).toEqual({
      sampling: { ...defaultSampling, repetitionPenalty: 1.2, samples: 4, weights: "int8" },
    });
    expect(parseSampling({ ...draft, samples: "9" })).toEqual({ problem: "samples is from 1 to 8." });
    expect(parseSampling({ ...draft, repetitionPenalty: "0.5" })).toEqual({
      problem: "repetition penalty is from 1 to 10.",
    });
  });

  it("reads back what it wrote and takes a decimal comma", () => {
    expect(parseSampling(draftOf(defaultSampling))).toEqual({ sampling: defaultSampling });
    expect(parseSampling({ ...draftOf(defaultSampling), temperature: "0,7" })).toEqual({
      sampling: { ...defaultSampling, temperature: 0.7 },
    });
  });

  it("says what is wrong in a sentence", () => {
    const draft = draftOf(defaultSampling);
    expect(parseSampling({ ...draft, topP: "1.5" })).toEqual({ problem: "top-p is from 0 to 1." });
    expect(parseSampling({ ...draft, topK: "2.5" })).toEqual({ problem: "top-k is a whole number." });
    expect(parseSampling({ ...draft, seed: "" })).toEqual({ problem: "seed is a number." });
    expect(parseSampling({ ...draft, seed: "-1" })).toEqual({ problem: "seed is at least 0." });
  });
});
