// The formats that a corpus is imported from, by the names that commands and the window use.
export const importFormats = [
  "pubmed",
  "jats",
  "medline",
  "bioc-xml",
  "bioc-json",
  "pubtator",
  "jsonl",
  "csv",
  "tsv",
  "parquet",
  "text",
] as const;
export type ImportFormat = (typeof importFormats)[number];
