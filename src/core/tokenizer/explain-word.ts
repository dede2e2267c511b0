// Why a word splits where it does. For a tokenizer of merges: every merge that was applied, in order, and for each border
// that is left whether no merge joins its two sides, or which earlier merge took one of them away. WordPiece and unigram
// have their own reasons.
import type { NativeTokenizer } from "../engine/addon.ts";
import { explainLongestMatch, type LongestMatchExplanation } from "./explain-longest.ts";
import { explainUnigram, type UnigramExplanation } from "./explain-unigram.ts";
import { pieceText } from "./pieces.ts";

export type MergeStep = {
  readonly rank: number;
  readonly left: string;
  readonly right: string;
  /** All pieces of the word after it. */
  readonly pieces: readonly string[];
};

export type LeftBorder = {
  readonly left: string;
  readonly right: string;
  /**
   * Longer pieces of the vocabulary that cross this border where it stands in the word: the word had them in reach, and
   * other merges came first. Empty: training saw too little of what would join here.
   */
  readonly crossing: readonly { readonly id: number; readonly piece: string; readonly rank: number | null }[];
};

export type MergeExplanation = {
  readonly kind: "merges";
  readonly word: string;
  readonly pieces: readonly string[];
  /** Whether the word as a whole is a token, reached or not. */
  readonly wholeId: number | null;
  readonly steps: readonly MergeStep[];
  readonly borders: readonly LeftBorder[];
};

export type WordExplanation = MergeExplanation | LongestMatchExplanation | UnigramExplanation;

type MergeTable = {
  readonly rankOf: ReadonlyMap<string, { readonly rank: number; readonly result: number }>;
  /** The lowest rank that makes a token. */
  readonly rankOfToken: ReadonlyMap<number, number>;
};

const tables = new WeakMap<NativeTokenizer, MergeTable>();

function tableOf(tokenizer: NativeTokenizer): MergeTable {
  const known = tables.get(tokenizer);
  if (known !== undefined) {
    return known;
  }
  const rankOf = new Map<string, { rank: number; result: number }>();
  const rankOfToken = new Map<number, number>();
  for (const [rank, [left, right]] of tokenizer.merges().entries()) {
    const result = tokenizer.idOfBytes(Buffer.concat([tokenizer.tokenBytes(left), tokenizer.tokenBytes(right)]));
    if (result !== null) {
      rankOf.set(`${left} ${right}`, { rank, result });
      rankOfToken.set(result, Math.min(rank, rankOfToken.get(result) ?? rank));
    }
  }
  const table = { rankOf, rankOfToken };
  tables.set(tokenizer, table);
  return table;
}

/** The ids a word starts from: its bytes, each a token. Null where a byte has none. */
function bytesAsTokens(tokenizer: NativeTokenizer, bytes: Uint8Array): number[] | null {
  const ids: number[] = [];
  for (const byte of bytes) {
    const id = tokenizer.idOfBytes(Uint8Array.of(byte));
    if (id === null) {
      return null;
    }
    ids.push(id);
  }
  return ids;
}

function crossingTokens(tokenizer: NativeTokenizer, table: MergeTable, bytes: Uint8Array, border: number) {
  const found: { id: number; piece: string; rank: number | null }[] = [];
  for (let start = 0; start < border; start += 1) {
    for (let end = bytes.length; end > border; end -= 1) {
      const id = tokenizer.idOfBytes(bytes.subarray(start, end));
      if (id !== null) {
        found.push({
          id,
          piece: pieceText(bytes.subarray(start, end)),
          rank: table.rankOfToken.get(id) ?? null,
        });
      }
    }
  }
  return found.toSorted((a, b) => b.piece.length - a.piece.length).slice(0, 8);
}

/** Longer words cost the square of their length; nobody reads their merges. */
const LONGEST_WORD_BYTES = 256;

/**
 * One word as it stands in a text: its leading space counts. Null for a tokenizer that has neither GPT-2's merges, nor is
 * WordPiece or unigram, and for a word that is empty or longer than 256 bytes, or that pre-tokenization would cut.
 */
export function explainWord(tokenizer: NativeTokenizer, word: string): WordExplanation | null {
  if (tokenizer.kind !== "wordpiece" && tokenizer.kind !== "unigram") {
    return explainMerges(tokenizer, word);
  }
  if (Buffer.byteLength(word) > LONGEST_WORD_BYTES) {
    return null;
  }
  // The model gets one word, and what is said of it is what encoding does.
  const [normalized, ...others] = tokenizer.words(word.trim());
  if (normalized === undefined || others.length > 0) {
    return null;
  }
  return tokenizer.kind === "wordpiece"
    ? explainLongestMatch(tokenizer, word, normalized)
    : explainUnigram(tokenizer, word, normalized);
}

function explainMerges(tokenizer: NativeTokenizer, word: string): MergeExplanation | null {
  const bytes = Buffer.from(word);
  const ids = bytes.length === 0 || bytes.length > LONGEST_WORD_BYTES ? null : bytesAsTokens(tokenizer, bytes);
  const table = tableOf(tokenizer);
  if (ids === null || table.rankOf.size === 0) {
    return null;
  }
  const textsOf = () => ids.map((id) => pieceText(tokenizer.tokenBytes(id)));
  const steps: MergeStep[] = [];
  for (;;) {
    let best: { at: number; rank: number; result: number } | null = null;
    for (let at = 0; at + 1 < ids.length; at += 1) {
      const merge = table.rankOf.get(`${ids[at]} ${ids[at + 1]}`);
      if (merge !== undefined && (best === null || merge.rank < best.rank)) {
        best = { at, ...merge };
      }
    }
    if (best === null) {
      break;
    }
    const [left = 0, right = 0] = ids.slice(best.at, best.at + 2);
    ids.splice(best.at, 2, best.result);
    steps.push({
      rank: best.rank,
      left: pieceText(tokenizer.tokenBytes(left)),
      right: pieceText(tokenizer.tokenBytes(right)),
      pieces: textsOf(),
    });
  }
  // A word that pre-tokenization cuts is encoded otherwise; explaining it as one would be wrong.
  const encoded = [...tokenizer.encode(word).ids];
  const wholeId = tokenizer.idOfBytes(bytes);
  if (encoded.join(" ") !== ids.join(" ") && !(encoded.length === 1 && encoded[0] === wholeId)) {
    return null;
  }
  const borders: LeftBorder[] = [];
  let offset = 0;
  for (let at = 0; at + 1 < ids.length; at += 1) {
    const left = tokenizer.tokenBytes(ids[at] ?? 0);
    offset += left.length;
    borders.push({
      left: pieceText(left),
      right: pieceText(tokenizer.tokenBytes(ids[at + 1] ?? 0)),
      crossing: crossingTokens(tokenizer, table, bytes, offset),
    });
  }
  return { kind: "merges", word, pieces: textsOf(), wholeId, steps, borders };
}
