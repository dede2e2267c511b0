import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, it } from "vitest";
import { recipeJsonSchema } from "#shared/domain/recipe";
import { programRoot, resourcePath } from "../paths.ts";
import { readPreset } from "./presets.ts";
import { jsonSchemaFile, recipePage } from "./reference-page.ts";

const remedy = "run npx tsx scripts/generate-recipe-docs.ts";

it("docs/formats/recipe.md says what the schema says", async () => {
  const page = await readFile(path.join(programRoot(), "docs", "formats", "recipe.md"), "utf8");
  expect(page === recipePage((await readPreset("gpt2-s")).text), remedy).toBe(true);
});

it("resources/recipe.schema.json is the schema's", async () => {
  expect((await readFile(resourcePath("recipe.schema.json"), "utf8")) === jsonSchemaFile(), remedy).toBe(true);
});

it("every key of the JSON Schema explains itself", () => {
  const silent: string[] = [];
  const visit = (node: unknown, at: string) => {
    const { properties, anyOf, description } = node as {
      properties?: Record<string, unknown>;
      anyOf?: unknown[];
      description?: string;
    };
    if (description === undefined && at !== "" && !at.endsWith("|")) {
      silent.push(at);
    }
    for (const [key, child] of Object.entries(properties ?? {})) {
      visit(child, `${at}.${key}`);
    }
    for (const child of anyOf ?? []) {
      visit(child, `${at}|`);
    }
  };
  visit(recipeJsonSchema(), "");
  expect(silent).toEqual([]);
});
