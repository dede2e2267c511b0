import { describe, expect, it } from "vitest";
import { type CountModel, scoreDocuments, trainTrigram, trainUnigram } from "./ngram.ts";

const vocabSize = 12;
const endOfText = 11;
const documents = [
  [0, 1, 2, 3, 0, 1, 2, 4],
  [0, 1, 2, 3, 5, 6, 5, 6],
  [7, 0, 1, 8],
];

function totalProbability(model: CountModel, context: readonly [number, number]): number {
  let total = 0;
  for (let token = 0; token < vocabSize; token += 1) {
    total += Math.exp(model.logProbability(token, context));
  }
  return total;
}

describe("count models", () => {
  it("give probabilities that sum to one after seen, half-seen and unseen contexts", () => {
    for (const model of [
      trainUnigram(documents, vocabSize, endOfText),
      trainTrigram(documents, vocabSize, endOfText),
    ]) {
      for (const context of [
        [0, 1],
        [9, 1],
        [9, 10],
        [endOfText, endOfText],
        [4, endOfText],
      ] as const) {
        expect(totalProbability(model, context)).toBeCloseTo(1, 12);
      }
    }
  });

  it("gives an unseen token some probability and a seen continuation more", () => {
    const model = trainTrigram(documents, vocabSize, endOfText);
    expect(model.logProbability(9, [0, 1])).toBeGreaterThan(-20);
    expect(model.logProbability(2, [0, 1])).toBeGreaterThan(model.logProbability(8, [0, 1]));
  });

  it("prefers, at the unigram level, words seen in many contexts to words seen often in one", () => {
    // Token 2 always follows 1; token 0 stands after several different tokens though it is seen as often.
    const model = trainTrigram([[1, 2, 3, 1, 2, 4, 1, 2, 5, 0, 6, 0, 7, 0]], vocabSize, endOfText);
    expect(model.logProbability(0, [9, 10])).toBeGreaterThan(model.logProbability(2, [9, 10]));
  });

  it("computes the unigram by hand", () => {
    const model = trainUnigram([[0, 0, 1]], 4, 3);
    expect(Math.exp(model.logProbability(0, [0, 0]))).toBeCloseTo(3 / 8, 12);
    const score = scoreDocuments(model, [[0, 1]], 3);
    expect(score.tokenCount).toBe(2);
    expect(score.nats).toBeCloseTo(-Math.log(3 / 8) - Math.log(2 / 8), 12);
  });

  it("scores each document alone with end-of-text as its context", () => {
    const model = trainTrigram(documents, vocabSize, endOfText);
    const apart = scoreDocuments(model, [[0, 1]], endOfText).nats + scoreDocuments(model, [[7, 0]], endOfText).nats;
    expect(
      scoreDocuments(
        model,
        [
          [0, 1],
          [7, 0],
        ],
        endOfText,
      ).nats,
    ).toBeCloseTo(apart, 12);
  });
});
