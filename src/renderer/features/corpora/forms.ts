// What is filled in on the pages of this view. The buttons that start the work stand in the window's head, away from the
// forms, so both look here.
import { create } from "zustand";
import { type CleanForm, cleanDefaults } from "./clean-form.ts";
import { freeName } from "./corpus-names.ts";
import type { ImportForm } from "./import-form.ts";

export type ScanForm = {
  readonly evaluation: readonly string[];
  readonly textFields: string;
  readonly idField: string;
  readonly runWords: string;
  readonly leastWords: string;
};
export type SplitForm = {
  readonly percent: string;
  readonly train: string;
  readonly heldOut: string;
};

export type ShardForm = {
  readonly folder: string;
  /** Empty: raw text. */
  readonly tokenizer: string;
  readonly compression: "none" | "zstd" | "gz";
  readonly sizeMiB: string;
};

type Forms = {
  readonly import: ImportForm;
  /** The corpus that the forms below are about. */
  readonly corpus: string | null;
  readonly clean: CleanForm;
  readonly scan: ScanForm;
  readonly split: SplitForm;
  readonly shard: ShardForm;
  /** By which tokenizer each corpus was counted last; none where it is missing. */
  readonly countedBy: Readonly<Record<string, string>>;
};
type FormName = "import" | "clean" | "scan" | "split" | "shard";

export function emptyImport(): ImportForm {
  return {
    inputs: [],
    name: "",
    format: "auto",
    textFields: "text",
    idField: "",
    textUnit: "file",
    workers: String(Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1))),
    skipBroken: false,
  };
}

const noScan: ScanForm = { evaluation: [], textFields: "text", idField: "", runWords: "13", leastWords: "8" };

const noShards: ShardForm = { folder: "", tokenizer: "", compression: "zstd", sizeMiB: "64" };

export const useForms = create<Forms>(() => ({
  import: emptyImport(),
  corpus: null,
  clean: cleanDefaults(""),
  scan: noScan,
  split: { percent: "5", train: "", heldOut: "" },
  shard: noShards,
  countedBy: {},
}));

export function setForm<Name extends FormName>(name: Name, part: Partial<Forms[Name]>): void {
  useForms.setState((state) => ({ [name]: { ...state[name], ...part } }));
}

export function rememberTokenizer(subject: string, tokenizer: string): void {
  useForms.setState((state) => ({ countedBy: { ...state.countedBy, [subject]: tokenizer } }));
}

/** Fresh forms for another corpus; those of the same keep what was typed. */
export function openForms(corpus: string, name: string, taken: ReadonlySet<string>): void {
  if (useForms.getState().corpus !== corpus) {
    useForms.setState({
      corpus,
      clean: cleanDefaults(freeName(`${name}-clean`, taken)),
      scan: noScan,
      split: {
        percent: "5",
        train: freeName(`${name}-train`, taken),
        heldOut: freeName(`${name}-held-out`, taken),
      },
      shard: { ...noShards, folder: `${name}-shards` },
    });
  }
}
