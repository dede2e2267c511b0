import { describe, expect, it } from "vitest";
import { benchRow, median } from "./rows.ts";

describe("benchRow", () => {
  it("pairs rounds before it takes the median, so that a slow minute hits both sides", () => {
    const row = benchRow("x", "peer", "tok/s", [
      { ours: [100, 110], peer: [50, 55] },
      { ours: [10, 11], peer: [5, 5.5] },
      { ours: [100, 110], peer: [100, 110] },
    ]);
    expect(row.ratio).toBeCloseTo(2, 12);
    expect(row.best_ratio).toBeCloseTo(1, 12);
    expect(row.rounds).toBe(3);
  });

  it("has no peer's figures where the peer is not installed", () => {
    const row = benchRow("x", "nobody", "tok/s", [{ ours: [3, 4, 5], peer: [] }]);
    expect(row).toMatchObject({ ours: 4, best_ours: 5, peer: null, ratio: null, best_peer: null, best_ratio: null });
  });

  it("takes the mean of the two middle values of an even number", () => {
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([3])).toBe(3);
  });
});
