// Do the texts one evaluates on stand in the corpus one trains on? Every run of 13 words of every item is looked up in the
// whole corpus; per item: what share of its runs was found, in which documents, and the words that match. Items shorter
// than that are looked for whole.
import { AppError } from "#shared/errors";
import { RunHashes, type Words, wordsOf } from "./clean/words.ts";
import { type CorpusDocument, type ReadCorpusOptions, readCorpus } from "./read-corpus.ts";

export type ScanOptions = {
  readonly evaluation: readonly string[];
  readonly corpus: readonly string[];
  /** Of the items; the corpus has its text in `text`. */
  readonly textFields: readonly string[];
  readonly idField: string | null;
  readonly runWords: number;
  /** Items of fewer words are not looked for: they would be found by chance. */
  readonly leastWords: number;
  readonly signal?: ReadCorpusOptions["signal"];
  readonly onProgress?: ReadCorpusOptions["onProgress"];
  readonly onNotice?: ReadCorpusOptions["onNotice"];
};

export type ScanMatch = {
  readonly document: string;
  readonly source: string;
  /** Runs of the item that this document holds. */
  readonly runs: number;
  /** The longest stretch that is the same word for word: in the item's text, from inclusive, to exclusive. */
  readonly from: number;
  readonly to: number;
  readonly words: number;
  /** What stands around it in the item. */
  readonly before: string;
  readonly after: string;
  readonly itemText: string;
  /** As the document has it. */
  readonly text: string;
  readonly documentBefore: string;
  readonly documentAfter: string;
};

export type ScannedItem = {
  readonly item: string;
  readonly source: string;
  readonly words: number;
  readonly runs: number;
  /** Runs found anywhere in the corpus. */
  readonly found: number;
  readonly overlap: number;
  /** The documents with most of them. */
  readonly matches: readonly ScanMatch[];
  readonly documents: number;
};

export type ScanReport = {
  readonly items: number;
  readonly tooShort: number;
  readonly documents: number;
  readonly runWords: number;
  /** How many items have any run in the corpus, at least half of them, at least 80 %. */
  readonly anyOverlap: number;
  readonly halfOverlap: number;
  readonly mostOverlap: number;
  /** Items with any overlap, most first. */
  readonly found: readonly ScannedItem[];
};

const MATCHES_KEPT = 5;
const MAX_RUNS = 32 * 1024 * 1024;
const MATCHED_CHARACTERS = 2000;
const CONTEXT_CHARACTERS = 200;

class Item {
  readonly id: string;
  readonly source: string;
  readonly text: string;
  readonly words: Words;
  readonly length: number;
  readonly firstRun: number;
  matches: ScanMatch[] = [];
  documents = 0;

  constructor(document: CorpusDocument, words: Words, length: number, firstRun: number) {
    this.id = document.id;
    this.source = document.source;
    this.text = document.text;
    this.words = words;
    this.length = length;
    this.firstRun = firstRun;
  }

  get runs(): number {
    return this.words.count - this.length + 1;
  }
}

/** All runs of all items by their hash. Runs are numbered; equal ones are chained. */
class RunTable {
  readonly #mask: number;
  readonly #high: Uint32Array;
  readonly #low: Uint32Array;
  /** One more than the run; 0 where the place is free. */
  readonly #first: Uint32Array;
  readonly #next: Uint32Array;

  constructor(runs: number) {
    let size = 1024;
    while (size < 2 * runs) {
      size *= 2;
    }
    this.#mask = size - 1;
    this.#high = new Uint32Array(size);
    this.#low = new Uint32Array(size);
    this.#first = new Uint32Array(size);
    this.#next = new Uint32Array(runs);
  }

  #place(high: number, low: number): number {
    let at = low & this.#mask;
    while (this.#first[at] !== 0 && (this.#high[at] !== high || this.#low[at] !== low)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  add(high: number, low: number, run: number): void {
    const at = this.#place(high, low);
    this.#next[run] = this.#first[at] ?? 0;
    this.#high[at] = high;
    this.#low[at] = low;
    this.#first[at] = run + 1;
  }

  /** One more than a run with this hash; 0 where there is none. */
  first(high: number, low: number): number {
    return this.#first[this.#place(high, low)] ?? 0;
  }

  /** The next with the same hash, counted the same. */
  next(run: number): number {
    return this.#next[run - 1] ?? 0;
  }
}

type Evaluation = { readonly items: readonly Item[]; readonly tooShort: number; readonly runs: number };

async function readItems(options: ScanOptions): Promise<Evaluation> {
  const items: Item[] = [];
  let tooShort = 0;
  let runs = 0;
  const { textFields, idField, signal, onNotice } = options;
  for await (const batch of readCorpus(options.evaluation, { textFields, idField, signal, onNotice })) {
    for (const document of batch) {
      const words = wordsOf(document.text);
      if (words.count < Math.min(options.leastWords, options.runWords)) {
        tooShort += 1;
        continue;
      }
      const item = new Item(document, words, Math.min(options.runWords, words.count), runs);
      items.push(item);
      runs += item.runs;
    }
  }
  if (runs > MAX_RUNS) {
    throw new AppError(
      "BAD_ARGUMENT",
      `The evaluation sets hold ${runs} runs of words, and at most ${MAX_RUNS} are looked for at once; scan them in parts.`,
    );
  }
  return { items, tooShort, runs };
}

type Stretch = {
  runs: number;
  longest: number;
  itemWord: number;
  documentWord: number;
  lastItem: number;
  lastDocument: number;
  current: number;
};

