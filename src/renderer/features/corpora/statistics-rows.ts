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

/** What the counts call a document that says nothing of a group. */
export const NOT_SAID = "(none)";

/** A group of which no document says anything is no table. */
export function isSaid(rows: readonly Amount[]): boolean {
  return rows.some((row) => row.name !== NOT_SAID);
}

/** The newest year first. */
export function chronological(rows: readonly Amount[]): readonly Amount[] {
  return rows.toSorted((a, b) => Number(b.name === NOT_SAID ? -1 : b.name) - Number(a.name === NOT_SAID ? -1 : a.name));
}
