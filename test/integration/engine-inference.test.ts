// Generation and logits through the addon: cached decoding against whole forwards, streaming, cancelling, wrong input.
import { describe, expect, it } from "vitest";
import {
  loadAddon,
  type NativeGeneratedToken,
  type NativeGenerationRequest,
  type NativeModel,
} from "#core/engine/addon";
import { TINY_END_OF_TEXT, TINY_VOCABULARY, tinyConfig } from "../support/engine.ts";

const addon = loadAddon();

/** Larger weights than a fresh model's, so that it takes sides. */
async function decidedModel(): Promise<NativeModel> {
  const model = addon.createModel(tinyConfig(), { threads: 1 });
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

function greedy(changes: Partial<NativeGenerationRequest> = {}): NativeGenerationRequest {
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

function argmax(values: Float32Array): number {
  return values.reduce((best, value, index) => (value > (values[best] ?? 0) ? index : best), 0);
}

describe("generate", () => {
  it("equals a full forward for each token, and streams exactly what it returns", async () => {
    const model = await decidedModel();
    const text = [5, 11, 2];
    for (let count = 0; count < 20; count += 1) {
      const logits = await model.logits(new Int32Array(text));
      text.push(argmax(logits.subarray(-TINY_VOCABULARY)));
    }
    const streamed: NativeGeneratedToken[] = [];
    const result = await model.generate(greedy(), (token) => streamed.push(token)).done;
    expect([...result.ids]).toEqual(text.slice(3));
    expect(new Set(result.ids).size).toBeGreaterThan(3);
    expect(streamed.map(({ id }) => id)).toEqual([...result.ids]);
    expect(streamed.map(({ index }) => index)).toEqual(streamed.map((_, index) => index));
    expect(streamed.every(({ logprob }) => logprob < 0 && logprob > -10)).toBe(true);
    expect(result).toMatchObject({ stopReason: "length", promptTokensDropped: 0, windowSlides: 0 });
    model.dispose();
  });

  it("goes on beyond the context by sliding, and cuts a prompt that does not fit", async () => {
    const model = await decidedModel();
    const result = await model.generate(greedy({ maxNewTokens: 100 }), () => {}).done;
    expect(result.ids.length).toBe(100);
    expect(result.windowSlides).toBeGreaterThan(3);
    const long = await model.generate(greedy({ prompt: new Uint32Array(500).fill(7), maxNewTokens: 2 }), () => {}).done;
    expect(long.promptTokensDropped).toBe(500 - 30);
    model.dispose();
  });

  it("repeats itself under the same seed only", async () => {
    const model = await decidedModel();
    const draw = async (seed: number) =>
      (await model.generate(greedy({ temperature: 1, topK: 40, topP: 0.95, seed }), () => {}).done).ids;
    expect(await draw(5)).toEqual(await draw(5));
    expect(await draw(5)).not.toEqual(await draw(6));
    model.dispose();
  });

  it("stops at a stop token and starts an empty prompt from end-of-text", async () => {
    const model = await decidedModel();
    const { ids } = await model.generate(greedy({ prompt: new Uint32Array(), endOfTextId: TINY_END_OF_TEXT }), () => {})
      .done;
    const stop = ids[7] ?? 0;
    const request = greedy({ prompt: new Uint32Array([TINY_END_OF_TEXT]), stopIds: new Uint32Array([stop]) });
    const stopped = await model.generate(request, () => {}).done;
    expect(stopped.stopReason).toBe("stop");
    expect(stopped.ids).toEqual(ids.slice(0, ids.indexOf(stop)));
    model.dispose();
  });

  it("ends soon after cancel, with what there is, and the model goes on working", async () => {
    const model = await decidedModel();
    let count = 0;
    const generation = model.generate(greedy({ maxNewTokens: 1e9 }), () => {
      count += 1;
      if (count === 5) {
        generation.cancel();
      }
    });
    const result = await generation.done;
    expect(result.stopReason).toBe("cancelled");
    expect(result.ids.length).toBe(count);
    expect(count).toBeGreaterThanOrEqual(5);
    generation.cancel();
    expect((await model.generate(greedy(), () => {}).done).ids.length).toBe(20);
    model.dispose();
  });

  it("rejects with what the callback threw and stops generating", async () => {
    const model = await decidedModel();
    const generation = model.generate(greedy({ maxNewTokens: 1e9 }), () => {
      throw new RangeError("the listener is gone");
    });
    await expect(generation.done).rejects.toThrow(new RangeError("the listener is gone"));
    model.dispose();
  });

  it("ends when the model is disposed, and says so to whoever waits behind it", async () => {
    const model = await decidedModel();
    let disposed = false;
    const generation = model.generate(greedy({ maxNewTokens: 1e9 }), () => {
      if (!disposed) {
        disposed = true;
        model.dispose();
      }
    });
    const waiting = expect(model.logits(new Int32Array([1]))).rejects.toMatchObject({ code: "ENGINE_DISPOSED" });
    expect((await generation.done).stopReason).toBe("cancelled");
    await waiting;
  });

  it("names what is wrong with a request", async () => {
    const model = await decidedModel();
    const start = (changes: object) => () => model.generate({ ...greedy(), ...changes }, () => {});
    const bad = (text: string) =>
      expect.objectContaining({ code: "BAD_ARGUMENT", message: expect.stringContaining(text) });
    expect(start({ prompt: [1, 2] })).toThrow(bad("prompt must be a Uint32Array"));
    expect(start({ temperature: -1 })).toThrow(bad("temperature"));
    expect(start({ temperature: "hot" })).toThrow(bad("temperature"));
    expect(start({ topP: 0 })).toThrow(bad("topP"));
    expect(start({ topK: 1.5 })).toThrow(bad("topK"));
    expect(start({ maxNewTokens: -1 })).toThrow(bad("maxNewTokens"));
    await expect(model.generate(greedy({ prompt: new Uint32Array() }), () => {}).done).rejects.toEqual(
      bad("empty prompt"),
    );
    await expect(model.generate(greedy({ prompt: new Uint32Array([97]) }), () => {}).done).rejects.toMatchObject({
      code: "TOKEN_OUT_OF_RANGE",
    });
    model.dispose();
  });

  it("refuses to speak from weights that are not numbers", async () => {
    const model = await decidedModel();
    await model.writeTensor("transformer.ln_f.bias", new Float32Array(32).fill(Number.NaN));
    await expect(model.generate(greedy(), () => {}).done).rejects.toMatchObject({ code: "WEIGHTS_NOT_FINITE" });
    model.dispose();
  });
});
