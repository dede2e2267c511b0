// What an import is asked in the window, and why it cannot begin yet.
import type { z } from "zod";
import type { CorpusInfo, ImportRequestInfo, importFormatNameSchema } from "#shared/ipc/corpora.contract";
import { nameProblem } from "./corpus-names.ts";

export type FormatName = z.infer<typeof importFormatNameSchema>;

export type ImportForm = {
  readonly inputs: readonly string[];
  readonly name: string;
  readonly format: FormatName | "auto";
  /** As typed: names apart by commas. */
  readonly textFields: string;
  readonly idField: string;
  readonly textUnit: "file" | "paragraph";
  readonly workers: string;
  readonly skipBroken: boolean;
};

export const formatLabels: Readonly<Record<FormatName | "auto", string>> = {
  auto: "told from each file",
  pubmed: "PubMed XML",
  jats: "JATS articles (PMC)",
  medline: "MEDLINE text",
  "bioc-xml": "BioC XML",
  "bioc-json": "BioC JSON",
  pubtator: "PubTator",
  jsonl: "JSON Lines",
  csv: "CSV",
  tsv: "TSV",
  parquet: "Parquet",
  text: "Plain text",
};

const tabular: ReadonlySet<string> = new Set(["jsonl", "csv", "tsv", "parquet"]);
const withoutFields = /\.(xml|nxml|txt|nbib|tar|tgz|pubtator)(\.gz)?$/iu;

/** Fields are asked for where records may have them; a folder may hold anything. */
export function asksForFields({ format, inputs }: Pick<ImportForm, "format" | "inputs">): boolean {
  return tabular.has(format) || (format === "auto" && inputs.some((input) => !withoutFields.test(input)));
}

export function asksForUnit({ format, inputs }: Pick<ImportForm, "format" | "inputs">): boolean {
  return format === "text" || (format === "auto" && inputs.some((input) => /\.txt(\.gz)?$/iu.test(input)));
}

export function fieldsOf(text: string): string[] {
  const fields = text
    .split(",")
    .map((field) => field.trim())
    .filter((field) => field !== "");
  return fields.length === 0 ? ["text"] : fields;
}

export function requestOf(form: ImportForm): ImportRequestInfo {
  return {
    inputs: [...form.inputs],
    format: form.format === "auto" ? null : form.format,
    textFields: asksForFields(form) ? fieldsOf(form.textFields) : ["text"],
    idField: asksForFields(form) && form.idField.trim() !== "" ? form.idField.trim() : null,
    textUnit: asksForUnit(form) ? form.textUnit : "file",
    skipBroken: form.skipBroken,
  };
}

export type ImportProblems = Partial<Record<"inputs" | "name" | "workers", string>>;

export function importProblems(form: ImportForm, list: readonly CorpusInfo[]): ImportProblems {
  const problems: ImportProblems = {};
  const unfinished = list.find((info) => info.isUnfinished && info.name === form.name.trim());
  const taken = new Set(list.filter((info) => !info.isUnfinished).map((info) => info.name));
  const name = nameProblem(form.name, taken);
  const workers = Number(form.workers);
  if (form.inputs.length === 0) {
    problems.inputs = "Choose files or a folder to import.";
  }
  if (name !== null) {
    problems.name = name;
  } else if (unfinished !== undefined && JSON.stringify(unfinished.unfinished) !== JSON.stringify(requestOf(form))) {
    problems.name = `An unfinished import of other files is called ${unfinished.name}; go on with that, or choose another name.`;
  }
  if (!Number.isInteger(workers) || workers < 1 || workers > 64) {
    problems.workers = "A whole number from 1 to 64.";
  }
  return problems;
}
