// Assembles a continuation from streamed tokens. The engine holds back the bytes of a character until it is whole, so
// a token may arrive with an empty text; the next token that shows something carries the surprise of those before it.
import { surpriseBits } from "./surprise.ts";

export type Alternative = { readonly id: number; readonly text: string; readonly logprob: number };

export type StreamedToken = {
  readonly text: string;
  readonly id: number;
  readonly logprob: number;
  readonly index: number;
  /** Which of several continuations. */
  readonly sample: number;
  /** The likeliest tokens in its place, the likeliest first. */
  readonly alternatives: readonly Alternative[];
};

export type Word = {
  readonly text: string;
  /** Token ids in order: more than one where a character took several tokens. */
  readonly ids: readonly number[];
  /** Sum over its tokens. */
  readonly bits: number;
  /** Index of its first token within the continuation. */
  readonly index: number;
  /** What else might have stood there; none for a character of several tokens. */
  readonly alternatives: readonly Alternative[];
};

export type Continuation = {
  readonly words: readonly Word[];
  readonly tokenCount: number;
  /** Sum over all tokens, held-back ones counted in. */
  readonly totalBits: number;
  /** Tokens whose text is still held back. */
  readonly held: { readonly ids: readonly number[]; readonly bits: number; readonly index: number } | null;
};

export const emptyContinuation: Continuation = { words: [], tokenCount: 0, totalBits: 0, held: null };

export function appendTokens(continuation: Continuation, tokens: readonly StreamedToken[]): Continuation {
  if (tokens.length === 0) {
    return continuation;
  }
  const words = [...continuation.words];
  let { tokenCount, totalBits, held } = continuation;
  for (const token of tokens) {
    const bits = surpriseBits(token.logprob);
    tokenCount += 1;
    totalBits += bits;
    const ids = [...(held?.ids ?? []), token.id];
    const sum = (held?.bits ?? 0) + bits;
    const index = held?.index ?? token.index;
    if (token.text === "") {
      held = { ids, bits: sum, index };
    } else {
      words.push({ text: token.text, ids, bits: sum, index, alternatives: held === null ? token.alternatives : [] });
      held = null;
    }
  }
  return { words, tokenCount, totalBits, held };
}

export function continuationText(continuation: Continuation): string {
  return continuation.words.map((word) => word.text).join("");
}

/** Mean surprise in bits a token; null before the first. */
export function meanBits(continuation: Continuation): number | null {
  return continuation.tokenCount === 0 ? null : continuation.totalBits / continuation.tokenCount;
}
