// What a corpus consists of, by documents, words and tokens: by year, journal, language, section, MeSH heading and kind of
// publication where the documents say so. Memory is bounded by the number of different values.
import type { NativeTokenizer } from "../engine/addon.ts";
import { detectLanguage } from "./clean/language.ts";
import { type CorpusDocument, type ReadCorpusOptions, readCorpus } from "./read-corpus.ts";

export const statisticsGroups = [
  "year",
  "journal",
  "language",
  "section",
  "mesh",
  "publication_type",
  "source",
] as const;
export type StatisticsGroup = (typeof statisticsGroups)[number];

export type Amount = {
  readonly documents: number;
  readonly words: number;
  /** Null without a tokenizer. */
  readonly tokens: number | null;
};

export type CorpusStatistics = Amount & {
  readonly characters: number;
  readonly textBytes: number;
  readonly wordsPerDocument: { readonly least: number; readonly mean: number; readonly most: number };
  /** The largest first; what has no value is under "(none)". */
  readonly groups: Readonly<Record<StatisticsGroup, readonly (Amount & { readonly name: string })[]>>;
};

export type StatisticsOptions = {
  readonly inputs: readonly string[];
  readonly tokenizer: NativeTokenizer | null;
  /** Tells the language from the text where a document does not say it. */
  readonly detectLanguages: boolean;
  readonly format?: ReadCorpusOptions["format"];
  readonly textFields?: ReadCorpusOptions["textFields"];
  readonly signal?: ReadCorpusOptions["signal"];
  readonly onProgress?: ReadCorpusOptions["onProgress"];
  readonly onNotice?: ReadCorpusOptions["onNotice"];
};

/** Words as white space separates them. */
export function countWords(text: string): number {
  let words = 0;
  let isInside = false;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    const isBlank =
      code === 0x20 ||
      (code >= 0x09 && code <= 0x0d) ||
      code === 0xa0 ||
      code === 0x3000 ||
      (code >= 0x2000 && code <= 0x200a) ||
      code === 0x2028 ||
      code === 0x2029;
    if (!isBlank && !isInside) {
      words += 1;
    }
    isInside = !isBlank;
  }
  return words;
}

const MAX_VALUES = 200_000;
const NONE = "(none)";
const OTHERS = "(others)";

class Tally {
  readonly #values = new Map<string, { documents: number; words: number; tokens: number }>();

  add(name: string, words: number, tokens: number, documents = 1): void {
    const own = this.#values.has(name) || this.#values.size < MAX_VALUES ? name : OTHERS;
    const value = this.#values.get(own);
    if (value === undefined) {
      this.#values.set(own, { documents, words, tokens });
    } else {
      value.documents += documents;
      value.words += words;
      value.tokens += tokens;
    }
  }

