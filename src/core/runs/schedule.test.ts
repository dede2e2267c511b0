import { describe, expect, it } from "vitest";
import { cosineWithWarmup, epochOf, isDue, isFinished, learningRate, totalSteps } from "./schedule.ts";

const facts = { globalBatchSize: 16, seqLen: 256, windowCount: 100 };
const at = (step: number, time = 0) => ({ step, tokens: step * 16 * 256, time });

describe("cosineWithWarmup", () => {
  it("rises linearly from zero, so that the first update has the rate 0", () => {
    expect([0, 5, 10].map((t) => cosineWithWarmup({ t, tWarmup: 20, tMax: 400, alphaF: 0.1 }))).toEqual([0, 0.25, 0.5]);
  });

  it("reaches the full rate when the warm-up is over and its floor at the end", () => {
    expect(cosineWithWarmup({ t: 20, tWarmup: 20, tMax: 400, alphaF: 0.1 })).toBe(1);
    expect(cosineWithWarmup({ t: 210, tWarmup: 20, tMax: 400, alphaF: 0.1 })).toBeCloseTo(0.55, 12);
    expect(cosineWithWarmup({ t: 400, tWarmup: 20, tMax: 400, alphaF: 0.1 })).toBeCloseTo(0.1, 12);
  });

  it("stays at the floor after the end", () => {
    expect(cosineWithWarmup({ t: 1000, tWarmup: 20, tMax: 400, alphaF: 0.1 })).toBeCloseTo(0.1, 12);
  });

  it("begins at the full rate without a warm-up", () => {
    expect(cosineWithWarmup({ t: 0, tWarmup: 0, tMax: 10, alphaF: 0 })).toBe(1);
  });

  it("keeps the full rate when the warm-up takes the whole run", () => {
    expect(cosineWithWarmup({ t: 10, tWarmup: 10, tMax: 10, alphaF: 0.1 })).toBe(1);
  });
});

describe("learningRate", () => {
  const schedule = { lr: 2, alphaF: 0.1, facts, tWarmup: { value: 20, unit: "ba" } } as const;

  it("is the same for a duration said in steps, epochs or tokens", () => {
    const rates = [
      { value: 400, unit: "ba" },
      { value: 64, unit: "ep" },
      { value: 400 * 16 * 256, unit: "tok" },
    ].map((maxDuration) =>
      learningRate({ ...schedule, maxDuration: maxDuration as { value: number; unit: "ba" }, progress: at(123) }),
    );
    expect(new Set(rates).size).toBe(1);
  });

  it("follows the clock after the warm-up for a duration in seconds", () => {
    const maxDuration = { value: 100, unit: "sec" } as const;
    expect(learningRate({ ...schedule, maxDuration, progress: at(10, 50) })).toBe(1);
    expect(learningRate({ ...schedule, maxDuration, progress: at(30, 50) })).toBeCloseTo(1.1, 12);
  });
});

describe("durations", () => {
  it("in tokens end at the first step that reaches them", () => {
    expect(totalSteps({ value: 1_000_000, unit: "tok" }, facts)).toBe(245);
    expect(totalSteps({ value: 4096, unit: "tok" }, facts)).toBe(1);
    expect(totalSteps({ value: 4097, unit: "tok" }, facts)).toBe(2);
  });

  it("in epochs end when every window has been seen that often", () => {
    expect(totalSteps({ value: 1, unit: "ep" }, facts)).toBe(7);
    expect(epochOf(7, facts)).toBeCloseTo(1.12, 12);
  });

  it("in seconds end by the clock", () => {
    expect(totalSteps({ value: 60, unit: "sec" }, facts)).toBeNull();
    expect(isFinished({ value: 60, unit: "sec" }, facts, at(5, 59.9))).toBe(false);
    expect(isFinished({ value: 60, unit: "sec" }, facts, at(5, 60))).toBe(true);
  });
});

describe("isDue", () => {
  it("says yes once an interval, in any unit", () => {
    const due = (interval: Parameters<typeof isDue>[0], steps: number) =>
      Array.from({ length: steps }, (_, index) => index + 1).filter((step) =>
        isDue(interval, facts, at(step - 1, (step - 1) * 2), at(step, step * 2)),
      );
    expect(due({ value: 3, unit: "ba" }, 10)).toEqual([3, 6, 9]);
    expect(due({ value: 1, unit: "ep" }, 20)).toEqual([7, 13, 19]);
    expect(due({ value: 10_000, unit: "tok" }, 10)).toEqual([3, 5, 8, 10]);
    expect(due({ value: 5, unit: "sec" }, 10)).toEqual([3, 5, 8, 10]);
  });
});
