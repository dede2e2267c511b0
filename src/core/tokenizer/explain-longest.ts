// Why WordPiece cuts a word where it does: from its beginning always the longest piece that fits, never looking back.
import type { NativeTokenizer } from "../engine/addon.ts";

export type LongestMatchExplanation = {
  readonly kind: "longest-match";
  readonly word: string;
  /** As the model gets it: without capitals or accents where the tokenizer takes them away. */
  readonly normalized: string;
  readonly pieces: readonly string[];
  readonly wholeId: number | null;
  readonly steps: readonly {
    readonly piece: string;
    readonly id: number;
    /** What is left of the word after it. */
    readonly rest: string;
    /** Longer pieces that fit here as far as they go, but not to their end: the nearest things the vocabulary has. */
    readonly longer: readonly string[];
  }[];
  /** Where nothing fits any more, the whole word is unknown; what was left then. */
  readonly stuckAt: string | null;
  /** The cut into fewest pieces, where greed misses it; null where it does not. */
  readonly shortest: readonly string[] | null;
};

/** Of the vocabulary, by prefix: the pieces that begin with a text. Sorted once per tokenizer. */
const sortedPieces = new WeakMap<NativeTokenizer, readonly string[]>();

function piecesOf(tokenizer: NativeTokenizer): readonly string[] {
  const known = sortedPieces.get(tokenizer);
  if (known !== undefined) {
    return known;
  }
  const pieces = Array.from({ length: tokenizer.vocabSize }, (_, id) => tokenizer.piece(id)).toSorted((a, b) =>
    a < b ? -1 : a > b ? 1 : 0,
  );
  sortedPieces.set(tokenizer, pieces);
  return pieces;
}

const NEAR_PIECES = 3;

/** Pieces longer than `piece` that begin with it, the shortest first. */
function longerPieces(tokenizer: NativeTokenizer, piece: string): readonly string[] {
  const pieces = piecesOf(tokenizer);
  let low = 0;
  let high = pieces.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((pieces[middle] ?? "") < piece) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const found: string[] = [];
  for (let at = low; at < pieces.length && pieces[at]?.startsWith(piece) === true; at += 1) {
    if (pieces[at] !== piece) {
      found.push(pieces[at] ?? "");
    }
  }
  return found.toSorted((a, b) => a.length - b.length).slice(0, NEAR_PIECES);
}

/** The cut into fewest pieces; null where there is none. */
function fewestPieces(tokenizer: NativeTokenizer, word: readonly string[], prefix: string): readonly string[] | null {
  const best: (readonly string[] | null)[] = [[], ...word.map(() => null)];
  for (let begin = 0; begin < word.length; begin += 1) {
    const before = best[begin] ?? null;
    if (before === null) {
      continue;
    }
    for (let end = begin + 1; end <= word.length; end += 1) {
      const piece = (begin === 0 ? "" : prefix) + word.slice(begin, end).join("");
      const known = best[end] ?? null;
      if ((known === null || before.length + 1 < known.length) && tokenizer.idOfPiece(piece) !== null) {
        best[end] = [...before, piece];
      }
    }
  }
  return best[word.length] ?? null;
}

/** `normalized` is one word as the model gets it. */
export function explainLongestMatch(
  tokenizer: NativeTokenizer,
  word: string,
  normalized: string,
): LongestMatchExplanation | null {
  const limits = tokenizer.wordPieceLimits();
  const characters = Array.from(normalized);
  if (limits === null || characters.length > limits.maxWordCharacters) {
    return null;
  }
  const steps: LongestMatchExplanation["steps"][number][] = [];
  let stuckAt: string | null = null;
  for (let at = 0; at < characters.length && stuckAt === null; ) {
    let end = characters.length;
    let id: number | null = null;
    const textTo = (to: number) => (at === 0 ? "" : limits.continuingPrefix) + characters.slice(at, to).join("");
    for (; end > at; end -= 1) {
      id = tokenizer.idOfPiece(textTo(end));
      if (id !== null) {
        break;
      }
    }
    if (id === null) {
      stuckAt = characters.slice(at).join("");
      break;
    }
    const piece = textTo(end);
    const rest = characters.slice(end).join("");
    steps.push({ piece, id, rest, longer: rest === "" ? [] : longerPieces(tokenizer, piece) });
    at = end;
  }
  const unknown = tokenizer.roleId("unk");
  const greedy =
    stuckAt === null ? steps.map(({ piece }) => piece) : [unknown === null ? "[UNK]" : tokenizer.piece(unknown)];
  const fewest = fewestPieces(tokenizer, characters, limits.continuingPrefix);
  return {
    kind: "longest-match",
    word,
    normalized,
    pieces: greedy,
    wholeId: tokenizer.idOfPiece(normalized),
    steps,
    stuckAt,
    shortest: fewest !== null && (stuckAt !== null || fewest.length < greedy.length) ? fewest : null,
  };
}
