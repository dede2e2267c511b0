// The presets that come with the program: recipes in resources/presets, named where a recipe is expected. The first line
// of each is a comment that says in a sentence what it is.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { resourcePath } from "../paths.ts";

export type Preset = { readonly name: string; readonly summary: string; readonly file: string; readonly text: string };

function presetFile(name: string): string {
  return resourcePath("presets", `${name}.yaml`);
}

function summaryOf(text: string): string {
  return /^#\s*(.+)/.exec(text)?.[1]?.trim() ?? "";
}

export async function readPreset(name: string): Promise<Preset> {
  const file = presetFile(name);
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw new AppError("RECIPE_NOT_FOUND", `"${name}" is no name of a preset; \`assay train\` without it lists them.`);
  }
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new AppError("RECIPE_NOT_FOUND", `There is no preset "${name}" in ${path.dirname(file)}.`, { cause });
  });
  return { name, summary: summaryOf(text), file, text };
}

/** In the order of their names. */
export async function listPresets(): Promise<readonly Preset[]> {
  const names = await readdir(resourcePath("presets"));
  const presets = names.filter((name) => name.endsWith(".yaml")).toSorted();
  return Promise.all(presets.map((name) => readPreset(name.slice(0, -".yaml".length))));
}
