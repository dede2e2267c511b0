import { describe, expect, it } from "vitest";
import { bytePositions } from "./byte-positions.ts";
import { layoutRuns } from "./piece-layout.ts";
import { neighbourPiece } from "./piece-navigation.ts";
import { wrapText } from "./wrap-text.ts";

// Lines "ab cdef", "", "gh": pieces 0 ab | 1 _cd | 2 ef\n | 3 \n | 4 g | 5 h
const text = "ab cdef\n\ngh";
const pieces = [
  [0, 2],
  [2, 5],
  [5, 8],
  [8, 9],
  [9, 10],
  [10, 11],
].map(([start = 0, end = 0], id) => ({ id, piece: "", start, end }));
const rows = layoutRuns(text, pieces, bytePositions(text), wrapText(text, 20));

describe("neighbourPiece", () => {
  it("goes left and right without leaving the text", () => {
    expect(neighbourPiece(rows, 6, 1, "next")).toBe(2);
    expect(neighbourPiece(rows, 6, 5, "next")).toBe(5);
    expect(neighbourPiece(rows, 6, 0, "previous")).toBe(0);
  });

  it("goes up and down to the piece in the same column, or the line's last", () => {
    expect(neighbourPiece(rows, 6, 0, "below")).toBe(3);
    expect(neighbourPiece(rows, 6, 3, "below")).toBe(4);
    expect(neighbourPiece(rows, 6, 5, "above")).toBe(3);
    expect(neighbourPiece(rows, 6, 4, "below")).toBe(4);
  });

  it("begins at the first piece, or at the last for End", () => {
    expect(neighbourPiece(rows, 6, null, "next")).toBe(0);
    expect(neighbourPiece(rows, 6, null, "last")).toBe(5);
  });
});
