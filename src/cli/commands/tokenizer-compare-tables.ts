// A comparison of tokenizers as tables on the terminal: the corpus, the terms with their sums, and for annotated entities
// a table a file, then all files side by side with the published figures under them.
import type { EntityBreaks, TermGroup, TermRow, TokenizerComparison } from "#core/tokenizer/inspect";
import { formatCount, say, table } from "../output.ts";

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;

export function sayComparison(comparison: TokenizerComparison): void {
  const { corpus, terms, termGroups, entities, tokenizers } = comparison;
  const parts: (() => void)[] = [];
  if (corpus !== null) {
    parts.push(() => sayCorpus(corpus));
  }
  if (terms !== null) {
    parts.push(() => sayTerms(tokenizers, terms, corpus !== null));
    parts.push(() => {
      sayTermGroups(tokenizers[0] ?? "", termGroups ?? []);
      sayShorterElsewhere(tokenizers, terms);
    });
  }
  for (const set of entities ?? []) {
    parts.push(() => sayEntities(set));
  }
  if ((entities ?? []).length > 1) {
    parts.push(() => sayBreakRates(tokenizers, entities ?? []));
  }
  for (const [at, part] of parts.entries()) {
    if (at > 0) {
      say("");
    }
    part();
  }
}

function sayCorpus({ documents, words, bytes, rows }: NonNullable<TokenizerComparison["corpus"]>): void {
  say(`corpus: ${formatCount(documents)} documents, ${formatCount(words)} words, ${formatCount(bytes)} bytes`);
  say(
    table(
      [
        { title: "tokenizer" },
        { title: "tokens", right: true },
        { title: "bytes/token", right: true },
        { title: "tokens/word", right: true },
        { title: "whole words", right: true },
      ],
      rows.map((row) => [
        row.tokenizer,
        formatCount(row.tokens),
        row.bytesPerToken.toFixed(3),
        row.fertility.toFixed(3),
        percent(row.wholeWords),
      ]),
    ),
  );
}

/** A word's leading space is how it stands in a sentence; only where terms differ by it, it is worth a mark. */
function termText(row: TermRow, marksSpaces: boolean): string {
  return marksSpaces ? JSON.stringify(row.term) : row.term.trimStart();
}

function sayTerms(tokenizers: readonly string[], terms: readonly TermRow[], hasCorpus: boolean): void {
  const hasMentions = terms.some((row) => row.mentions !== null);
  const marksSpaces = !terms.every((row) => row.term.startsWith(" "));
  say(
    table(
      [
        { title: "term" },
        ...(hasMentions ? [{ title: "mentions", right: true }] : []),
        ...(hasCorpus ? [{ title: "in corpus", right: true }] : []),
        ...tokenizers.flatMap((title) => [{ title: "n", right: true }, { title }]),
      ],
      terms.map((row) => [
        termText(row, marksSpaces),
        ...(hasMentions ? [row.mentions === null ? "" : formatCount(row.mentions)] : []),
        ...(hasCorpus ? [row.count === 0 ? "absent" : formatCount(row.count ?? 0)] : []),
        ...row.pieces.flatMap((pieces) => [
          String(pieces.length),
          pieces.map((piece) => piece.replaceAll(" ", "␣")).join("|"),
        ]),
      ]),
    ),
  );
}

function sayTermGroups(first: string, groups: readonly TermGroup[]): void {
  const hasMentions = groups.some(({ mentions }) => mentions !== null);
  say(
    table(
      [
        { title: "terms" },
        { title: "tokenizer" },
        { title: "whole", right: true },
        { title: "", right: true },
        { title: "pieces", right: true },
        { title: "pieces/term", right: true },
        ...(hasMentions ? [{ title: "pieces/mention", right: true }] : []),
        { title: `fewer than ${first}`, right: true },
        { title: "more", right: true },
      ],
      groups.flatMap(({ group, terms, mentions, rows }) =>
        rows.map((row, at) => [
          at > 0
            ? ""
            : `${formatCount(terms)} ${group ?? "given"}${mentions === null ? "" : ` (${formatCount(mentions)} mentions)`}`,
          row.tokenizer,
          formatCount(row.whole),
          percent(row.whole / terms),
          formatCount(row.pieces),
          row.piecesPerTerm.toFixed(3),
          ...(hasMentions ? [row.piecesPerMention?.toFixed(3) ?? ""] : []),
          at === 0 ? "" : formatCount(row.fewer),
          at === 0 ? "" : formatCount(row.more),
        ]),
      ),
    ),
  );
}

