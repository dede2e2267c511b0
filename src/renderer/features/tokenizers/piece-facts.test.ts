import { describe, expect, it } from "vitest";
import { bytesInHex, mergeRows, spacesShown } from "./piece-facts.ts";

describe("spacesShown", () => {
  it("makes the white space of a piece visible", () => {
    expect(spacesShown(" the\n")).toBe("␣the↵");
  });
});

describe("bytesInHex", () => {
  it("stops after sixteen and says how many more there are", () => {
    expect(bytesInHex([0, 255])).toBe("00 ff");
    expect(bytesInHex(Array.from({ length: 20 }, () => 32))).toMatch(/^(20 ){15}20 … 4 more$/);
  });
});

describe("mergeRows", () => {
  it("leaves out what lies too deep to say anything", () => {
    const merge = (depth: number) => ({ depth, left: " a", right: "b", rank: depth });
    expect(mergeRows([merge(0), merge(8), merge(9)]).map((row) => [row.depth, row.left])).toEqual([
      [0, "␣a"],
      [8, "␣a"],
    ]);
  });
});
