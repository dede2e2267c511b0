// Several texts side by side, stop texts, alternatives, the repetition penalty, scoring and narrower weights, through the
// addon.
import { beforeAll, describe, expect, it } from "vitest";
import {
  loadAddon,
  type NativeGeneratedToken,
  type NativeGenerationRequest,
  type NativeModel,
  type NativeTokenizer,
  type NativeWeightType,
} from "#core/engine/addon";
import { generateText, generateTexts, generateWhole } from "#core/models/generate";
import { scoreText } from "#core/models/score";
import { tinyConfig } from "../support/engine.ts";

const addon = loadAddon();
const vocabulary = 257;
const endOfTextId = 256;

/** Every byte a token, so that any text can be cut anywhere. */
function byteTokenizer(): NativeTokenizer {
  const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
  return addon.tokenizerFromRanks(bytes, { "<|endoftext|>": endOfTextId });
}

/** Larger weights than a fresh model's, so that it takes sides. */
async function decidedModel(weights: NativeWeightType = "fp32"): Promise<NativeModel> {
  const model = addon.createModel(tinyConfig({ vocabSize: vocabulary }), { threads: 2, weights });
  await model.initialize(3);
  for (const { name, shape } of model.parameters()) {
    const factor = shape.length === 1 ? 1 : name.endsWith("wte.weight") ? 8 : name.endsWith("wpe.weight") ? 60 : 30;
    const values = await model.readTensor(name);
    await model.writeTensor(
      name,
      values.map((value) => value * factor),
    );
  }
  return model;
}

const tokenizer = byteTokenizer();

function request(changes: Partial<NativeGenerationRequest> = {}): NativeGenerationRequest {
  return {
    prompt: new Uint32Array([5, 11, 2]),
    maxNewTokens: 20,
    temperature: 0,
    topK: 0,
    topP: 1,
    seed: 1,
    stopIds: new Uint32Array(),
    ...changes,
  };
}

function manyRequests(): readonly NativeGenerationRequest[] {
  return Array.from({ length: 20 }, (_, index) =>
    request({
      prompt: Uint32Array.from({ length: 1 + ((index * 7) % 40) }, (_each, at) => (at * at + index * 3) % 256),
      maxNewTokens: 1 + ((index * 11) % 50),
      ...(index % 2 === 0 ? {} : { temperature: 1, topK: 50, topP: 0.95, seed: index, repetitionPenalty: 1.1 }),
    }),
  );
}

let model: NativeModel;
beforeAll(async () => {
  model = await decidedModel();
  return () => model.dispose();
});

