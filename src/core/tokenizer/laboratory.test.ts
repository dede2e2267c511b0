import { describe, expect, it } from "vitest";
import { alignPieces } from "./align.ts";
import { parseMentions } from "./entities.ts";
import { WordsInCorpus } from "./entity-breaks.ts";
import { publishedBreakRates } from "./published-break-rates.ts";
import { frequentNames } from "./term-lists.ts";
import { summarizeTerms } from "./term-pieces.ts";
import { countWholeWords } from "./whole-words.ts";

const pieces = (...spans: readonly (readonly [string, number, number])[]) =>
  spans.map(([piece, start, end], id) => ({ id, piece, start, end }));

describe("alignPieces", () => {
  it("cuts where all tokenizers cut, and puts the space before a word to the word", () => {
    const text = "the cytotoxicity test";
    const bpe = pieces(["the", 0, 3], [" cyt", 3, 7], ["otoxicity", 7, 16], [" test", 16, 21]);
    const wordPiece = pieces(["the", 0, 3], ["cytotoxicity", 4, 16], ["te", 17, 19], ["##st", 19, 21]);
    const spans = alignPieces(text, [bpe, wordPiece]);
    expect(spans.map((span) => span.text)).toEqual(["the", " cytotoxicity", " test"]);
    expect(spans.map((span) => span.pieces.map((set) => set.map(({ piece }) => piece)))).toEqual([
      [["the"], ["the"]],
      [[" cyt", "otoxicity"], ["cytotoxicity"]],
      [[" test"], ["te", "##st"]],
    ]);
  });

  it("keeps every piece once where nothing but the ends is common", () => {
    const spans = alignPieces("abcd", [pieces(["ab", 0, 2], ["cd", 2, 4]), pieces(["a", 0, 1], ["bcd", 1, 4])]);
    expect(spans).toHaveLength(1);
    expect(spans[0]?.pieces.map((set) => set.length)).toEqual([2, 2]);
    expect(alignPieces("", [[], []])).toEqual([]);
  });
});

describe("countWholeWords", () => {
  it("counts runs of letters and digits that no token begins inside of", () => {
    // naïve |drug|s, 5 mg: the tokens begin at 0, 6, 11, 12, 13, 15.
    expect(countWholeWords("naïve drugs, 5mg", [0, 6, 11, 12, 13, 15])).toEqual({ words: 3, whole: 1 });
    expect(countWholeWords("naïve drugs", [0, 6])).toEqual({ words: 2, whole: 2 });
    expect(countWholeWords("naïve drugs", [0, 3, 6])).toEqual({ words: 2, whole: 1 });
    expect(countWholeWords(" … ", [0])).toEqual({ words: 0, whole: 0 });
  });
});

describe("frequentNames", () => {
  it("counts names as written, most frequent first", () => {
    const iob = "breast\tB-Disease\ncancer\tI-Disease\n\nflu\tB-Disease\nflu\tB-Disease\naspirin\tB-Chemical\n";
    const mentions = parseMentions(iob, "x.tsv");
    expect(frequentNames(mentions, 2)).toEqual([
      { name: "flu", type: "Disease", count: 2 },
      { name: "breast cancer", type: "Disease", count: 1 },
    ]);
    expect(frequentNames(mentions, 9, "Chemical")).toEqual([{ name: "aspirin", type: "Chemical", count: 1 }]);
  });
});

describe("summarizeTerms", () => {
  it("counts each group by itself, against the first tokenizer", () => {
    const row = (group: string | null, mentions: number | null, ...pieces: (readonly string[])[]) => ({
      term: "x",
      group,
      count: null,
      mentions,
      pieces,
    });
    const groups = summarizeTerms(
      ["a", "b"],
      [
        row(null, null, ["chrom", "atography"], ["chromatography"]),
        row("Disease", 3, ["flu"], ["f", "lu"]),
        row("Disease", 1, ["gout"], ["gout"]),
      ],
    );
    expect(groups.map(({ group, terms, mentions }) => [group, terms, mentions])).toEqual([
      [null, 1, null],
      ["Disease", 2, 4],
    ]);
    expect(groups[0]?.rows[1]).toMatchObject({ whole: 1, piecesPerMention: null, fewer: 1, more: 0 });
    expect(groups[1]?.rows[1]).toMatchObject({
      whole: 1,
      pieces: 3,
      piecesPerTerm: 1.5,
      piecesPerMention: 1.75,
      more: 1,
    });
  });
});

describe("WordsInCorpus", () => {
  it("knows which words of entities a corpus holds, by their runs of letters and digits", () => {
    const words = new WordsInCorpus();
    words.want([
      { type: "Chemical", words: ["IL-2", "inhibitor"] },
      { type: "Chemical", words: ["(", "Aspirin"] },
    ]);
    words.read("An inhibitor of IL-1, not of IL-2; aspirin.");
    expect(["inhibitor", "IL-2", "Aspirin", "(", "never"].map((word) => words.holds(word))).toEqual([
      true,
      true,
      false,
      true,
      false,
    ]);
  });
});

describe("publishedBreakRates", () => {
  it("knows the data set by the file's path", () => {
    const found = publishedBreakRates("/data/ner/BC5CDR-chem/train.tsv");
    expect(found.find(({ tokenizer }) => tokenizer === "BERT-cased")?.breakRate).toBe(3.012);
    expect(publishedBreakRates("bc5cdr_disease.iob")).toHaveLength(4);
    expect(publishedBreakRates("NCBI-disease/train.tsv")).toEqual([]);
  });
});
