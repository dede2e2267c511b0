// One text under several tokenizers, side by side: cut where all of them cut, so that each row of the table holds the
// same stretch of text and shows who splits it and how.
import type { Piece } from "#shared/ipc/tokenizers.contract";

export type AlignedSpan = {
  /** Byte offsets into the UTF-8 text. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
  /** The pieces of each tokenizer, in the order given. */
  readonly pieces: readonly (readonly Piece[])[];
};

/** Borders between pieces; what no piece covers (white space that a tokenizer drops) is no border of its own. */
function bordersOf(pieces: readonly Piece[], size: number): ReadonlySet<number> {
  const borders = new Set([0, size]);
  for (const piece of pieces) {
    borders.add(piece.start);
  }
  return borders;
}

/**
 * A piece with the space before it (GPT-2's) and one without (BERT's) begin at different bytes of the same place: both
 * are moved to the space.
 */
function withLeadingSpace(pieces: readonly Piece[], bytes: Uint8Array): readonly Piece[] {
  return pieces.map((piece, index) => {
    const before = pieces[index - 1]?.end ?? 0;
    const hasSpace = piece.start > before && bytes[piece.start - 1] === 0x20;
    return hasSpace ? { ...piece, start: piece.start - 1 } : piece;
  });
}

export function alignPieces(text: string, sets: readonly (readonly Piece[])[]): readonly AlignedSpan[] {
  const bytes = Buffer.from(text);
  const moved = sets.map((pieces) => withLeadingSpace(pieces, bytes));
  const borders = moved.map((pieces) => bordersOf(pieces, bytes.length));
  const [first, ...others] = borders;
  const common = [...(first ?? [])].filter((at) => others.every((set) => set.has(at))).toSorted((a, b) => a - b);
  const next = moved.map(() => 0);
  const spans: AlignedSpan[] = [];
  for (const [index, start] of common.entries()) {
    const end = common[index + 1];
    if (end === undefined) {
      break;
    }
    const pieces = moved.map((set, which) => {
      const from = next[which] ?? 0;
      let to = from;
      while (to < set.length && (set[to]?.start ?? 0) < end) {
        to += 1;
      }
      next[which] = to;
      return (sets[which] ?? []).slice(from, to);
    });
    spans.push({ start, end, text: bytes.subarray(start, end).toString(), pieces });
  }
  return spans;
}
