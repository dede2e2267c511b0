import { describe, expect, it } from "vitest";
import { MetricTable, reduceSeries, smooth } from "./series.ts";

function table(values: readonly number[]): MetricTable {
  const made = new MetricTable();
  values.forEach((value, at) =>
    made.append({ kind: "record", record: { step: at + 1, tokens: (at + 1) * 10, time: at, "train/loss": value } }),
  );
  return made;
}

function curve(values: readonly number[]) {
  const series = table(values).series("train/loss");
  if (series === undefined) {
    throw new Error("the table has no curve");
  }
  return series;
}

describe("MetricTable", () => {
  it("keeps a curve for each metric, on three axes", () => {
    const made = table([3, 2]);
    made.append({ kind: "record", record: { step: 3, tokens: 30, time: 2, "eval/loss": 1 } });
    expect([...(made.series("train/loss")?.value ?? [])]).toEqual([3, 2]);
    expect([...(made.series("eval/loss")?.step ?? [])]).toEqual([3]);
    expect([...(made.series("eval/loss")?.tokens ?? [])]).toEqual([30]);
    expect(made.keys()).toEqual(["train/loss", "eval/loss"]);
    expect(made.latest()).toEqual({ "train/loss": 2, "eval/loss": 1 });
  });

  it("forgets what a resume superseded", () => {
    const made = table([5, 4, 3, 2]);
    made.append({ kind: "resume", marker: { resumed: 1, from_step: 2 } });
    made.append({ kind: "record", record: { step: 3, "train/loss": 9 } });
    expect([...(made.series("train/loss")?.value ?? [])]).toEqual([5, 4, 9]);
    expect(made.resumes).toEqual([{ resumed: 1, from_step: 2 }]);
  });

  it("adds to a step that is logged again only what is new", () => {
    const made = table([5, 4]);
    made.append({ kind: "record", record: { step: 2, "eval/loss": 7 } });
    expect([...(made.series("train/loss")?.value ?? [])]).toEqual([5, 4]);
    made.append({ kind: "record", record: { step: 2, "eval/loss": 8 } });
    expect([...(made.series("eval/loss")?.value ?? [])]).toEqual([8]);
  });
});

describe("reduceSeries", () => {
  it("keeps every planted spike of a million points", () => {
    const values = new Float64Array(1_000_000).map((_, at) => 3 + Math.sin(at / 5000));
    const spikes = Array.from({ length: 50 }, (_, index) => 7919 + index * 19_801);
    for (const at of spikes) {
      values[at] = 40;
    }
    const steps = new Float64Array(values.length).map((_, at) => at + 1);
    const reduced = reduceSeries(
      { step: steps, tokens: steps, time: steps, value: values },
      { axis: "step", buckets: 400 },
    );
    expect(reduced.x.length).toBeLessThanOrEqual(1600);
    expect(reduced.totalPoints).toBe(1_000_000);
    const drawn = new Set([...reduced.x].filter((_, at) => reduced.y[at] === 40));
    expect(spikes.filter((at) => drawn.has(at + 1))).toHaveLength(50);
  });

  it("gives every point back when there is room for all", () => {
    const reduced = reduceSeries(curve([5, 4, 6, 1]), { axis: "tokens", buckets: 100 });
    expect([...reduced.x]).toEqual([10, 20, 30, 40]);
    expect([...reduced.y]).toEqual([5, 4, 6, 1]);
  });

  it("keeps values that are not finite as markers and the points between them", () => {
    const reduced = reduceSeries(curve([5, Number.NaN, 4, Infinity, -Infinity, 3]), { axis: "step", buckets: 1 });
    expect([...reduced.y]).toEqual([5, 3]);
    expect(reduced.nonFinite).toEqual([
      { x: 2, value: "NaN" },
      { x: 4, value: "Infinity" },
      { x: 5, value: "-Infinity" },
    ]);
  });

  it("zooms to a part, with a neighbour on either side so that the line enters and leaves", () => {
    const reduced = reduceSeries(curve([1, 2, 3, 4, 5, 6]), { axis: "step", buckets: 100, from: 3, to: 4 });
    expect([...reduced.x]).toEqual([2, 3, 4, 5]);
    expect(reduced.totalPoints).toBe(2);
  });

  it("answers an empty curve", () => {
    expect(reduceSeries(curve([1]), { axis: "step", buckets: 16, from: 10 })).toMatchObject({ totalPoints: 0 });
  });
});

describe("smooth", () => {
  it("begins at the first value instead of near zero", () => {
    expect(smooth(Float64Array.of(4, 4, 4), 0.9)[0]).toBeCloseTo(4, 12);
    expect(smooth(Float64Array.of(4, 2), 0.5)[1]).toBeCloseTo((0.5 * 0.5 * 4 + 0.5 * 2) / 0.75, 12);
  });

  it("is computed on the full data, whatever is drawn of it", () => {
    const values = Array.from({ length: 1000 }, (_, at) => at % 7);
    const all = smooth(Float64Array.from(values), 0.95);
    const reduced = reduceSeries(curve(values), { axis: "step", buckets: 16, smoothing: 0.95 });
    for (const [at, x] of reduced.x.entries()) {
      expect(reduced.smoothed[at]).toBe(all[x - 1]);
    }
  });

  it("steps over values that are not finite", () => {
    expect([...smooth(Float64Array.of(Number.NaN, 2, Infinity, 2), 0.5)]).toEqual([Number.NaN, 2, 2, 2]);
  });
});
