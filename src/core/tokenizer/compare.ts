// Several tokenizers on the same corpus, terms or annotated entities: the numbers that decide between them.
import path from "node:path";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { type CorpusProgress, readDocuments } from "../corpus/documents.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { type Mention, readMentions } from "./entities.ts";
import { loadTokenizer } from "./load.ts";
import { pieceText } from "./pieces.ts";
import { type PublishedBreakRate, publishedBreakRates } from "./published-break-rates.ts";
import { countTerm } from "./term-count.ts";
import { type FrequentName, frequentNames, readTerms } from "./term-lists.ts";
import { countWholeWords } from "./whole-words.ts";

export type TokenizerComparison = {
  /** Their names, in the order given; every row below follows it. */
  readonly tokenizers: readonly string[];
  readonly corpus: {
    readonly documents: number;
    /** Separated by white space. */
    readonly words: number;
    readonly bytes: number;
    readonly rows: readonly {
      readonly tokenizer: string;
      readonly tokens: number;
      readonly bytesPerToken: number;
      /** Tokens a word. */
      readonly fertility: number;
      /** Share of the words (runs of letters and digits) that no token border cuts. */
      readonly wholeWords: number;
    }[];
  } | null;
  readonly terms:
    | readonly {
        readonly term: string;
        /** As a word of its own in the corpus; null where no corpus was given, 0 where it is absent. */
        readonly count: number | null;
        /** How often entities bear this name; null for a term that does not come from a file of them. */
        readonly mentions: number | null;
        readonly pieces: readonly (readonly string[])[];
      }[]
    | null;
  /** One for each file of annotated entities; null without any. */
  readonly entities: readonly EntityBreaks[] | null;
};

export type EntityBreaks = {
  readonly file: string;
  readonly mentions: number;
  readonly words: number;
  /** Tokens of all mentions over their words (BioMegatron, Table 4). */
  readonly rows: readonly { readonly tokenizer: string; readonly tokens: number; readonly breakRate: number }[];
  /** Of the same data set, where somebody published them. */
  readonly published: readonly PublishedBreakRate[];
};

export type CompareOptions = {
  readonly tokenizers: readonly string[];
  readonly inputs?: readonly string[];
  /** One term a line; a leading space counts. */
  readonly termsFile?: string;
  readonly terms?: readonly string[];
  /** IOB2 files of annotated entities. */
  readonly iobFiles?: readonly string[];
  /** The most frequent names of those entities join the terms, each as a word within a sentence; 0: none. */
  readonly topEntities?: number;
  readonly workspace?: string;
  readonly signal?: CancelSignal;
  readonly onProgress?: (progress: CorpusProgress) => void;
};

type Named = { readonly name: string; readonly tokenizer: NativeTokenizer };

function namesOf(sources: readonly string[]): readonly string[] {
  const short = sources.map((source) => (source === "gpt2" ? source : path.basename(path.resolve(source))));
  return sources.map((source, index) => {
    const name = short[index] ?? source;
    const isUnclear = name === "tokenizer.json" || short.filter((each) => each === name).length > 1;
    return isUnclear ? source : name;
  });
}

function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

async function overCorpus(named: readonly Named[], terms: readonly string[], options: CompareOptions) {
  const tokens = named.map(() => 0);
  const whole = named.map(() => 0);
  let plainWords = 0;
  const counts = terms.map(() => 0);
  let documents = 0;
  let words = 0;
  let bytes = 0;
  const read = readDocuments([...(options.inputs ?? [])], { signal: options.signal, onProgress: options.onProgress });
  for await (const batch of inBatches(read)) {
    const texts = batch.map((document) => document.text);
    const pending = named.map(({ tokenizer }) => tokenizer.encodeBatch(texts));
    documents += texts.length;
    for (const text of texts) {
      words += countWords(text);
      let inText = 0;
      for (const [index, { tokenizer }] of named.entries()) {
        const tally = countWholeWords(text, tokenizer.encode(text).starts);
        whole[index] = (whole[index] ?? 0) + tally.whole;
        inText = tally.words;
      }
      plainWords += inText;
      bytes += Buffer.byteLength(text);
      for (const [index, term] of terms.entries()) {
        counts[index] = (counts[index] ?? 0) + countTerm(text, term);
      }
    }
    for (const [index, encoded] of (await Promise.all(pending)).entries()) {
      tokens[index] = (tokens[index] ?? 0) + encoded.ids.length;
    }
  }
  const rows = named.map(({ name }, index) => {
    const count = tokens[index] ?? 0;
    return {
      tokenizer: name,
      tokens: count,
      bytesPerToken: bytes / count,
      fertility: count / words,
      wholeWords: (whole[index] ?? 0) / plainWords,
    };
  });
  return { corpus: { documents, words, bytes, rows }, counts };
}

async function overEntities(
  named: readonly Named[],
  file: string,
  mentions: readonly Mention[],
): Promise<EntityBreaks> {
  // Words as they stand within a sentence: each after a space.
  const texts = mentions.flatMap((mention) => mention.words.map((word) => ` ${word}`));
  const rows: { tokenizer: string; tokens: number; breakRate: number }[] = [];
  for (const { name, tokenizer } of named) {
    const { ids } = await tokenizer.encodeBatch(texts);
    rows.push({ tokenizer: name, tokens: ids.length, breakRate: ids.length / texts.length });
  }
  return { file, mentions: mentions.length, words: texts.length, rows, published: publishedBreakRates(file) };
}

function piecesOf(tokenizer: NativeTokenizer, term: string): readonly string[] {
  return Array.from(tokenizer.encode(term).ids, (id) => pieceText(tokenizer.tokenBytes(id)));
}

export async function compareTokenizers(options: CompareOptions): Promise<TokenizerComparison> {
  const names = namesOf(options.tokenizers);
  const named: Named[] = [];
  for (const [index, source] of options.tokenizers.entries()) {
    named.push({
      name: names[index] ?? source,
      tokenizer: await loadTokenizer(source, { workspace: options.workspace }),
    });
  }
  const fromFile = options.termsFile === undefined ? [] : await readTerms(options.termsFile);
  const entities: EntityBreaks[] = [];
  const frequent: FrequentName[] = [];
  for (const file of options.iobFiles ?? []) {
    const mentions = await readMentions(file);
    entities.push(await overEntities(named, file, mentions));
    frequent.push(...frequentNames(mentions, options.topEntities ?? 0));
  }
  const mentionsOf = new Map<string, number>();
  for (const { name, count } of frequent) {
    // As within a sentence.
    mentionsOf.set(` ${name}`, (mentionsOf.get(` ${name}`) ?? 0) + count);
  }
  const terms = [...new Set([...fromFile, ...(options.terms ?? []), ...mentionsOf.keys()])];
  const hasCorpus = (options.inputs ?? []).length > 0;
  const counted = hasCorpus ? await overCorpus(named, terms, options) : null;
  return {
    tokenizers: names,
    corpus: counted?.corpus ?? null,
    terms:
      terms.length === 0
        ? null
        : terms.map((term, index) => ({
            term,
            count: counted === null ? null : (counted.counts[index] ?? 0),
            mentions: mentionsOf.get(term) ?? null,
            pieces: named.map(({ tokenizer }) => piecesOf(tokenizer, term)),
          })),
    entities: entities.length === 0 ? null : entities,
  };
}
