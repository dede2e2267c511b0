// The keys that a branch or a longer run changes, as rows of a form: what a key holds now, and the --set words of those
// that were edited. Pure.
import { parse, stringify } from "yaml";

export type ChangeRow = {
  readonly key: string;
  /** As the recipe has it; null for a key that it has not. */
  readonly before: string | null;
  readonly value: string;
};

function inOneLine(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
}

/** What a key path holds in a recipe's text; null where it is not there or the text cannot be read. */
export function valueOf(recipeText: string, key: string): string | null {
  let node: unknown;
  try {
    node = parse(recipeText);
  } catch {
    return null;
  }
  for (const part of key.split(".")) {
    // as: an object's keys are read one by one, whatever it is.
    node = typeof node === "object" && node !== null ? (node as Record<string, unknown>)[part] : undefined;
  }
  return node === undefined ? null : inOneLine(node);
}

export function rowOf(recipeText: string, key: string): ChangeRow {
  const before = valueOf(recipeText, key);
  return { key, before, value: before ?? "" };
}

/** What is usually changed where training goes another way; those that this recipe has. */
const branchKeys = ["max_duration", "optimizer.lr", "scheduler.t_warmup", "data.train"] as const;

export function branchRows(recipeText: string): readonly ChangeRow[] {
  return branchKeys.map((key) => rowOf(recipeText, key)).filter((row) => row.before !== null);
}

export function extendRows(recipeText: string): readonly ChangeRow[] {
  return [rowOf(recipeText, "max_duration")];
}

/** As the command line's --set; a row that was emptied counts as untouched. */
export function setWords(rows: readonly ChangeRow[]): readonly string[] {
  return rows.flatMap(({ key, before, value }) => {
    const trimmed = value.trim();
    return trimmed === "" || trimmed === before ? [] : [`${key}=${trimmed}`];
  });
}

type SchemaNode = {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly anyOf?: readonly SchemaNode[];
};

/** Every key path that a recipe may have, from its JSON Schema, for completion. */
export function keyPaths(schema: unknown, above = ""): readonly string[] {
  // as: a JSON Schema; what is not there is undefined.
  const { properties = {}, anyOf = [] } = (schema ?? {}) as SchemaNode;
  const here = Object.entries(properties).flatMap(([name, child]) => {
    const at = above === "" ? name : `${above}.${name}`;
    const below = keyPaths(child, at);
    return below.length === 0 ? [at] : below;
  });
  return [...new Set([...here, ...anyOf.flatMap((each) => keyPaths(each, above))])];
}

/** Keys of a run's own identity, which no branch can change. */
const fixedForBranch = ["format_version", "run_name"];

export function offeredKeys(schema: unknown, rows: readonly ChangeRow[]): readonly string[] {
  const taken = new Set(rows.map((row) => row.key));
  return keyPaths(schema).filter((key) => !taken.has(key) && !fixedForBranch.includes(key));
}
