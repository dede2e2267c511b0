// What changing keys of a run's recipe would make of it, before a branch or a longer run is started: the new text, the
// keys whose values differ, and what is wrong with them. Nothing is written.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { isMap, isScalar, parseDocument, stringify } from "yaml";
import { AppError } from "#shared/errors";
import { loadRecipe } from "../recipe/load.ts";
import { checkBranchChanges, checkResumeKeys } from "./changes.ts";
import { asFileError } from "./durable-file.ts";

export type KeyChange = { readonly key: string; readonly before: string | null; readonly after: string | null };

export type ChangePreview = {
  readonly recipeText: string;
  readonly changes: KeyChange[];
  readonly problems: { severity: "error" | "warning"; message: string; path: string }[];
};

function inOneLine(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0 }).trim();
}

/** Every key that has a value of its own, by its path; lists count as values. */
function leaves(text: string): Map<string, string> {
  const found = new Map<string, string>();
  const visit = (node: unknown, at: string): void => {
    if (isMap(node) && node.items.length > 0) {
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : String(key);
        visit(value, at === "" ? name : `${at}.${name}`);
      }
    } else if (at !== "") {
      const isNode = typeof node === "object" && node !== null && "toJSON" in node;
      found.set(at, inOneLine(isNode ? (node as { toJSON(): unknown }).toJSON() : node));
    }
  };
  visit(parseDocument(text, { prettyErrors: false }).contents, "");
  return found;
}

/** Keys that differ, in the order of the new text, those that are gone last. Pure. */
export function changedKeys(before: string, after: string): KeyChange[] {
  const old = leaves(before);
  const now = leaves(after);
  const changed = [...now].flatMap(([key, value]): KeyChange[] => {
    const was = old.get(key);
    return was === value ? [] : [{ key, before: was ?? null, after: value }];
  });
  const gone = [...old].flatMap(([key, value]): KeyChange[] =>
    now.has(key) ? [] : [{ key, before: value, after: null }],
  );
  return [...changed, ...gone];
}

/** Changed keys that this way of going on cannot take, each with its sentence. */
function refusals(changes: readonly KeyChange[], kind: "branch" | "resume"): ChangePreview["problems"] {
  return changes.flatMap(({ key, before, after }): ChangePreview["problems"] => {
    try {
      if (kind === "branch") {
        checkBranchChanges([{ key, from: before, to: after }]);
      } else {
        checkResumeKeys([key]);
      }
      return [];
    } catch (error) {
      return [{ severity: "error", message: error instanceof Error ? error.message : String(error), path: key }];
    }
  });
}

export async function previewChange(
  runDirectory: string,
  set: readonly string[],
  kind: "branch" | "resume",
): Promise<ChangePreview> {
  const file = path.join(runDirectory, "recipe.yaml");
  const text = await readFile(file, "utf8").catch((error: unknown) => {
    throw asFileError(error, `read ${file}`);
  });
  try {
    const loaded = loadRecipe({ text, file, overrides: set });
    const changes = changedKeys(text, loaded.text);
    const problems = loaded.problems.map(({ severity, message, path: at }) => ({ severity, message, path: at }));
    return { recipeText: loaded.text, changes, problems: [...refusals(changes, kind), ...problems] };
  } catch (error) {
    // A value that is no YAML is being typed as a rule; it is a finding here and not a failure.
    if (error instanceof AppError && error.code === "BAD_ARGUMENT") {
      return { recipeText: text, changes: [], problems: [{ severity: "error", message: error.message, path: "" }] };
    }
    throw error;
  }
}
