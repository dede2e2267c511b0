// Several tokenizers on the same corpus, terms or annotated entities: the numbers that decide between them.
import path from "node:path";
import type { CancelSignal } from "#shared/ipc/contract";
import { inBatches } from "../corpus/batches.ts";
import { type CorpusProgress, readDocuments } from "../corpus/documents.ts";
import type { NativeTokenizer } from "../engine/addon.ts";
import { type Mention, readMentions } from "./entities.ts";
import { type EntityBreaks, entityBreaks, WordsInCorpus } from "./entity-breaks.ts";
import { loadTokenizer } from "./load.ts";
import { pieceText } from "./pieces.ts";
import { countTerm } from "./term-count.ts";
import { frequentNames, readTerms } from "./term-lists.ts";
import { summarizeTerms, type TermGroup, type TermRow } from "./term-pieces.ts";
import { countWholeWords } from "./whole-words.ts";

export type { EntityBreaks } from "./entity-breaks.ts";
export type { TermGroup, TermRow } from "./term-pieces.ts";

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
  readonly terms: readonly TermRow[] | null;
  /** What the terms come to, by group; null without terms. */
  readonly termGroups: readonly TermGroup[] | null;
  /** One for each file of annotated entities; null without any. */
  readonly entities: readonly EntityBreaks[] | null;
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

/** A run keeps its tokenizer in a folder of that name: what tells it from others is the run. */
function shortName(source: string): string {
  const place = path.resolve(source);
  const name = path.basename(place);
  const parent = path.basename(path.dirname(place));
  return name === "tokenizer" ? (/^\d{8}-\d{6}-(.+)-[0-9a-f]{4}$/.exec(parent)?.[1] ?? name) : name;
}

function namesOf(sources: readonly string[]): readonly string[] {
  const short = sources.map((source) => (source === "gpt2" ? source : shortName(source)));
  return sources.map((source, index) => {
    const name = short[index] ?? source;
    const isUnclear = name === "tokenizer.json" || short.filter((each) => each === name).length > 1;
    return isUnclear ? source : name;
  });
}

function countWords(text: string): number {
  return text.match(/\S+/g)?.length ?? 0;
}

async function overCorpus(
  named: readonly Named[],
  terms: readonly string[],
  entityWords: WordsInCorpus,
  options: CompareOptions,
) {
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
    documents += texts.length;
    for (const text of texts) {
      words += countWords(text);
      let inText = 0;
      for (const [index, { tokenizer }] of named.entries()) {
        const { ids, starts } = tokenizer.encode(text);
        tokens[index] = (tokens[index] ?? 0) + ids.length;
        const tally = countWholeWords(text, starts);
        whole[index] = (whole[index] ?? 0) + tally.whole;
        inText = tally.words;
      }
      plainWords += inText;
      bytes += Buffer.byteLength(text);
      entityWords.read(text);
      for (const [index, term] of terms.entries()) {
        counts[index] = (counts[index] ?? 0) + countTerm(text, term);
      }
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

function piecesOf(tokenizer: NativeTokenizer, term: string): readonly string[] {
  return Array.from(tokenizer.encode(term).ids, (id) => pieceText(tokenizer.tokenBytes(id)));
}

/** Terms that were given, then the most frequent names of each file, as within a sentence; each once. */
function listTerms(
  given: readonly string[],
  sets: readonly { readonly mentions: readonly Mention[] }[],
  topEntities: number,
): readonly Pick<TermRow, "term" | "group" | "mentions">[] {
  const listed = new Map<string, { term: string; group: string | null; mentions: number | null }>();
  for (const term of given) {
    listed.set(term, { term, group: null, mentions: null });
  }
  for (const { mentions } of sets) {
    for (const { name, type, count } of frequentNames(mentions, topEntities)) {
      const term = ` ${name}`;
      const known = listed.get(term);
      listed.set(term, {
        term,
        group: known === undefined ? type : known.group,
        mentions: (known?.mentions ?? 0) + count,
      });
    }
  }
  return [...listed.values()];
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
  const sets: { readonly file: string; readonly mentions: readonly Mention[] }[] = [];
  const entityWords = new WordsInCorpus();
  for (const file of options.iobFiles ?? []) {
    const mentions = await readMentions(file);
    sets.push({ file, mentions });
    entityWords.want(mentions);
  }
  const listed = listTerms([...fromFile, ...(options.terms ?? [])], sets, options.topEntities ?? 0);
  const hasCorpus = (options.inputs ?? []).length > 0;
  const texts = listed.map(({ term }) => term);
  const counted = hasCorpus ? await overCorpus(named, texts, entityWords, options) : null;
  const entities: EntityBreaks[] = [];
  for (const { file, mentions } of sets) {
    entities.push(await entityBreaks(named, file, mentions, hasCorpus ? entityWords : null));
  }
  const terms = listed.map((each, index) => ({
    ...each,
    count: counted === null ? null : (counted.counts[index] ?? 0),
    pieces: named.map(({ tokenizer }) => piecesOf(tokenizer, each.term)),
  }));
  return {
    tokenizers: names,
    corpus: counted?.corpus ?? null,
    terms: terms.length === 0 ? null : terms,
    termGroups: terms.length === 0 ? null : summarizeTerms(names, terms),
    entities: entities.length === 0 ? null : entities,
  };
}