class Scanner {
  readonly #items: readonly Item[];
  readonly #table: RunTable;
  /** The item of each run. */
  readonly #itemOf: Uint32Array;
  readonly #isFound: Uint8Array;
  readonly #lengths: readonly number[];

  constructor({ items, runs }: Evaluation) {
    this.#items = items;
    this.#table = new RunTable(runs);
    this.#itemOf = new Uint32Array(runs);
    this.#isFound = new Uint8Array(runs);
    const lengths = new Set<number>();
    for (const [number, item] of items.entries()) {
      lengths.add(item.length);
      const hashes = new RunHashes(item.words);
      for (let at = 0; at < item.runs; at += 1) {
        this.#itemOf[item.firstRun + at] = number;
        this.#table.add(hashes.high(at, item.length), hashes.low(at, item.length), item.firstRun + at);
      }
    }
    this.#lengths = [...lengths];
  }

  /** Looks all items up in one document. */
  scan(document: CorpusDocument): void {
    const words = wordsOf(document.text);
    const hashes = new RunHashes(words);
    const stretches = new Map<number, Stretch>();
    for (const length of this.#lengths) {
      for (let at = 0; at + length <= words.count; at += 1) {
        const high = hashes.high(at, length);
        let run = this.#table.first(high, hashes.low(at, length));
        for (; run !== 0; run = this.#table.next(run)) {
          this.#note(stretches, run - 1, at, length);
        }
      }
    }
    for (const [number, stretch] of stretches) {
      const item = this.#items[number];
      if (item !== undefined) {
        this.#keep(item, stretch, document, words);
      }
    }
  }

  #note(stretches: Map<number, Stretch>, run: number, documentWord: number, length: number): void {
    const number = this.#itemOf[run] ?? 0;
    const item = this.#items[number];
    if (item === undefined || item.length !== length) {
      return;
    }
    this.#isFound[run] = 1;
    const itemWord = run - item.firstRun;
    let stretch = stretches.get(number);
    if (stretch === undefined) {
      stretch = { runs: 0, longest: 0, itemWord: 0, documentWord: 0, lastItem: -2, lastDocument: -2, current: 0 };
      stretches.set(number, stretch);
    }
    stretch.runs += 1;
    const goesOn = itemWord === stretch.lastItem + 1 && documentWord === stretch.lastDocument + 1;
    stretch.current = goesOn ? stretch.current + 1 : 1;
    stretch.lastItem = itemWord;
    stretch.lastDocument = documentWord;
    if (stretch.current > stretch.longest) {
      stretch.longest = stretch.current;
      stretch.itemWord = itemWord - stretch.current + 1;
      stretch.documentWord = documentWord - stretch.current + 1;
    }
  }

  #keep(item: Item, stretch: Stretch, document: CorpusDocument, words: Words): void {
    item.documents += 1;
    const least = item.matches.at(-1);
    if (least !== undefined && item.matches.length >= MATCHES_KEPT && least.runs >= stretch.runs) {
      return;
    }
    const wordCount = stretch.longest + item.length - 1;
    const span = (spans: Uint32Array, first: number): readonly [number, number] => [
      spans[2 * first] ?? 0,
      spans[2 * (first + wordCount - 1) + 1] ?? 0,
    ];
    const [from, to] = span(item.words.spans, stretch.itemWord);
    const [begin, end] = span(words.spans, stretch.documentWord);
    const match: ScanMatch = {
      document: document.id,
      source: document.source,
      runs: stretch.runs,
      from,
      to,
      words: wordCount,
      before: item.text.slice(Math.max(0, from - CONTEXT_CHARACTERS), from),
      after: item.text.slice(to, to + CONTEXT_CHARACTERS),
      itemText: item.text.slice(from, Math.min(to, from + MATCHED_CHARACTERS)),
      text: document.text.slice(begin, Math.min(end, begin + MATCHED_CHARACTERS)),
      documentBefore: document.text.slice(Math.max(0, begin - CONTEXT_CHARACTERS), begin),
      documentAfter: document.text.slice(end, end + CONTEXT_CHARACTERS),
    };
    // Among equals the earlier document stays first.
    item.matches = [...item.matches, match].toSorted((a, b) => b.runs - a.runs).slice(0, MATCHES_KEPT);
  }

  found(item: Item): number {
    return this.#isFound.subarray(item.firstRun, item.firstRun + item.runs).reduce((sum, each) => sum + each, 0);
  }
}

export async function scanContamination(options: ScanOptions): Promise<ScanReport> {
  const evaluation = await readItems(options);
  const scanner = new Scanner(evaluation);
  let documents = 0;
  const { signal, onProgress, onNotice } = options;
  for await (const batch of readCorpus(options.corpus, { signal, onProgress, onNotice })) {
    for (const document of batch) {
      scanner.scan(document);
      documents += 1;
    }
  }
  const found = evaluation.items
    .map((item): ScannedItem => {
      const runs = scanner.found(item);
      const { id, source, words, matches } = item;
      return {
        item: id,
        source,
        words: words.count,
        runs: item.runs,
        found: runs,
        overlap: runs / item.runs,
        matches,
        documents: item.documents,
      };
    })
    .filter((item) => item.found > 0)
    .toSorted((a, b) => b.overlap - a.overlap || b.found - a.found);
  const atLeast = (share: number) => found.filter((item) => item.overlap >= share).length;
  return {
    items: evaluation.items.length,
    tooShort: evaluation.tooShort,
    documents,
    runWords: options.runWords,
    anyOverlap: found.length,
    halfOverlap: atLeast(0.5),
    mostOverlap: atLeast(0.8),
    found,
  };
}
