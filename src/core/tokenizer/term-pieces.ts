// What tokenizers make of terms, and what that comes to for each group of them: the terms given, and the frequent names
// of each kind of entity.
export type TermRow = {
  readonly term: string;
  /** The kind of entity whose name it is, or null for a term that was given. */
  readonly group: string | null;
  /** As a word of its own in the corpus; null where no corpus was given, 0 where it is absent. */
  readonly count: number | null;
  /** How often entities bear this name; null for a term that does not come from a file of them. */
  readonly mentions: number | null;
  /** By tokenizer. */
  readonly pieces: readonly (readonly string[])[];
};

export type TermGroup = {
  readonly group: string | null;
  readonly terms: number;
  readonly mentions: number | null;
  readonly rows: readonly {
    readonly tokenizer: string;
    /** Terms that are one token. */
    readonly whole: number;
    readonly pieces: number;
    readonly piecesPerTerm: number;
    /** With each name counted as often as entities bear it. */
    readonly piecesPerMention: number | null;
    /** Terms that it cuts into fewer, and into more pieces than the first tokenizer does. */
    readonly fewer: number;
    readonly more: number;
  }[];
};

function piecesIn(row: TermRow, tokenizer: number): number {
  return row.pieces[tokenizer]?.length ?? 0;
}

export function summarizeTerms(tokenizers: readonly string[], terms: readonly TermRow[]): readonly TermGroup[] {
  const groups = [...new Set(terms.map(({ group }) => group))];
  return groups.map((group) => {
    const own = terms.filter((row) => row.group === group);
    const mentions = own.reduce((total, row) => total + (row.mentions ?? 0), 0);
    const rows = tokenizers.map((tokenizer, at) => {
      const pieces = own.reduce((total, row) => total + piecesIn(row, at), 0);
      const byMention = own.reduce((total, row) => total + (row.mentions ?? 0) * piecesIn(row, at), 0);
      return {
        tokenizer,
        whole: own.filter((row) => piecesIn(row, at) === 1).length,
        pieces,
        piecesPerTerm: pieces / own.length,
        piecesPerMention: mentions === 0 ? null : byMention / mentions,
        fewer: own.filter((row) => piecesIn(row, at) < piecesIn(row, 0)).length,
        more: own.filter((row) => piecesIn(row, at) > piecesIn(row, 0)).length,
      };
    });
    return { group, terms: own.length, mentions: mentions === 0 ? null : mentions, rows };
  });
}
