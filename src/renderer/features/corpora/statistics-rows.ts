// The groups of corpus statistics in the order they are shown, and which of them say anything.
import type { CorpusStatisticsInfo } from "#shared/ipc/corpora.contract";

export type Measure = "documents" | "words" | "tokens";
export type GroupName = keyof CorpusStatisticsInfo["groups"];
export type Amount = CorpusStatisticsInfo["groups"]["year"][number];

export const groupTitles: readonly { readonly key: GroupName; readonly title: string }[] = [
  { key: "year", title: "Year" },
  { key: "journal", title: "Journal" },
  { key: "section", title: "Section" },
  { key: "mesh", title: "MeSH descriptor" },
  { key: "publication_type", title: "Publication type" },
  { key: "language", title: "Language" },
  { key: "source", title: "File" },
];

/** A group of which no document says anything is no table. */
export function isSaid(rows: readonly Amount[]): boolean {
  return rows.some((row) => row.name !== "(none)");
}

/** The newest year first; what is not said last. */
export function chronological(rows: readonly Amount[]): readonly Amount[] {
  return rows.toSorted((a, b) => {
    if (a.name === "(none)" || b.name === "(none)") {
      return a.name === b.name ? 0 : a.name === "(none)" ? 1 : -1;
    }
    return Number(b.name) - Number(a.name);
  });
}
