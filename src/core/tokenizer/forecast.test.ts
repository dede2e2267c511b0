import { describe, expect, it } from "vitest";
import { carryOn, forecastFrom, type WordSample } from "./forecast.ts";

const sample: WordSample = {
  diskBytes: 10_000_000,
  diskTotal: 1_000_000_000,
  textBytes: 8_000_000,
  distinctWords: 40_000,
  half: { diskBytes: 5_000_000, textBytes: 4_000_000, distinctWords: 28_284 },
  bytesPerSecond: 40_000_000,
  processBytes: 150_000_000,
};
const options = { type: "byte-bpe", vocabSize: 30_000, threads: 2, memoryLimitBytes: 2 ** 31 } as const;

describe("carryOn", () => {
  it("follows the growth of the last doubling: with the square root, a hundred times the text has ten times the words", () => {
    expect(carryOn(sample, 800_000_000) / 400_000).toBeCloseTo(1, 2);
    expect(carryOn(sample, 8_000_000)).toBe(40_000);
  });

  it("never promises more words than in proportion, nor fewer than were seen", () => {
    expect(carryOn({ ...sample, half: { ...sample.half, distinctWords: 1 } }, 16_000_000)).toBe(80_000);
    expect(carryOn({ ...sample, half: { ...sample.half, distinctWords: 50_000 } }, 16_000_000)).toBe(40_000);
  });
});

describe("forecastFrom", () => {
  it("counts the text from its share of the files, and reads it at the pace of the sample", () => {
    const forecast = forecastFrom(sample, options);
    expect(forecast.textBytes).toBe(800_000_000);
    expect(forecast.readSeconds).toBeLessThan(20);
    expect(forecast.readSeconds).toBeGreaterThan(10);
    expect(forecast.spills || forecast.leavesWordsOut).toBe(false);
  });

  it("stays within the limit where the words outgrow it, and says what happens then", () => {
    const limit = 30_000_000;
    const forecast = forecastFrom(sample, { ...options, memoryLimitBytes: limit });
    expect(forecast).toMatchObject({ spills: true, leavesWordsOut: true });
    expect(forecast.memoryBytes).toBeLessThan(sample.processBytes + 50_000_000 + 2 * limit);
    expect(forecast.memoryBytes).toBeLessThan(forecastFrom(sample, options).memoryBytes);
  });

  it("takes a text that was read to its end as it is", () => {
    const whole = forecastFrom({ ...sample, diskBytes: 10, diskTotal: 10 }, options);
    expect(whole).toMatchObject({ textBytes: 8_000_000, distinctWords: 40_000, sampledBytes: 8_000_000 });
  });

  it("knows that unigram learns from substrings: more memory and time a word", () => {
    const unigram = forecastFrom(sample, { ...options, type: "unigram" });
    const bpe = forecastFrom(sample, options);
    expect(unigram.memoryBytes).toBeGreaterThan(bpe.memoryBytes);
    expect(unigram.learnSeconds).toBeGreaterThan(10 * bpe.learnSeconds);
  });
});
