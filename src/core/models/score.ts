// What a model thinks of a given text: how likely each token was, which place it had among all, and what the model would
// rather have read; and the perplexity of the whole. Read after end-of-text, as in training.
import type { LoadedModel } from "./load.ts";

export type ScoredToken = {
  readonly id: number;
  /** Byte offsets into the UTF-8 text. */
  readonly start: number;
  readonly end: number;
  /** Natural; null for the first token of a model without end-of-text, before which nothing stands. */
  readonly logprob: number | null;
  /** 1: the model's first choice. */
  readonly rank: number | null;
  /** Likeliest first. */
  readonly alternatives: readonly { readonly id: number; readonly logprob: number }[];
};

export type TextScore = {
  readonly tokens: readonly ScoredToken[];
  /** Of tokens with a logprob. */
  readonly scored: number;
  readonly nats: number;
  /** e to the mean loss; null where nothing was scored. */
  readonly perplexity: number | null;
};

export async function scoreText(
  { model, tokenizer }: Pick<LoadedModel, "model" | "tokenizer">,
  text: string,
  options: { readonly window?: number; readonly stride?: number; readonly topLogprobs?: number } = {},
): Promise<TextScore> {
  const { ids, starts, ends } = tokenizer.encode(text);
  const endOfTextId = tokenizer.endOfTextId;
  const scores = await model.score({ tokens: ids, ...(endOfTextId === null ? {} : { endOfTextId }), ...options });
  const each = scores.alternativesEach;
  const tokens = Array.from(ids, (id, index) => {
    const at = index - scores.firstScored;
    const alternatives = Array.from({ length: at < 0 ? 0 : each }, (_, place) => ({
      id: scores.alternativeIds[at * each + place] ?? 0,
      logprob: scores.alternativeLogprobs[at * each + place] ?? Number.NaN,
    }));
    return {
      id,
      start: starts[index] ?? 0,
      end: ends[index] ?? 0,
      logprob: scores.logprobs[at] ?? null,
      rank: scores.ranks[at] ?? null,
      alternatives,
    };
  });
  const scored = scores.logprobs.length;
  return { tokens, scored, nats: scores.nats, perplexity: scored === 0 ? null : Math.exp(scores.nats / scored) };
}