describe("generateBatch", () => {
  it("gives each request the text it has alone, and streams it", async () => {
    const requests = manyRequests();
    const heard = requests.map((): NativeGeneratedToken[] => []);
    const together = await model.generateBatch(requests, (token, index) => heard[index]?.push(token)).done;
    expect(together.length).toBe(requests.length);
    for (const [index, each] of requests.entries()) {
      const alone = await model.generate(each, () => {}).done;
      expect([...(together[index]?.ids ?? [])]).toEqual([...alone.ids]);
      expect(heard[index]?.map(({ id }) => id)).toEqual([...alone.ids]);
      expect(heard[index]?.map((token) => token.index)).toEqual(Array.from(alone.ids, (_id, at) => at));
      expect(together[index]?.windowSlides).toBe(alone.windowSlides);
    }
  });

  it("works without a listener, without requests, and ends soon after cancel", async () => {
    const quiet = await model.generateBatch(manyRequests().slice(0, 3)).done;
    expect(quiet.map(({ ids }) => ids.length)).toEqual([1, 12, 23]);
    expect(await model.generateBatch([]).done).toEqual([]);
    const endless = model.generateBatch(
      Array.from({ length: 30 }, () => request({ maxNewTokens: 1e9 })),
      (token) => {
        if (token.index === 3) {
          endless.cancel();
        }
      },
    );
    const results = await endless.done;
    expect(results.every(({ stopReason }) => stopReason === "cancelled")).toBe(true);
    expect(results.at(-1)?.ids.length).toBe(0);
  });

  it("rejects with what the listener threw, and names what is wrong with a request", async () => {
    const generation = model.generateBatch([request(), request({ maxNewTokens: 1e9 })], () => {
      throw new RangeError("the listener is gone");
    });
    await expect(generation.done).rejects.toThrow(new RangeError("the listener is gone"));
    const bad = (text: string) =>
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(text) });
    const start = (changes: object) => () => model.generateBatch([request(), { ...request(), ...changes }]);
    expect(start({ repetitionPenalty: 0 })).toThrow(bad("repetitionPenalty"));
    expect(start({ topLogprobs: -1 })).toThrow(bad("topLogprobs"));
    expect(start({ stopTexts: "x" })).toThrow(bad("stopTexts must be an array of strings"));
    expect(start({ tokenizer: {} })).toThrow(bad("tokenizer"));
    // as: what a caller without types may pass.
    expect(() => model.generateBatch({} as never)).toThrow(bad("requests must be an array"));
    await expect(model.generateBatch([request({ prompt: new Uint32Array() })]).done).rejects.toEqual(
      bad("empty prompt"),
    );
    await expect(model.generateBatch([request({ stopTexts: ["x"] })]).done).rejects.toEqual(bad("tokenizer"));
    await expect(model.generateBatch([request({ stopTexts: [""], tokenizer })]).done).rejects.toEqual(bad("stop text"));
  });
});

describe("what comes with a token", () => {
  it("is its text, and its alternatives where they were asked for", async () => {
    const tokens: NativeGeneratedToken[] = [];
    const result = await model.generate(request({ tokenizer, topLogprobs: 4 }), (token) => tokens.push(token)).done;
    const bytes = tokenizer.decode(result.ids);
    expect(result.text).toBe(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes));
    expect(result.text?.startsWith(tokens.map(({ text }) => text ?? "").join(""))).toBe(true);
    for (const { id, logprob, alternatives } of tokens) {
      expect(alternatives?.length).toBe(4);
      expect(alternatives?.[0]).toEqual({ id, logprob }); // greedy: the likeliest is the one drawn
      const logprobs = alternatives?.map((each) => each.logprob) ?? [];
      expect(logprobs).toEqual(logprobs.toSorted((left, right) => right - left));
    }
    const plain = await model.generate(request(), (token) => expect(token).not.toHaveProperty("text")).done;
    expect(plain).not.toHaveProperty("text");
  });

  it("is text that ends before a stop text, wherever tokens are cut", async () => {
    const free = request({ tokenizer, temperature: 1, seed: 8, maxNewTokens: 60 });
    const whole = (await model.generate(free, () => {}).done).text ?? "";
    // Bytes that are no text are shown by a sign that stands for none of them: a stop text is found in bytes.
    const stop = /(?<=^.{8}.*)[ -~]{3}/su.exec(whole)?.[0] ?? "no such text";
    let heard = "";
    const stopped = await model.generate({ ...free, stopTexts: [stop] }, (token) => {
      heard += token.text ?? "";
    }).done;
    expect(stopped.stopReason).toBe("stop");
    expect(stopped.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(heard).toBe(stopped.text);
  });

  it("is less repetition with a penalty", async () => {
    const distinct = async (repetitionPenalty: number) =>
      new Set((await model.generate(request({ maxNewTokens: 28, repetitionPenalty }), () => {}).done).ids).size;
    expect(await distinct(50)).toBe(28);
    expect(await distinct(1)).toBeLessThan(28);
  });
});

