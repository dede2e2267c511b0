import { describe, expect, it } from "vitest";
import { formatBytes, formatCount, formatDuration, formatLarge, formatNumber, formatTime } from "./format.ts";

describe("formatting", () => {
  it("groups thousands with thin spaces", () => {
    expect(formatCount(1_234_567)).toBe("1\u2009234\u2009567");
    expect(formatCount(999)).toBe("999");
  });

  it("keeps numbers readable at any size", () => {
    expect(formatNumber(3.21449)).toBe("3.214");
    expect(formatNumber(0.00012345)).toBe("1.23e-4");
    expect(formatNumber(Number.NaN)).toBe("NaN");
    expect(formatLarge(3_750_000)).toEqual(["3.75", "M"]);
    expect(formatLarge(999_900)).toEqual(["1.00", "M"]);
    expect(formatBytes(21_400_000)).toBe("21.4\u2009MB");
  });

  it("names durations by what matters at their size", () => {
    expect(formatDuration(4.1)).toBe("4.1\u2009s");
    expect(formatDuration(185)).toBe("3\u2009min 5\u2009s");
    expect(formatDuration(-1)).toBe("–");
  });

  it("drops the date today", () => {
    const now = new Date("2026-11-21T15:00:00");
    expect(formatTime("2026-11-21T14:22:00", now)).toBe("14:22");
    expect(formatTime("2026-11-20T14:22:00", now)).toBe("20 Nov 14:22");
  });
});
