// recipe.yaml of a run: the text as its author wrote it, comments and order kept, with the values of the recipe in it.
import { isAlias, isMap, parseDocument, visit } from "yaml";
import type { Recipe, ResolvedRecipe } from "#shared/domain/recipe";
import { toYaml } from "../recipe/resolve.ts";

type YamlDocument = ReturnType<typeof parseDocument>;

/** `text` changed so that it reads as `recipe`. Text that cannot take it (aliases, errors) gives way to plain YAML. */
export function recipeTextWith(text: string, recipe: Recipe | ResolvedRecipe): string {
  const document = parseDocument(text);
  let hasAlias = false;
  visit(document, (_, node) => {
    hasAlias ||= isAlias(node);
  });
  if (document.errors.length > 0 || hasAlias || !isMap(document.contents)) {
    return toYaml(recipe);
  }
  setWithin(document, [], recipe);
  return document.toString({ lineWidth: 0 });
}

function setWithin(document: YamlDocument, path: readonly string[], value: Readonly<Record<string, unknown>>): void {
  for (const [key, child] of Object.entries(value)) {
    const childPath = [...path, key];
    if (child === undefined) {
      continue;
    }
    if (isRecord(child) && isMap(document.getIn(childPath, true))) {
      setWithin(document, childPath, child);
      continue;
    }
    const present: unknown = document.getIn(childPath, true);
    const before = hasToJson(present) ? present.toJSON() : present;
    if (JSON.stringify(before) !== JSON.stringify(child)) {
      // A scalar given as it is takes the old one's place and keeps its comment.
      document.setIn(
        childPath,
        typeof child === "object" && child !== null ? document.createNode(child, { flow: true }) : child,
      );
    }
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasToJson(value: unknown): value is { toJSON(): unknown } {
  return isRecord(value) && typeof value["toJSON"] === "function";
}
