// The recipes.* area: presets and files, checking with a forecast, and drafts.
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import { recipeJsonSchema } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import type { Handlers } from "#shared/ipc/contract";
import type { recipesContract } from "#shared/ipc/recipes.contract";
import { type PlannerMachine, readMachine } from "../planner/machine.ts";
import { asFileError, writeFileDurably } from "../runs/durable-file.ts";
import { checkRecipeText } from "./check.ts";
import { keepDraft, readDraft } from "./drafts.ts";
import { listPresets, readPreset } from "./presets.ts";

const PRESET = "preset:";
const recipeFileName = /\.ya?ml$/i;

export type RecipeHandlerOptions = {
  readonly workspace: () => string;
  /** The application's own folder, for drafts. */
  readonly userData: string;
  readonly machine?: () => PlannerMachine | Promise<PlannerMachine>;
};

export function createRecipeHandlers(options: RecipeHandlerOptions): Handlers<typeof recipesContract> {
  const drafts = path.join(options.userData, "recipe-drafts");
  const recipesFolder = () => path.join(options.workspace(), "recipes");
  let machine: Promise<PlannerMachine> | undefined;

  /** A file of the recipes folder, by its path or name. Others are not this window's to read. */
  function recipeFile(source: string): string {
    const folder = path.resolve(recipesFolder());
    const file = path.resolve(folder, source);
    if (path.dirname(file) !== folder || !recipeFileName.test(file)) {
      throw new AppError("RECIPE_NOT_FOUND", `${source} is no recipe of ${folder}; recipes there end in .yaml.`);
    }
    return file;
  }

  return {
    streams: {},
    requests: {
      "recipes.schema": async () => ({ jsonSchema: recipeJsonSchema() }),

      "recipes.list": async () => {
        const presets = await listPresets();
        const folder = recipesFolder();
        const names = (await readdir(folder).catch((): string[] => [])).filter((name) => recipeFileName.test(name));
        const files = await Promise.all(
          names.toSorted().map(async (name) => {
            const file = path.join(folder, name);
            const found = await stat(file);
            return { file, name: name.replace(recipeFileName, ""), modifiedAt: found.mtime.toISOString() };
          }),
        );
        return { presets: presets.map(({ name, summary }) => ({ name, summary })), files };
      },

      "recipes.read": async ({ source }) => {
        const draft = await readDraft(drafts, source);
        if (source.startsWith(PRESET)) {
          const preset = await readPreset(source.slice(PRESET.length));
          return { text: preset.text, draft };
        }
        const file = recipeFile(source);
        try {
          return { text: await readFile(file, "utf8"), draft };
        } catch (error) {
          // Unsaved text outlives the file it belonged to.
          if (draft !== null) {
            return { text: "", draft };
          }
          throw asFileError(error, `read the recipe ${file}`);
        }
      },

      "recipes.save": async ({ name, text }) => {
        if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
          throw new AppError(
            "BAD_ARGUMENT",
            `"${name}" cannot name a recipe; use up to 64 letters, digits, dots, dashes and underscores.`,
          );
        }
        const file = recipeFile(recipeFileName.test(name) ? name : `${name}.yaml`);
        try {
          await mkdir(path.dirname(file), { recursive: true });
        } catch (error) {
          throw asFileError(error, `make the folder ${path.dirname(file)}`);
        }
        await writeFileDurably(file, text);
        await keepDraft(drafts, file, null);
        return { file };
      },

      "recipes.keep-draft": async ({ source, text }) => {
        await keepDraft(drafts, source, text === "" ? null : text);
        return {};
      },

      "recipes.check": async ({ text, source }) => {
        machine ??= Promise.resolve(options.machine?.() ?? readMachine());
        const isFile = source !== undefined && source !== null && !source.startsWith(PRESET);
        return checkRecipeText({
          text,
          file: isFile ? recipeFile(source) : null,
          workspace: options.workspace(),
          machine: await machine,
        });
      },
    },
  };
}
