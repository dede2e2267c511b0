// A place in training leads back to its documents: against a plain walk through all tokens.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { windowCount, windowOfSample } from "#shared/domain/data-order";
import { TokenCacheWriter } from "./token-cache-writer.ts";
import { traceSequence, traceTokens } from "./trace.ts";

let folder: string;
let cache: string;
/** For every token of the text the document it is of, and its place there. */
let owners: { readonly id: string; readonly offset: number }[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-trace-"));
  cache = path.join(folder, "cache");
  owners = [];
  const writer = await TokenCacheWriter.create(cache, { vocabSize: 10, endOfTextId: 0, tokenizerSha256: "" });
  for (let document = 0; document < 50; document += 1) {
    const id = document === 7 ? 'pmid:7 with "quotes"\nand a line' : `pmid:${document}`;
    const tokens = (document * 7) % 23;
    await writer.add(new Uint32Array(tokens).fill(1), tokens, id);
    for (let offset = 0; offset <= tokens; offset += 1) {
      owners.push({ id, offset });
    }
  }
  await writer.finish();
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe("a trace", () => {
  it("names the documents of any stretch of tokens, and which of the tokens are whose", async () => {
    for (const [first, count] of [
      [0, 1],
      [0, 100],
      [37, 16],
      [owners.length - 5, 5],
      [owners.length - 1, 40],
    ] as const) {
      const trace = await traceTokens(cache, first, count);
      const walked = trace.documents.flatMap(({ id, from, to, documentOffset }) =>
        Array.from({ length: to - from }, (_, at) => ({ id, offset: documentOffset + at })),
      );
      expect(walked).toEqual(owners.slice(first, first + count));
      expect(trace.tokenCount).toBe(walked.length);
    }
    await expect(traceTokens(cache, owners.length, 1)).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });

  it("finds the sequence of a step where the data's order puts it, over the end of an epoch too", async () => {
    const order = { sequenceLength: 8, batchSize: 4, shuffleSeed: 17 };
    const windows = windowCount(owners.length, 8);
    for (const step of [1, 5, Math.ceil(windows / 4) + 1]) {
      const trace = await traceSequence(cache, { ...order, step, sequence: 3 });
      expect(trace.firstToken).toBe(8 * windowOfSample(windows, 17, (step - 1) * 4 + 2));
      expect(trace.tokenCount).toBe(9);
      expect(trace.documents[0]?.id).toBe(owners[trace.firstToken]?.id);
    }
    await expect(traceSequence(cache, { ...order, step: 1, sequence: 5 })).rejects.toMatchObject({
      message: "There is no sequence 5: a step has 4, counted from 1.",
    });
  });

  it("says so where a cache was made without ids", async () => {
    await rm(path.join(cache, "documents.ids"));
    await expect(traceTokens(cache, 0, 1)).rejects.toMatchObject({ code: "TOKEN_CACHE_DAMAGED" });
  });
});
