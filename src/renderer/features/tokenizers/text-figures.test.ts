import { describe, expect, it } from "vitest";
import { inspectedPart, TEXT_LIMIT, textFigures, wordBytes } from "./text-figures.ts";

describe("wordBytes", () => {
  it("gives byte ranges of words and numbers, not of punctuation", () => {
    expect(wordBytes("β cells, 3.2-fold")).toEqual([
      { start: 0, end: 2 },
      { start: 3, end: 8 },
      { start: 10, end: 11 },
      { start: 12, end: 13 },
      { start: 14, end: 18 },
    ]);
  });
});

describe("textFigures", () => {
  it("counts a word with its leading space as whole", () => {
    const text = "EGFR fell";
    const pieces = [
      { id: 1, piece: "EG", start: 0, end: 2 },
      { id: 2, piece: "FR", start: 2, end: 4 },
      { id: 3, piece: " fell", start: 4, end: 9 },
    ];
    expect(textFigures(text, pieces, 9)).toEqual({
      pieceCount: 3,
      bytesPerPiece: 3,
      piecesPerWord: 1.5,
      wholeWords: 1,
      wordCount: 2,
    });
  });

  it("has no ratios for an empty text", () => {
    expect(textFigures("", [], 0)).toEqual({
      pieceCount: 0,
      bytesPerPiece: null,
      piecesPerWord: null,
      wholeWords: 0,
      wordCount: 0,
    });
  });
});

describe("inspectedPart", () => {
  it("stops at the limit without cutting a character in two", () => {
    const text = `${"a".repeat(TEXT_LIMIT - 1)}😀b`;
    const part = inspectedPart(text);
    expect(part.text).toHaveLength(TEXT_LIMIT - 1);
    expect(part.omitted).toBe(3);
    expect(inspectedPart("short")).toEqual({ text: "short", omitted: 0 });
  });
});