describe("text", () => {
  const sampling = { maxNewTokens: 30, temperature: 1, topK: 0, topP: 1, stopAtEndOfText: true } as const;

  it("is the same streamed, whole and side by side", async () => {
    const requests = ["Background:", "", "β-blockers"].map((prompt, seed) => ({ ...sampling, prompt, seed }));
    const together = await generateTexts({ model, tokenizer }, requests);
    for (const [index, each] of requests.entries()) {
      let streamed = "";
      const report = await generateText({ model, tokenizer }, each, (piece) => (streamed += piece.text), {
        onRest: (rest) => (streamed += rest),
      });
      expect(streamed).toBe(await generateWhole({ model, tokenizer }, each));
      expect(together[index]).toMatchObject({ text: streamed, newTokens: report.newTokens, stopReason: "length" });
    }
  });

  it("ends at a stop text and when it is told to", async () => {
    const each = { ...sampling, prompt: "Methods", seed: 4 };
    const whole = await generateWhole({ model, tokenizer }, each);
    const stop = /(?<=^.{5}.*)[ -~]{2}/su.exec(whole)?.[0] ?? "no such text";
    expect(await generateWhole({ model, tokenizer }, { ...each, stop: ["", stop] })).toBe(
      whole.slice(0, whole.indexOf(stop)),
    );
    const endless = { ...each, maxNewTokens: 1e9, stopAtEndOfText: false };
    const [cancelled] = await generateTexts({ model, tokenizer }, [endless], { signal: AbortSignal.abort() });
    expect(cancelled?.stopReason).toBe("cancelled");
  });
});

describe("score", () => {
  it("agrees with the logits, and ranks", async () => {
    const tokens = Uint32Array.from({ length: 31 }, (_, at) => (at * 37) % 256);
    const scores = await model.score({ tokens, endOfTextId, topLogprobs: 2 });
    const logits = await model.logits(Int32Array.of(endOfTextId, ...tokens.subarray(0, -1)));
    expect(scores.firstScored).toBe(0);
    expect(scores.logprobs.length).toBe(31);
    for (const [at, token] of tokens.entries()) {
      const row = logits.subarray(at * vocabulary, (at + 1) * vocabulary);
      const highest = Math.max(...row);
      const sum = row.reduce((total, value) => total + Math.exp(value - highest), 0);
      expect(scores.logprobs[at]).toBeCloseTo((row[token] ?? 0) - highest - Math.log(sum), 3);
      expect(scores.ranks[at]).toBe(row.filter((value) => value > (row[token] ?? 0)).length + 1);
      expect(scores.alternativeLogprobs[2 * at]).toBeCloseTo(-Math.log(sum), 3);
    }
    expect(scores.nats).toBeCloseTo(-scores.logprobs.reduce((sum, value) => sum + value, 0), 6);
  });

  it("reads a text longer than the context in windows, and gives its perplexity", async () => {
    const text = "Aspirin lowered the risk of a second stroke in 1 200 patients (p < 0.05).".repeat(3);
    const score = await scoreText({ model, tokenizer }, text, { topLogprobs: 1 });
    expect(score.tokens.length).toBe(new TextEncoder().encode(text).length);
    expect(score.scored).toBe(score.tokens.length);
    expect(score.perplexity).toBeCloseTo(Math.exp(score.nats / score.scored), 9);
    expect(score.tokens[40]).toMatchObject({ start: 40, end: 41 });
    expect(score.tokens.every(({ logprob, alternatives }) => (logprob ?? 1) <= (alternatives[0]?.logprob ?? 0))).toBe(
      true,
    );
    expect(await scoreText({ model, tokenizer }, "")).toMatchObject({ tokens: [], scored: 0, perplexity: null });
  });

  it("names what is wrong with a request", async () => {
    const tokens = Uint32Array.of(1, 2, 3);
    await expect(model.score({ tokens, window: 33 })).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
    await expect(model.score({ tokens: Uint32Array.of(999) })).rejects.toMatchObject({ code: "TOKEN_OUT_OF_RANGE" });
    expect(() => model.score({ tokens, stride: 0 })).toThrow(expect.objectContaining({ code: "BAD_ARGUMENT" }));
  });
});
