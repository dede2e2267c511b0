// Why unigram cuts a word where it does: of all ways to cut it, the one whose pieces are likeliest together. The best ways
// with their log probabilities, so that one sees by how much the runner-up lost.
import type { NativeTokenizer } from "../engine/addon.ts";

export type UnigramPath = {
  readonly pieces: readonly { readonly piece: string; readonly id: number | null; readonly score: number }[];
  /** The sum: the natural logarithm of the likelihood. */
  readonly score: number;
};

export type UnigramExplanation = {
  readonly kind: "unigram";
  readonly word: string;
  /** As the model gets it, with its mark for the beginning of a word. */
  readonly normalized: string;
  readonly pieces: readonly string[];
  readonly wholeId: number | null;
  /** The likeliest first. */
  readonly paths: readonly UnigramPath[];
};

/** How far below the least likely piece an unknown character is rated, as sentencepiece does. */
const UNKNOWN_PENALTY = 10;
const SHOWN_PATHS = 4;

/** The best ways to cut a word, each place keeping the best ways to reach it. */
function bestPaths(tokenizer: NativeTokenizer, characters: readonly string[], scores: Float64Array): UnigramPath[] {
  const least = scores.reduce((low, score) => (Number.isNaN(score) ? low : Math.min(low, score)), 0);
  const reached: UnigramPath[][] = [[{ pieces: [], score: 0 }], ...characters.map((): UnigramPath[] => [])];
  for (let end = 1; end <= characters.length; end += 1) {
    const ways: UnigramPath[] = [];
    for (let begin = 0; begin < end; begin += 1) {
      const piece = characters.slice(begin, end).join("");
      const id = tokenizer.idOfPiece(piece);
      const score = id === null ? Number.NaN : (scores[id] ?? Number.NaN);
      const isPiece = id !== null && !Number.isNaN(score);
      if (!isPiece && end - begin > 1) {
        continue;
      }
      const own = isPiece ? { piece, id, score } : { piece, id: null, score: least - UNKNOWN_PENALTY };
      for (const before of reached[begin] ?? []) {
        ways.push({ pieces: [...before.pieces, own], score: before.score + own.score });
      }
    }
    reached[end] = ways.toSorted((a, b) => b.score - a.score).slice(0, SHOWN_PATHS);
  }
  return reached[characters.length] ?? [];
}

/** `normalized` is one word as the model gets it. */
export function explainUnigram(
  tokenizer: NativeTokenizer,
  word: string,
  normalized: string,
): UnigramExplanation | null {
  const scores = tokenizer.pieceScores();
  if (scores === null) {
    return null;
  }
  const paths = bestPaths(tokenizer, Array.from(normalized), scores);
  return {
    kind: "unigram",
    word,
    normalized,
    // As encoding writes them: unknown characters side by side are one token.
    pieces: Array.from(tokenizer.encode(word.trim()).ids, (id) => tokenizer.piece(id)),
    wholeId: tokenizer.idOfPiece(normalized),
    paths,
  };
}
