import { describe, expect, it } from "vitest";
import { divisorsOf, largestMicrobatch, nextSmallerMicrobatch, USABLE_SHARE } from "./microbatch.ts";

const perWindow = (bytes: number) => (microbatch: number) => 100 + bytes * microbatch;

describe("divisorsOf", () => {
  it("lists them from the largest", () => {
    expect(divisorsOf(24)).toEqual([24, 12, 8, 6, 4, 3, 2, 1]);
    expect(divisorsOf(16)).toEqual([16, 8, 4, 2, 1]);
    expect(divisorsOf(23)).toEqual([23, 1]);
    expect(divisorsOf(1)).toEqual([1]);
  });
});

describe("largestMicrobatch", () => {
  it("is the largest divisor that fits into its share of the memory", () => {
    expect(largestMicrobatch(24, 1e9, perWindow(1))).toBe(24);
    expect(largestMicrobatch(24, (100 + 12 * 10) / USABLE_SHARE, perWindow(10))).toBe(12);
    expect(largestMicrobatch(24, (100 + 12 * 10 - 1) / USABLE_SHARE, perWindow(10))).toBe(8);
  });

  it("is one window where nothing fits, so that the engine says what is missing", () => {
    expect(largestMicrobatch(24, 1, perWindow(10))).toBe(1);
  });

  it("takes nothing between where the batch is prime", () => {
    expect(largestMicrobatch(23, 300 / USABLE_SHARE, perWindow(10))).toBe(1);
  });
});

describe("nextSmallerMicrobatch", () => {
  it("halves to a divisor, and ends at one", () => {
    expect(nextSmallerMicrobatch(24, 24)).toBe(12);
    expect(nextSmallerMicrobatch(24, 3)).toBe(1);
    expect(nextSmallerMicrobatch(15, 15)).toBe(5);
    expect(nextSmallerMicrobatch(24, 2)).toBe(1);
    expect(nextSmallerMicrobatch(24, 1)).toBeNull();
  });
});
