// The numbers that decide between tokenizers, of one text.
import type { Piece } from "#shared/ipc/tokenizers.contract";

/** The engine is asked about at most this many UTF-16 units; the contract says the same. */
export const TEXT_LIMIT = 200_000;

export type TextFigures = {
  readonly pieceCount: number;
  /** Null for an empty text. */
  readonly bytesPerPiece: number | null;
  readonly piecesPerWord: number | null;
  /** Words that are one piece, white space before them counted in. */
  readonly wholeWords: number;
  readonly wordCount: number;
};

export function textFigures(text: string, pieces: readonly Piece[], textBytes: number): TextFigures {
  const words = wordBytes(text);
  const starts = new Map<number, number>();
  for (const piece of pieces) {
    starts.set(piece.start, piece.end);
  }
  let wholeWords = 0;
  for (const word of words) {
    // A byte-level piece carries the space before its word; a word piece does not.
    if (starts.get(word.start) === word.end || (word.start > 0 && starts.get(word.start - 1) === word.end)) {
      wholeWords += 1;
    }
  }
  return {
    pieceCount: pieces.length,
    bytesPerPiece: pieces.length === 0 ? null : textBytes / pieces.length,
    piecesPerWord: words.length === 0 ? null : pieces.length / words.length,
    wholeWords,
    wordCount: words.length,
  };
}

type WordBytes = { readonly start: number; readonly end: number };

/** Byte ranges of the words of a text: runs of letters and marks, or of digits. Punctuation is not a word. */
export function wordBytes(text: string): readonly WordBytes[] {
  const words: WordBytes[] = [];
  const encoder = new TextEncoder();
  let byte = 0;
  let index = 0;
  for (const match of text.matchAll(/[\p{L}\p{M}]+|\p{N}+/gu)) {
    byte += encoder.encode(text.slice(index, match.index)).length;
    const length = encoder.encode(match[0]).length;
    words.push({ start: byte, end: byte + length });
    byte += length;
    index = match.index + match[0].length;
  }
  return words;
}

/** The part of a text that is inspected, never cutting a character in two. */
export function inspectedPart(text: string): { readonly text: string; readonly omitted: number } {
  if (text.length <= TEXT_LIMIT) {
    return { text, omitted: 0 };
  }
  const before = text.charCodeAt(TEXT_LIMIT - 1);
  const end = before >= 0xd800 && before <= 0xdbff ? TEXT_LIMIT - 1 : TEXT_LIMIT;
  return { text: text.slice(0, end), omitted: text.length - end };
}
