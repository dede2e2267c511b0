import { describe, expect, it } from "vitest";
import { axisText, figureTable, nearestIndex, nearestPoint, ticks, toPoints, xRange, yScale } from "./curves.ts";

describe("curves", () => {
  it("leave out values that are not finite, which are drawn as markers", () => {
    expect(toPoints([0, 1, 2], [1, Number.NaN, 3])).toEqual([
      { x: 0, y: 1 },
      { x: 2, y: 3 },
    ]);
  });

  it("find the nearest point by halving", () => {
    const points = toPoints([0, 10, 20], [1, 2, 3]);
    expect(nearestIndex(points, -5)).toBe(0);
    expect(nearestIndex(points, 14)).toBe(1);
    expect(nearestIndex(points, 16)).toBe(2);
    expect(nearestIndex(points, 99)).toBe(2);
    expect(nearestPoint([], 1)).toBeUndefined();
  });

  it("choose round ticks", () => {
    expect(ticks([0, 4000], 8)).toEqual([0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]);
    expect(ticks([0, 0.3], 3)).toEqual([0, 0.1, 0.2, 0.3]);
    expect(ticks([5, 5], 3)).toEqual([5]);
  });

  it("begin and end a linear axis at round values that hold every point", () => {
    const scale = yScale([toPoints([0, 1], [6.21, 7.68])], false);
    expect(scale.domain).toEqual([6, 8]);
    expect(scale.ticks.map(scale.format)).toEqual(["6.0", "6.5", "7.0", "7.5", "8.0"]);
  });

  it("give a flat line an axis of its own height", () => {
    const [low, high] = yScale([toPoints([0, 1], [5, 5])], false).domain;
    expect(low).toBeLessThan(5);
    expect(high).toBeGreaterThan(5);
    expect(yScale([], false).domain).toEqual([0, 1]);
  });

  it("leave out of a log axis what has no logarithm, and label it at round values", () => {
    const wide = yScale([toPoints([0, 1, 2], [-1, 10, 3000])], true);
    expect(wide.domain[0]).toBeGreaterThan(0);
    expect(wide.ticks).toEqual([10, 100, 1000]);
    expect(wide.ticks.map(wide.format)).toEqual(["10", "100", "1000"]);
    const narrow = yScale([toPoints([0, 1], [2.4, 7.7])], true);
    expect(narrow.ticks).toEqual([3, 4, 5, 6, 7, 8]);
    expect(narrow.ticks.map(narrow.format)).toEqual(["3", "4", "5", "6", "7", "8"]);
  });

  it("run a step axis to the planned end, the others to the last point", () => {
    const points = [toPoints([0, 71], [1, 2])];
    expect(xRange(points, "step", 450)).toEqual([0, 450]);
    expect(xRange(points, "time", 450)).toEqual([0, 71]);
    expect(xRange([], "step", null)).toEqual([0, 1]);
  });

  it("name places on an axis in its own unit", () => {
    expect(axisText("step", 2560)).toBe("2\u2009560");
    expect(axisText("tokens", 1_250_000)).toBe("1.25\u2009M");
    expect(axisText("time", 75)).toBe("1\u2009min 15\u2009s");
  });

  it("turn a figure into a table with a row a step", () => {
    expect(figureTable([{ points: toPoints([0, 1], [9, 8]) }, { points: toPoints([1], [8.5]) }])).toEqual([
      { x: 0, values: [9, null] },
      { x: 1, values: [8, 8.5] },
    ]);
  });
});
