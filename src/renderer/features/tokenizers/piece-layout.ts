// Turns a text and a tokenizer's pieces into what is drawn: lines of runs. A run is a stretch of whole characters of one
// piece, or one character whose bytes several pieces share, drawn once with the pieces side by side in its cell. Runs
// add no width to the text, so rows of different tokenizers stay aligned column by column.
import type { Piece } from "#shared/ipc/tokenizers.contract";
import type { BytePositions } from "./byte-positions.ts";
import type { TextLine } from "./wrap-text.ts";

export type TextRun = {
  readonly kind: "text";
  readonly pieceIndex: number;
  readonly text: string;
  /** Whether the piece begins, and ends, with this run; a piece cut by a line or a shared character has several. */
  readonly isFirst: boolean;
  readonly isLast: boolean;
};
export type SharedRun = {
  readonly kind: "shared";
  readonly character: string;
  readonly parts: readonly { readonly pieceIndex: number; readonly byteCount: number; readonly isFirst: boolean }[];
};
export type Run = TextRun | SharedRun;

/** The first piece that ends after this byte. */
export function pieceAtByte(pieces: readonly Piece[], byte: number): number {
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle]?.end ?? 0) > byte) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/** A stretch of whole characters (UTF-16 range) and the pieces that hold it: more than one only where they share a character. */
type Span = { readonly start: number; readonly end: number; readonly pieces: readonly number[] };

function spansOf(text: string, pieces: readonly Piece[], positions: BytePositions): readonly Span[] {
  const spans: Span[] = [];
  for (const [index, piece] of pieces.entries()) {
    const opensInside = !positions.isBoundary(piece.start);
    const closesInside = !positions.isBoundary(piece.end);
    const from = positions.characterStart(piece.start);
    const to = positions.characterStart(piece.end);
    let start = from;
    if (opensInside) {
      // The character was begun by the piece before: join its cell.
      const width = (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
      const last = spans.at(-1);
      if (last !== undefined && last.start === from) {
        spans[spans.length - 1] = { ...last, pieces: [...last.pieces, index] };
      } else {
        spans.push({ start: from, end: from + width, pieces: [index] });
      }
      start = from + width;
    }
    if (to > start) {
      spans.push({ start, end: to, pieces: [index] });
    }
    if (closesInside && to >= start) {
      const width = (text.codePointAt(to) ?? 0) > 0xffff ? 2 : 1;
      spans.push({ start: to, end: to + width, pieces: [index] });
    }
  }
  return spans;
}

/** Pieces must be in order and not overlap; `lines` must cover the text in order. */
export function layoutRuns(
  text: string,
  pieces: readonly Piece[],
  positions: BytePositions,
  lines: readonly TextLine[],
): readonly (readonly Run[])[] {
  const spans = spansOf(text, pieces, positions);
  const seen = new Set<number>();
  const remaining = new Map<number, number>();
  for (const span of spans) {
    for (const piece of span.pieces) {
      remaining.set(piece, (remaining.get(piece) ?? 0) + span.end - span.start);
    }
  }
  const take = (piece: number, width: number) => {
    const isFirst = !seen.has(piece);
    seen.add(piece);
    const left = (remaining.get(piece) ?? 0) - width;
    remaining.set(piece, left);
    return { isFirst, isLast: left <= 0 };
  };

  const rows: Run[][] = [];
  let cursor = 0;
  for (const line of lines) {
    const row: Run[] = [];
    while (cursor < spans.length) {
      const span = spans[cursor];
      if (span === undefined || span.start >= line.end) {
        break;
      }
      const start = Math.max(span.start, line.start);
      const end = Math.min(span.end, line.end);
      const [only] = span.pieces;
      const isOne = only !== undefined && span.pieces.length === 1;
      if (isOne) {
        row.push({ kind: "text", pieceIndex: only, text: text.slice(start, end), ...take(only, end - start) });
      } else {
        const character = text.slice(span.start, span.end);
        const parts = span.pieces.map((pieceIndex) => ({
          pieceIndex,
          byteCount: bytesWithin(pieces[pieceIndex], positions, span),
          isFirst: take(pieceIndex, span.end - span.start).isFirst,
        }));
        row.push({ kind: "shared", character, parts });
      }
      if (span.end > line.end) {
        break;
      }
      cursor += 1;
    }
    rows.push(row);
  }
  return rows;
}

function bytesWithin(piece: Piece | undefined, positions: BytePositions, span: Span): number {
  if (piece === undefined) {
    return 0;
  }
  let count = 0;
  for (let byte = piece.start; byte < piece.end; byte += 1) {
    if (positions.characterStart(byte) === span.start) {
      count += 1;
    }
  }
  return count;
}

const MARKS: ReadonlyMap<string, string> = new Map([
  ["\n", "↵"],
  ["\r", "␍"],
  ["\t", "⇥"],
  ["\u00a0", "⍽"],
  ["\u007f", "␡"],
]);

/**
 * What is drawn for a run: line ends, tabs and controls as marks; a space as itself inside a word's piece, as a dot where
 * the piece is nothing but white space and would otherwise look empty.
 */
export function visibleText(text: string): string {
  const isBlank = /^\s+$/u.test(text);
  let shown = "";
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    const mark = MARKS.get(character);
    if (mark !== undefined) {
      shown += mark;
    } else if (character === " ") {
      shown += isBlank ? "·" : " ";
    } else if (code < 0x20) {
      shown += String.fromCodePoint(0x2400 + code);
    } else if (/\p{Cf}|\p{Zl}|\p{Zp}/u.test(character)) {
      shown += "◌";
    } else {
      shown += character;
    }
  }
  return shown;
}
