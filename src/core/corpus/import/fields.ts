// Documents from records of named fields, as JSONL, CSV and Parquet have them: which fields are text, which the id, and
// what stays beside them.
import type { Emit, JsonValue, Metadata } from "./record.ts";

export type FieldChoice = { readonly textFields: readonly string[]; readonly idField: string | null };

type Fields = Readonly<Record<string, unknown>>;

/** A field by its name, or by a path such as meta.abstract where no field has that name. */
export function fieldOf(record: Fields, name: string): unknown {
  if (Object.hasOwn(record, name)) {
    return record[name];
  }
  let value: unknown = record;
  for (const step of name.split(".")) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) {
      return undefined;
    }
    // as: an object with this own property.
    value = (value as Fields)[step];
  }
  return value;
}

/** What JSON can hold of a value: bytes and functions are left out, large integers become text. */
function plain(value: unknown, depth = 0): JsonValue | undefined {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      return Number.isFinite(value) ? value : undefined;
    case "bigint":
      return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER)
        ? Number(value)
        : String(value);
    case "object":
      break;
    case "undefined":
    case "function":
    case "symbol":
      return undefined;
    default:
      // typeof has no others.
      return undefined;
  }
  if (value === null || depth > 32) {
    return value === null ? null : undefined;
  }
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? undefined : value.toISOString();
  }
  if (ArrayBuffer.isView(value)) {
    return undefined;
  }
  if (Array.isArray(value)) {
    return value.map((each) => plain(each, depth + 1) ?? null);
  }
  const entries = Object.entries(value).flatMap(([key, each]) => {
    const kept = plain(each, depth + 1);
    return kept === undefined ? [] : [[key, kept] as const];
  });
  return Object.fromEntries(entries);
}

/** The id as the record names it. */
function ownId(record: Fields, idField: string | null): string | null {
  const names = idField === null ? ["id", "pmid"] : [idField];
  for (const name of names) {
    const value = fieldOf(record, name);
    if ((typeof value === "string" && value !== "") || typeof value === "number" || typeof value === "bigint") {
      return String(value);
    }
  }
  return null;
}

/** Emits the record as a document, or why it is none. `refuse` ends the import: a field that should be there is not. */
export function emitFields(record: Fields, choice: FieldChoice, emit: Emit, refuse: (reason: string) => Error): void {
  const id = ownId(record, choice.idField);
  const parts: string[] = [];
  for (const name of choice.textFields) {
    const value = fieldOf(record, name);
    if (value === undefined || (value !== null && typeof value !== "string")) {
      const names = Object.keys(record).slice(0, 20).join(", ");
      const found =
        value === undefined ? "is not there" : `holds ${Array.isArray(value) ? "a list" : `a ${typeof value}`}`;
      throw refuse(
        `the field "${name}" should hold the document's text and ${found}; its fields are ${names || "none"}: choose with --text-field`,
      );
    }
    if (value !== null && value.trim() !== "") {
      parts.push(value);
    }
  }
  const text = parts.join("\n");
  if (text === "") {
    emit({ kind: "dropped", id, rule: "no-text", detail: `nothing is in ${choice.textFields.join(", ")}` });
    return;
  }
  if (/\p{Surrogate}/u.test(text)) {
    emit({
      kind: "dropped",
      id,
      rule: "half-characters",
      detail: "its text holds half a character (a lone surrogate)",
    });
    return;
  }
  const used = new Set(["id", "text", ...choice.textFields, ...(choice.idField === null ? [] : [choice.idField])]);
  const metadata: Record<string, JsonValue | undefined> = {};
  for (const [name, value] of Object.entries(record)) {
    if (!used.has(name) && value !== "") {
      metadata[name] = plain(value);
    }
  }
  emit({ kind: "document", id, isPublication: false, version: 1, text, metadata: metadata satisfies Metadata });
}
