import { describe, expect, it } from "vitest";
import type { RunSummary } from "#shared/domain/run";
import {
  actionsFor,
  figureTable,
  nearestIndex,
  phaseText,
  positionText,
  ticks,
  toPoints,
  yDomain,
} from "./view-model.ts";

const summary: RunSummary = {
  id: "20261121-1-x-0000",
  name: "x",
  directory: "/runs/x",
  status: "running",
  phase: null,
  createdAt: "2026-11-21T10:00:00Z",
  startedAt: null,
  endedAt: null,
  step: 2560,
  totalSteps: 4000,
  tokens: 1,
  trainLoss: 3,
  evalLoss: null,
  evalPerplexity: null,
  evalBitsPerByte: null,
  tokensPerSecond: 100,
  secondsLeft: 185,
  exitReason: null,
  problem: null,
};

describe("run views", () => {
  it("say where a run is and what is left", () => {
    expect(positionText(summary)).toBe(
      "step 2\u2009560 of 4\u2009000, about 3\u2009min 5\u2009s left, on this computer",
    );
  });

  it("name what is being waited for before the first step", () => {
    const phase = { name: "reading corpus", done: 1_200_000, total: 4_000_000, unit: "bytes" };
    expect(phaseText({ phase })).toBe("reading corpus, 1.20\u2009MB of 4.00\u2009MB");
    expect(positionText({ ...summary, step: 0, status: "starting", phase: { name: "allocating 412 MB" } })).toBe(
      "allocating 412 MB",
    );
  });

  it("offer only what a state allows", () => {
    expect(actionsFor("paused")).toMatchObject({ canUnpause: true, canPause: false, canResume: false });
    expect(actionsFor("lost")).toMatchObject({ canResume: true, canStop: false });
    expect(actionsFor("completed")).toMatchObject({ canResume: false, canStop: false, canCheckpoint: false });
  });

  it("find the nearest point by halving", () => {
    const points = toPoints([0, 10, 20], [1, 2, 3]);
    expect(nearestIndex(points, -5)).toBe(0);
    expect(nearestIndex(points, 14)).toBe(1);
    expect(nearestIndex(points, 16)).toBe(2);
    expect(nearestIndex(points, 99)).toBe(2);
    expect(nearestIndex([], 1)).toBe(-1);
  });

  it("leave out of a log axis what has no logarithm", () => {
    const [low, high] = yDomain([toPoints([0, 1, 2], [-1, 10, 100])], true);
    expect(low).toBeGreaterThan(0);
    expect(low).toBeLessThan(10);
    expect(high).toBeGreaterThan(100);
  });

  it("choose round ticks", () => {
    expect(ticks([0, 4000], 8)).toEqual([0, 500, 1000, 1500, 2000, 2500, 3000, 3500, 4000]);
    expect(ticks([2.6, 9.2], 6)).toEqual([4, 6, 8]);
  });

  it("turn a figure into a table with a row a step", () => {
    expect(
      figureTable([
        { title: "train", points: toPoints([0, 1], [9, 8]) },
        { title: "held out", points: toPoints([1], [8.5]) },
      ]),
    ).toEqual([
      { x: 0, values: [9, null] },
      { x: 1, values: [8, 8.5] },
    ]);
  });
});
