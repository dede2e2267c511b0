// Entity break rates as BioMegatron's Table 4 counts them: the tokens of annotated entities over their words. Beside it
// the same over each different name once, since a handful of names makes up most mentions, and how many words stay whole.
import type { NativeTokenizer } from "../engine/addon.ts";
import type { Mention } from "./entities.ts";
import { type PublishedBreakRate, publishedBreakRates } from "./published-break-rates.ts";

export type EntityBreaks = {
  readonly file: string;
  readonly mentions: number;
  /** Of all mentions; the words are those of the file. */
  readonly words: number;
  /** Different names, and their words. */
  readonly names: number;
  readonly nameWords: number;
  readonly rows: readonly {
    readonly tokenizer: string;
    readonly tokens: number;
    /** Tokens of all mentions over their words. */
    readonly breakRate: number;
    /** The same with every name counted once. */
    readonly nameBreakRate: number;
    /** Share of the words of all mentions that are one token. */
    readonly wholeWords: number;
    /** Words of all mentions with a part that is the unknown token: they look short, and say nothing. */
    readonly unknownWords: number;
  }[];
  /** Of the same data set, where somebody published them. */
  readonly published: readonly PublishedBreakRate[];
  /** Shares of the words that the compared corpus holds, of all mentions and of the names; null without a corpus. */
  readonly inCorpus: { readonly words: number; readonly nameWords: number } | null;
};

type Named = { readonly name: string; readonly tokenizer: NativeTokenizer };

function namesOf(mentions: readonly Mention[]): readonly (readonly string[])[] {
  return [...new Map(mentions.map(({ words }) => [words.join(" "), words])).values()];
}

/** Counts of each different word: encoding one word is encoding all of its kind. */
function countsOf(groups: readonly (readonly string[])[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const word of groups.flat()) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return counts;
}

function sum(counts: ReadonlyMap<string, number>, of: (word: string) => number): number {
  let total = 0;
  for (const [word, count] of counts) {
    total += count * of(word);
  }
  return total;
}

const parts = /[\p{L}\p{M}\p{N}]+/gu;

/** The runs of letters and digits of the entities' words, to be looked for in a corpus. */
export class WordsInCorpus {
  readonly #isSeen = new Map<string, boolean>();

  want(mentions: readonly Mention[]): void {
    for (const word of mentions.flatMap(({ words }) => words)) {
      for (const part of word.match(parts) ?? []) {
        this.#isSeen.set(part, false);
      }
    }
  }

  read(text: string): void {
    for (const part of this.#isSeen.size === 0 ? [] : (text.match(parts) ?? [])) {
      if (this.#isSeen.has(part)) {
        this.#isSeen.set(part, true);
      }
    }
  }

  /** With capitals as written; a word of signs alone counts as there. */
  holds(word: string): boolean {
    return (word.match(parts) ?? []).every((part) => this.#isSeen.get(part) === true);
  }
}

export async function entityBreaks(
  named: readonly Named[],
  file: string,
  mentions: readonly Mention[],
  corpus: WordsInCorpus | null,
): Promise<EntityBreaks> {
  const names = namesOf(mentions);
  const ofMentions = countsOf(mentions.map(({ words }) => words));
  const ofNames = countsOf(names);
  const words = [...ofMentions.keys()];
  const mentionWords = sum(ofMentions, () => 1);
  const nameWords = sum(ofNames, () => 1);
  const rows: EntityBreaks["rows"][number][] = [];
  for (const { name, tokenizer } of named) {
    // Words as they stand within a sentence: each after a space.
    const { ids, offsets } = await tokenizer.encodeBatch(words.map((word) => ` ${word}`));
    const unknown = tokenizer.kind === "byte-bpe" ? null : tokenizer.roleId("unk");
    const cut = new Map(
      words.map((word, at) => {
        const own = ids.subarray(offsets[at] ?? 0, offsets[at + 1] ?? 0);
        return [word, { tokens: own.length, isUnknown: unknown !== null && own.includes(unknown) }];
      }),
    );
    const tokensOf = (word: string): number => cut.get(word)?.tokens ?? 0;
    const isUnknown = (word: string): boolean => cut.get(word)?.isUnknown ?? false;
    const tokens = sum(ofMentions, tokensOf);
    rows.push({
      tokenizer: name,
      tokens,
      breakRate: tokens / mentionWords,
      nameBreakRate: sum(ofNames, tokensOf) / nameWords,
      wholeWords: sum(ofMentions, (word) => (tokensOf(word) === 1 && !isUnknown(word) ? 1 : 0)) / mentionWords,
      unknownWords: sum(ofMentions, (word) => (isUnknown(word) ? 1 : 0)),
    });
  }
  const held = (word: string): number => (corpus?.holds(word) === true ? 1 : 0);
  return {
    file,
    mentions: mentions.length,
    words: mentionWords,
    names: names.length,
    nameWords,
    rows,
    published: publishedBreakRates(file),
    inCorpus:
      corpus === null
        ? null
        : { words: sum(ofMentions, held) / mentionWords, nameWords: sum(ofNames, held) / nameWords },
  };
}