  list(hasTokens: boolean): readonly (Amount & { readonly name: string })[] {
    return [...this.#values]
      .map(([name, { documents, words, tokens }]) => ({ name, documents, words, tokens: hasTokens ? tokens : null }))
      .toSorted((a, b) => b.words - a.words || (a.name < b.name ? -1 : 1));
  }
}

/** ISO 639-1 for the codes that PubMed uses most; others stay as they are. */
const twoLetters: Readonly<Record<string, string>> = {
  eng: "en",
  ger: "de",
  deu: "de",
  fre: "fr",
  fra: "fr",
  spa: "es",
  ita: "it",
  por: "pt",
  rus: "ru",
  chi: "zh",
  zho: "zh",
  jpn: "ja",
  kor: "ko",
  pol: "pl",
  dut: "nl",
  nld: "nl",
  swe: "sv",
  dan: "da",
  nor: "no",
  fin: "fi",
  cze: "cs",
  ces: "cs",
  hun: "hu",
  tur: "tr",
  ukr: "uk",
};

function languageOf(document: CorpusDocument, detect: boolean): string {
  const { language } = document.metadata;
  if (typeof language === "string" && language !== "") {
    const code = language.toLowerCase();
    return twoLetters[code] ?? code.replace(/-.*$/, "");
  }
  return detect ? detectLanguage(document.text).language : NONE;
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** "1. Methods:" and "METHODS" are one. */
function sectionName(title: string): string {
  return title
    .replace(/^[\d.]+\s+/, "")
    .replace(/[:.]$/, "")
    .trim()
    .toUpperCase();
}

/** The text of each section; what stands before the first is the title, or has none. */
function sectionsOf(document: CorpusDocument): readonly { readonly name: string; readonly text: string }[] {
  const { sections } = document.metadata;
  const begins = (Array.isArray(sections) ? sections : []).flatMap((each: unknown) => {
    if (typeof each !== "object" || each === null || !("title" in each) || !("line" in each)) {
      return [];
    }
    const { title, line } = each;
    return typeof title === "string" && typeof line === "number" ? [{ name: sectionName(title), line }] : [];
  });
  const lines = document.text.split("\n");
  const [first] = begins;
  const before = first === undefined ? lines.length : first.line;
  return [
    { name: NONE, text: lines.slice(0, before).join("\n") },
    ...begins.map(({ name, line }, at) => ({
      name,
      text: lines.slice(line, begins[at + 1]?.line ?? lines.length).join("\n"),
    })),
  ].filter(({ text }) => text !== "");
}

async function countTokens(tokenizer: NativeTokenizer | null, batch: readonly string[]): Promise<readonly number[]> {
  if (tokenizer === null || batch.length === 0) {
    return batch.map(() => 0);
  }
  const { offsets } = await tokenizer.encodeBatch(batch);
  return batch.map((_, at) => (offsets[at + 1] ?? 0) - (offsets[at] ?? 0));
}

export async function corpusStatistics(options: StatisticsOptions): Promise<CorpusStatistics> {
  const { inputs, tokenizer, detectLanguages, format, textFields, signal, onProgress, onNotice } = options;
  const tallies = Object.fromEntries(statisticsGroups.map((group) => [group, new Tally()] as const));
  const tally = (group: StatisticsGroup) => tallies[group] ?? new Tally();
  let documents = 0;
  let words = 0;
  let tokens = 0;
  let characters = 0;
  let textBytes = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  for await (const batch of readCorpus(inputs, { format, textFields, signal, onProgress, onNotice })) {
    const sections = batch.map(sectionsOf);
    const ofDocuments = await countTokens(
      tokenizer,
      batch.map((document) => document.text),
    );
    const ofSections = await countTokens(
      tokenizer,
      sections.flatMap((each) => each.map((section) => section.text)),
    );
    let sectionAt = 0;
    for (const [at, document] of batch.entries()) {
      const own = countWords(document.text);
      const ownTokens = ofDocuments[at] ?? 0;
      documents += 1;
      words += own;
      tokens += ownTokens;
      characters += document.text.length;
      textBytes += Buffer.byteLength(document.text);
      least = Math.min(least, own);
      most = Math.max(most, own);
      const { year, journal, mesh, publication_types: kinds, source } = document.metadata;
      tally("year").add(typeof year === "number" || typeof year === "string" ? String(year) : NONE, own, ownTokens);
      tally("journal").add(typeof journal === "string" ? journal : NONE, own, ownTokens);
      tally("language").add(languageOf(document, detectLanguages), own, ownTokens);
      tally("source").add(typeof source === "string" ? source : document.source, own, ownTokens);
      for (const [group, values] of [
        ["mesh", texts(mesh)],
        ["publication_type", texts(kinds)],
      ] as const) {
        for (const value of values.length === 0 ? [NONE] : new Set(values)) {
          tally(group).add(value, own, ownTokens);
        }
      }
      const seen = new Set<string>();
      for (const { name, text } of sections[at] ?? []) {
        // A section that comes twice counts its document once.
        tally("section").add(name, countWords(text), ofSections[sectionAt] ?? 0, seen.has(name) ? 0 : 1);
        seen.add(name);
        sectionAt += 1;
      }
    }
  }
  const hasTokens = tokenizer !== null;
  const list = (group: StatisticsGroup) => tally(group).list(hasTokens);
  return {
    documents,
    words,
    tokens: hasTokens ? tokens : null,
    characters,
    textBytes,
    wordsPerDocument: { least, mean: words / documents, most },
    groups: {
      year: list("year"),
      journal: list("journal"),
      language: list("language"),
      section: list("section"),
      mesh: list("mesh"),
      publication_type: list("publication_type"),
      source: list("source"),
    },
  };
}
