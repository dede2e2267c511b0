// Count-based language models of the same tokens a neural model is trained on: the referees beside which a small
// model's perplexity means something. Both are smoothed, so no held-out token has probability zero.
//
// Unigram: additive smoothing, p(w) = (c(w) + 1) / (N + V).
// Trigram: interpolated Kneser-Ney with one discount an order (Kneser & Ney 1995; Chen & Goodman 1999, eq. for
// interpolated KN): p(w|uv) = max(c(uvw) − D, 0)/c(uv) + D·n1+(uv·)/c(uv) · p(w|v), the lower orders counting in how many
// different contexts a word was seen; the unigram level is interpolated with the uniform distribution.

/** Documents of token ids, end-of-text not included; each is scored alone with end-of-text as its context. */
export type TokenDocuments = Iterable<ArrayLike<number>>;

export type LanguageModelScore = { readonly nats: number; readonly tokenCount: number };

export interface CountModel {
  /** Natural logarithm of the probability of `token` after `previous` (nearest last; shorter contexts are fine). */
  logProbability(token: number, previous: readonly [number, number]): number;
}

export function scoreDocuments(model: CountModel, documents: TokenDocuments, endOfTextId: number): LanguageModelScore {
  let nats = 0;
  let tokenCount = 0;
  for (const document of documents) {
    let before = endOfTextId;
    let last = endOfTextId;
    for (let at = 0; at < document.length; at += 1) {
      const token = document[at] ?? endOfTextId;
      nats -= model.logProbability(token, [before, last]);
      tokenCount += 1;
      before = last;
      last = token;
    }
  }
  return { nats, tokenCount };
}

export function trainUnigram(documents: TokenDocuments, vocabSize: number, endOfTextId: number): CountModel {
  const counts = new Float64Array(vocabSize);
  let total = 0;
  for (const document of documents) {
    for (let at = 0; at < document.length; at += 1) {
      const token = document[at] ?? endOfTextId;
      counts[token] = (counts[token] ?? 0) + 1;
      total += 1;
    }
    // The end-of-text after each document is a token of the training text as well.
    counts[endOfTextId] = (counts[endOfTextId] ?? 0) + 1;
    total += 1;
  }
  return {
    logProbability: (token) => Math.log(((counts[token] ?? 0) + 1) / (total + vocabSize)),
  };
}

/** Counts of one order, keyed by numbers that stay exact in a double: (context index or pair) · V + token. */
type OrderCounts = {
  readonly counts: Map<number, number>;
  /** Sum of counts after each context, and how many different tokens followed it. */
  readonly contextTotals: Map<number, number>;
  readonly contextTypes: Map<number, number>;
  discount: number;
};

function newOrder(): OrderCounts {
  return { counts: new Map(), contextTotals: new Map(), contextTypes: new Map(), discount: 0.5 };
}

function increment(map: Map<number, number>, key: number, by = 1): void {
  map.set(key, (map.get(key) ?? 0) + by);
}

/** D = n1 / (n1 + 2·n2), from the numbers of events seen once and twice (Ney, Essen & Kneser 1994). */
function estimateDiscount(counts: Map<number, number>): number {
  let once = 0;
  let twice = 0;
  for (const count of counts.values()) {
    once += count === 1 ? 1 : 0;
    twice += count === 2 ? 1 : 0;
  }
  return once === 0 || twice === 0 ? 0.5 : once / (once + 2 * twice);
}

export function trainTrigram(documents: TokenDocuments, vocabSize: number, endOfTextId: number): CountModel {
  if (vocabSize ** 3 > Number.MAX_SAFE_INTEGER) {
    throw new RangeError(`A trigram of ${vocabSize} tokens does not fit the key; at most 208 000 are possible.`);
  }
  const trigram = newOrder();
  const bigram = newOrder();
  const unigramContexts = new Float64Array(vocabSize);
  for (const document of documents) {
    let before = endOfTextId;
    let last = endOfTextId;
    for (let at = 0; at <= document.length; at += 1) {
      const token = at < document.length ? (document[at] ?? endOfTextId) : endOfTextId;
      increment(trigram.counts, (before * vocabSize + last) * vocabSize + token);
      before = last;
      last = token;
    }
  }
  // Lower orders count continuations: in how many different left contexts was (v, w), and then w, seen?
  for (const [key, count] of trigram.counts) {
    const context = Math.floor(key / vocabSize);
    increment(trigram.contextTotals, context, count);
    increment(trigram.contextTypes, context);
    increment(bigram.counts, (context % vocabSize) * vocabSize + (key % vocabSize));
  }
  let unigramTotal = 0;
  let unigramTypes = 0;
  for (const [key, count] of bigram.counts) {
    const context = Math.floor(key / vocabSize);
    const token = key % vocabSize;
    increment(bigram.contextTotals, context, count);
    increment(bigram.contextTypes, context);
    if (unigramContexts[token] === 0) {
      unigramTypes += 1;
    }
    unigramContexts[token] = (unigramContexts[token] ?? 0) + 1;
    unigramTotal += 1;
  }
  trigram.discount = estimateDiscount(trigram.counts);
  bigram.discount = estimateDiscount(bigram.counts);
  const unigramDiscount = 0.5;

  const interpolate = (order: OrderCounts, context: number, token: number, lower: number): number => {
    const total = order.contextTotals.get(context);
    if (total === undefined) {
      return lower;
    }
    const count = order.counts.get(context * vocabSize + token) ?? 0;
    const types = order.contextTypes.get(context) ?? 0;
    return Math.max(count - order.discount, 0) / total + ((order.discount * types) / total) * lower;
  };
  return {
    logProbability: (token, [before, last]) => {
      const uniform = 1 / vocabSize;
      const unigram =
        unigramTotal === 0
          ? uniform
          : Math.max((unigramContexts[token] ?? 0) - unigramDiscount, 0) / unigramTotal +
            ((unigramDiscount * unigramTypes) / unigramTotal) * uniform;
      const afterOne = interpolate(bigram, last, token, unigram);
      return Math.log(interpolate(trigram, before * vocabSize + last, token, afterOne));
    },
  };
}
