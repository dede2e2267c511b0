// What a reader of any format makes of its source: documents, removals of documents, and what it left out with the rule
// that did. Every event is one record of its source, so that a place in it is a number.
import type { CancelSignal } from "#shared/ipc/contract";

export { type ImportFormat, importFormats } from "#shared/domain/import-formats";

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** Kept beside id and text, one field of the line each; undefined ones are left out. */
export type Metadata = Readonly<Record<string, JsonValue | undefined>>;

export type ImportedDocument = {
  readonly kind: "document";
  /** Such as pmid:123; null: file#record. */
  readonly id: string | null;
  /** True: a later record of the same id replaces this one, as PubMed's updates do. False: both are kept. */
  readonly isPublication: boolean;
  /** The higher replaces the lower; among equals the later one stays. */
  readonly version: number;
  readonly text: string;
  readonly metadata: Metadata;
};

export type ImportEvent =
  | ImportedDocument
  /** The source says that this document is no more. */
  | { readonly kind: "deleted"; readonly id: string }
  | { readonly kind: "dropped"; readonly id: string | null; readonly rule: string; readonly detail: string };

export type ReadFormatOptions = {
  /** The name in ids and sentences. */
  readonly name: string;
  /** JSONL, CSV, Parquet: fields whose texts make the document, one a paragraph. */
  readonly textFields: readonly string[];
  readonly idField: string | null;
  /** Plain text: what a document is. */
  readonly textUnit: "file" | "paragraph";
  readonly signal?: CancelSignal | undefined;
};

/** Is given the source's bytes as they come; `emit`s its records in order. Throws a sentence that names the place. */
export type PushReader = {
  push(bytes: Uint8Array): void;
  end(): void;
};

export type Emit = (event: ImportEvent) => void;

/** Runs of the four blanks of XML become one space; other blanks (thin, no-break) are the text's own. */
export function collapseBlanks(text: string): string {
  return text.replaceAll(/[ \t\r\n]+/g, " ").replaceAll(/^ | $/g, "");
}
