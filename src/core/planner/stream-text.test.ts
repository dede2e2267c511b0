import { describe, expect, it } from "vitest";
import { egressOf, LIST_PRICE_PER_GB, type StreamText } from "./stream-text.ts";

const text: StreamText = { tokens: { value: 1e9, how: "" }, remoteBytes: 2e9, remoteCacheBytes: 4e9 };
const streaming = { cache_limit: "20gb", predownload: 8, shuffle_block_shards: 4, token_bytes: 8 } as const;

describe("egressOf", () => {
  it("fetches each shard once where the cache keeps them all", () => {
    const { bytes, cost } = egressOf(text, 3e9, streaming, null);
    expect(bytes.value).toBe(2e9);
    expect(cost.value).toBeCloseTo(2 * LIST_PRICE_PER_GB);
    expect(cost.how).toContain("assumed");
  });

  it("fetches the part of a first pass that a short run reaches", () => {
    expect(egressOf(text, 0.25e9, streaming, null).bytes.value).toBe(0.5e9);
  });

  it("fetches again what a small cache lets go, at the price that is given", () => {
    const { bytes, cost } = egressOf(text, 3e9, { ...streaming, cache_limit: "1gb" }, 0.5);
    expect(bytes.value).toBe(2e9 + 2 * 0.75 * 2e9);
    expect(bytes.how).toContain("25 %");
    expect(cost.value).toBeCloseTo(2.5);
    expect(cost.how).not.toContain("assumed");
  });

  it("costs nothing where nothing lies elsewhere", () => {
    const { bytes, cost } = egressOf({ ...text, remoteBytes: 0, remoteCacheBytes: 0 }, 3e9, streaming, null);
    expect([bytes.value, cost.value]).toEqual([0, 0]);
  });
});
