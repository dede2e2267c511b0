import { describe, expect, it } from "vitest";
import type { NativeModel, NativeTokenData } from "../engine/addon.ts";
import type { LoadedModel } from "../models/load.ts";
import { evaluateLanguageModel, evaluateTexts, evaluationOf } from "./language-model.ts";

/** Two nats a token, ten tokens a document; remembers what it was asked. */
function engine(): { model: NativeModel; asked: (readonly [number, number])[] } {
  const asked: (readonly [number, number])[] = [];
  const evaluate: NativeModel["evaluate"] = ({ fromDocument = 0, toDocument = 0 }) => {
    asked.push([fromDocument, toDocument]);
    return Promise.resolve({
      nats: 20 * (toDocument - fromDocument),
      tokenCount: 10 * (toDocument - fromDocument),
      sentenceNats: 0,
      sentenceCount: 0,
    });
  };
  // as: the evaluation calls nothing else of the engine.
  return { model: { evaluate } as NativeModel, asked };
}

// as: only the count is read.
const data = (documentCount: number) => ({ documentCount }) as NativeTokenData;

describe("evaluationOf", () => {
  it("gives nats a token, their exponential, and bits over the bytes of the text", () => {
    const result = evaluationOf({ nats: 200, tokens: 100, bytes: 400, documents: 3 });
    expect(result.loss).toBe(2);
    expect(result.perplexity).toBeCloseTo(Math.E ** 2, 12);
    expect(result.bitsPerByte).toBeCloseTo(200 / Math.LN2 / 400, 12);
  });
});

describe("evaluateLanguageModel", () => {
  it("asks for the same groups of documents every time and tells how far it is", async () => {
    const { model, asked } = engine();
    const told: number[] = [];
    const result = await evaluateLanguageModel({
      model,
      data: data(70),
      textBytes: 1000,
      seqLen: 8,
      endOfTextId: 0,
      onProgress: (documents) => told.push(documents),
    });
    expect(asked).toEqual([
      [0, 32],
      [32, 64],
      [64, 70],
    ]);
    expect(told).toEqual([32, 64, 70]);
    expect(result).toMatchObject({ loss: 2, tokens: 700, documents: 70, bytes: 1000 });
  });

  it("ends between groups when it is cancelled", async () => {
    const { model, asked } = engine();
    const cancel = new AbortController();
    const evaluation = evaluateLanguageModel({
      model,
      data: data(70),
      textBytes: 1000,
      seqLen: 8,
      endOfTextId: 0,
      signal: cancel.signal,
      onProgress: () => cancel.abort(),
    });
    await expect(evaluation).rejects.toMatchObject({ code: "CANCELLED" });
    expect(asked).toHaveLength(1);
  });

  it("refuses to evaluate on nothing", async () => {
    const { model } = engine();
    const evaluation = evaluateLanguageModel({ model, data: data(0), textBytes: 0, seqLen: 8, endOfTextId: 0 });
    await expect(evaluation).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
  });
});

describe("evaluateTexts", () => {
  it("refuses a masked model, which has no perplexity of running text", async () => {
    const masked = { config: { family: "bert", head: "masked-lm" }, tokenizer: { endOfTextId: 0, vocabSize: 1 } };
    await expect(evaluateTexts(masked as unknown as LoadedModel, { inputs: [] })).rejects.toMatchObject({
      code: "NOT_SUPPORTED",
      message: expect.stringContaining("bert model with a masked-lm head"),
    });
  });
});
