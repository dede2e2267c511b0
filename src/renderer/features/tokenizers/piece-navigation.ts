// Moving from piece to piece by the arrow keys, over lines of runs.

import { assertNever } from "#shared/errors";
import type { Run } from "./piece-layout.ts";
import { columnWidth } from "./wrap-text.ts";

export type PieceMove = "previous" | "next" | "above" | "below" | "first" | "last";

function firstPiece(run: Run): number {
  return run.kind === "text" ? run.pieceIndex : (run.parts[0]?.pieceIndex ?? 0);
}

function widthOf(run: Run): number {
  let width = 0;
  for (const character of run.kind === "text" ? run.text : run.character) {
    width += columnWidth(character);
  }
  return width;
}

function lineAndColumn(
  rows: readonly (readonly Run[])[],
  piece: number,
): { readonly line: number; readonly column: number } {
  for (const [line, row] of rows.entries()) {
    let column = 0;
    for (const run of row) {
      const isHere =
        run.kind === "text" ? run.pieceIndex === piece : run.parts.some((part) => part.pieceIndex === piece);
      if (isHere) {
        return { line, column };
      }
      column += widthOf(run);
    }
  }
  return { line: 0, column: 0 };
}

/** The piece a key leads to; from nothing selected, every key leads to the first. Never outside 0 … count − 1. */
export function neighbourPiece(
  rows: readonly (readonly Run[])[],
  count: number,
  from: number | null,
  move: PieceMove,
): number {
  if (from === null) {
    return move === "last" ? count - 1 : 0;
  }
  switch (move) {
    case "previous":
      return Math.max(0, from - 1);
    case "next":
      return Math.min(count - 1, from + 1);
    case "first":
      return 0;
    case "last":
      return count - 1;
    case "above":
    case "below": {
      const step = move === "above" ? -1 : 1;
      const { line, column } = lineAndColumn(rows, from);
      // An empty line holds no piece: go on to the next that does.
      for (let target = line + step; target >= 0 && target < rows.length; target += step) {
        const row = rows[target] ?? [];
        let passed = 0;
        for (const [index, run] of row.entries()) {
          passed += widthOf(run);
          if (passed > column || index === row.length - 1) {
            return firstPiece(run);
          }
        }
      }
      return from;
    }
    default:
      return assertNever(move);
  }
}
