// Writes docs/formats/recipe.md and resources/recipe.schema.json from the recipe's schema.
// usage: npx tsx scripts/generate-recipe-docs.ts
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { programRoot } from "#core/paths";
import { readPreset } from "#core/recipe/presets";
import { jsonSchemaFile, recipePage } from "#core/recipe/reference-page";

async function main(): Promise<void> {
  const preset = await readPreset("gpt2-s");
  await writeFile(path.join(programRoot(), "docs", "formats", "recipe.md"), recipePage(preset.text));
  await writeFile(path.join(programRoot(), "resources", "recipe.schema.json"), jsonSchemaFile());
}

await main();