const NAMED_TERMS = 12;

/** Where the first tokenizer, the one that is looked at, is not the better: which terms. */
function sayShorterElsewhere(tokenizers: readonly string[], terms: readonly TermRow[]): void {
  for (const [at, name] of tokenizers.entries()) {
    const shorter = terms.filter(({ pieces }) => (pieces[at]?.length ?? 0) < (pieces[0]?.length ?? 0));
    if (shorter.length > 0) {
      const named = shorter.slice(0, NAMED_TERMS).map(({ term }) => term.trim());
      const rest = shorter.length - named.length;
      say(
        `${name} cuts ${formatCount(shorter.length)} into fewer pieces: ${named.join(", ")}${rest > 0 ? ` and ${formatCount(rest)} more` : ""}`,
      );
    }
  }
}

function sayEntities(set: EntityBreaks): void {
  say(
    `${set.file}: ${formatCount(set.mentions)} entities of ${formatCount(set.words)} words; ${formatCount(set.names)} different names of ${formatCount(set.nameWords)} words`,
  );
  if (set.inCorpus !== null) {
    say(
      `the corpus holds ${percent(set.inCorpus.words)} of the words of the entities, ${percent(set.inCorpus.nameWords)} of those of the names (capitals as written)`,
    );
  }
  const hasUnknown = set.rows.some(({ unknownWords }) => unknownWords > 0);
  say(
    table(
      [
        { title: "tokenizer" },
        { title: "tokens", right: true },
        { title: "tokens/word", right: true },
        { title: "each name once", right: true },
        { title: "words whole", right: true },
        ...(hasUnknown ? [{ title: "words unknown", right: true }] : []),
        { title: "" },
      ],
      [
        ...set.rows.map((row) => [
          row.tokenizer,
          formatCount(row.tokens),
          row.breakRate.toFixed(3),
          row.nameBreakRate.toFixed(3),
          percent(row.wholeWords),
          ...(hasUnknown ? [formatCount(row.unknownWords)] : []),
          "",
        ]),
        ...set.published.map((row) => [
          row.tokenizer,
          "",
          row.breakRate.toFixed(3),
          "",
          "",
          ...(hasUnknown ? [""] : []),
          row.source,
        ]),
      ],
    ),
  );
}

/** The part of each path that tells the files apart: .../BC5CDR-chem/train.tsv beside .../NCBI-disease/train.tsv. */
function shortNames(files: readonly string[]): readonly string[] {
  const split = files.map((file) => file.split(/[\\/]/));
  const sameAt = (at: (parts: readonly string[]) => string | undefined): boolean =>
    new Set(split.map((parts) => at(parts))).size === 1;
  let begin = 0;
  while (split.every((parts) => parts.length > begin + 1) && sameAt((parts) => parts[begin])) {
    begin += 1;
  }
  let end = 0;
  while (split.every((parts) => parts.length - end > begin + 1) && sameAt((parts) => parts.at(-1 - end))) {
    end += 1;
  }
  return split.map((parts) => parts.slice(begin, parts.length - end).join("/"));
}

function sayBreakRates(tokenizers: readonly string[], sets: readonly EntityBreaks[]): void {
  say("entity break rate, tokens a word of all mentions:");
  const names = shortNames(sets.map(({ file }) => file));
  const published = [...new Set(sets.flatMap((set) => set.published.map(({ tokenizer }) => tokenizer)))];
  const sources = new Map(sets.flatMap((set) => set.published.map((row) => [row.tokenizer, row.source] as const)));
  say(
    table(
      [{ title: "tokenizer" }, ...names.map((title) => ({ title, right: true })), { title: "" }],
      [
        ...tokenizers.map((name, at) => [name, ...sets.map((set) => set.rows[at]?.breakRate.toFixed(3) ?? ""), ""]),
        ...published.map((name) => [
          name,
          ...sets.map((set) => set.published.find((row) => row.tokenizer === name)?.breakRate.toFixed(3) ?? "–"),
          sources.get(name) ?? "",
        ]),
      ],
    ),
  );
}
