// From a recipe's text to a checked recipe: parse, apply overrides, check against the schema and across keys. Problems
// carry their place in the text; a file or preset that has any is refused with the first of them as the sentence.
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { type Document, LineCounter, parseDocument } from "yaml";
import { type Recipe, recipeSchema } from "#shared/domain/recipe";
import { checkRecipe } from "#shared/domain/recipe-check";
import { AppError, type ErrorCode } from "#shared/errors";
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import { programRoot } from "../paths.ts";
import { locate, rangeOfOffsets, startOfText, type TextRange } from "./locations.ts";
import { nearestWord } from "./nearest-key.ts";
import { applyOverrides, isWithin, type Override, parseOverride } from "./overrides.ts";
import { withAbsolutePaths } from "./paths.ts";
import { listPresets, readPreset } from "./presets.ts";
import { joinPath, type RawProblem, schemaProblems, yamlSentence } from "./problems.ts";

const MAX_RECIPE_BYTES = 1_000_000;

export type LoadedRecipe = {
  /** Null where there is a problem of severity error. */
  readonly recipe: Recipe | null;
  /** The text with the overrides in it; as given where there are none. */
  readonly text: string;
  readonly problems: readonly RecipeProblem[];
};

function nameFromFile(file: string | null): string {
  const base = file === null ? "" : path.basename(file).replace(/\.ya?ml$/i, "");
  const cleaned = base
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .replace(/^[^A-Za-z0-9]+/, "")
    .slice(0, 64);
  return cleaned === "" ? "run" : cleaned;
}

function placeProblems(
  raw: readonly RawProblem[],
  document: Document,
  lines: LineCounter,
  overrides: readonly Override[],
): readonly RecipeProblem[] {
  const placed = raw.map((problem) => {
    const override = overrides.findLast((each) => {
      const shorter = Math.min(each.path.length, problem.path.length);
      return each.path.slice(0, shorter).every((part, index) => part === String(problem.path[index]));
    });
    const range = override === undefined ? locate(document, lines, problem.path, problem.at) : null;
    return {
      code: problem.code,
      severity: problem.severity,
      message: override === undefined ? problem.message : `--set ${override.text}: ${problem.message}`,
      ...(range ?? startOfText),
      path: joinPath(problem.path),
      // An edit of the text cannot mend what did not come from it, nor what is not in it.
      suggestion: range === null ? null : problem.suggestion,
    };
  });
  // In the order of the text; what is missing stands nowhere and comes last.
  const isMissing = (problem: RecipeProblem) => problem.line === 1 && problem.column === 1 && problem.endColumn === 1;
  return placed.toSorted(
    (a, b) => Number(isMissing(a)) - Number(isMissing(b)) || a.line - b.line || a.column - b.column,
  );
}

type LoadOptions = {
  readonly text: string;
  readonly file?: string | null;
  readonly overrides?: readonly string[];
};

/** Never throws for what is wrong with the recipe; a malformed override is the caller's mistake and throws. */
export function loadRecipe(options: LoadOptions): LoadedRecipe {
  const { recipe, text, problems } = parseRecipe(options);
  return { recipe, text, problems };
}

function parseRecipe(options: LoadOptions): LoadedRecipe & { readonly document: Document } {
  const { text, file = null, overrides: overrideTexts = [] } = options;
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true });
  const unreadable = (code: ErrorCode, message: string, at: readonly [number, number]): RecipeProblem => ({
    code,
    severity: "error",
    message,
    ...rangeOfOffsets(lines, at[0], at[1]),
    path: "",
    suggestion: null,
  });
  if (document.errors.length > 0) {
    const problems = document.errors.map((error) =>
      unreadable("RECIPE_INVALID", yamlSentence(error.code, error.message), error.pos),
    );
    return { recipe: null, text, problems, document };
  }
  if (document.contents === null) {
    const message = "This recipe is empty; start from a preset, such as biomedlm-tiny.";
    return { recipe: null, text, problems: [unreadable("RECIPE_INVALID", message, [0, 0])], document };
  }
  const overrides = applyOverrides(document, overrideTexts);
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    const message = `This is not a recipe: ${error instanceof Error ? error.message : String(error)}.`;
    return { recipe: null, text, problems: [unreadable("RECIPE_INVALID", message, [0, 0])], document };
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const message = "A recipe is a mapping of keys, such as `run_name: my-run`; this text is something else.";
    return { recipe: null, text, problems: [unreadable("RECIPE_INVALID", message, [0, 0])], document };
  }
  const named = "run_name" in value ? value : { ...value, run_name: nameFromFile(file) };
  const changedText = overrideTexts.length === 0 ? text : document.toString({ lineWidth: 0 });
  const parsed = recipeSchema.safeParse(named);
  if (!parsed.success) {
    const valueAt = (at: readonly PropertyKey[]) =>
      at.reduce<unknown>((inner, part) => (inner as Record<PropertyKey, unknown> | null | undefined)?.[part], named);
    const raw = schemaProblems(parsed.error.issues, valueAt);
    return { recipe: null, text: changedText, problems: placeProblems(raw, document, lines, overrides), document };
  }
  const raw = checkRecipe(parsed.data).map(
    (finding): RawProblem => ({ ...finding, code: "RECIPE_INVALID", at: "value" }),
  );
  const problems = placeProblems(raw, document, lines, overrides);
  const isSound = problems.every((problem) => problem.severity !== "error");
  return { recipe: isSound ? parsed.data : null, text: changedText, problems, document };
}

/** Where a key's value stands in a text. */
export function locateInText(text: string, at: readonly string[]): TextRange {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  return locate(document, lines, at, "value") ?? startOfText;
}

/** The error for a recipe with problems: the first is the sentence, all are in details. */
export function recipeError(name: string, problems: readonly RecipeProblem[]): AppError {
  const errors = problems.filter((problem) => problem.severity === "error");
  const first = errors[0];
  if (first === undefined) {
    throw new Error("recipeError needs a problem of severity error.");
  }
  const place = first.message.startsWith("--set ") ? "" : `${name}:${first.line}:${first.column}: `;
  const more = errors.length === 1 ? "" : ` (${errors.length - 1} more)`;
  // as: problems are made in this folder, with codes of the list only.
  const code = first.code as ErrorCode;
  return new AppError(code, `${place}${first.message}${more}`, { details: { file: name, problems } });
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** Where the text of a recipe lies: a file, one of the workspace's recipes, or a preset by its name. */
export async function findRecipe(
  nameOrFile: string,
  options: { readonly workspace?: string | undefined; readonly currentDirectory?: string } = {},
): Promise<{ readonly file: string; readonly isPreset: boolean; readonly text: string }> {
  const asFile = path.resolve(options.currentDirectory ?? process.cwd(), nameOrFile);
  const candidates = [asFile];
  if (options.workspace !== undefined && !/[\\/]/.test(nameOrFile)) {
    const folder = path.join(options.workspace, "recipes");
    candidates.push(path.join(folder, nameOrFile), path.join(folder, `${nameOrFile}.yaml`));
  }
  const presets = await listPresets();
  for (const file of candidates) {
    if (await isFile(file)) {
      return { file, isPreset: false, text: await readRecipeText(file) };
    }
  }
  if (presets.some((preset) => preset.name === nameOrFile)) {
    const preset = await readPreset(nameOrFile);
    return { file: preset.file, isPreset: true, text: preset.text };
  }
  const names = presets.map((preset) => preset.name);
  const near = nearestWord(nameOrFile, names);
  const hint = near === null ? `the presets are ${names.join(", ")}` : `did you mean the preset ${near}?`;
  throw new AppError(
    "RECIPE_NOT_FOUND",
    `There is no recipe file ${asFile} and no preset "${nameOrFile}"; ${hint}${hint.endsWith("?") ? "" : "."}`,
    { details: { presets: names } },
  );
}

async function readRecipeText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new AppError("FILE_NOT_READABLE", `Cannot read the recipe ${file}; check that you may read it.`, { cause });
  });
  if (bytes.length > MAX_RECIPE_BYTES) {
    throw new AppError(
      "RECIPE_INVALID",
      `${file} has ${bytes.length} bytes, too many for a recipe; name the recipe's YAML file.`,
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("RECIPE_INVALID", `${file} is not UTF-8 text; save it as UTF-8.`, { cause });
  }
}

/** A sound recipe that stands by itself: its paths are absolute, in `text` too, which keeps the author's comments. */
export type PreparedRecipe = {
  readonly recipe: Recipe;
  readonly text: string;
  readonly file: string | null;
  /** Warnings only. */
  readonly problems: readonly RecipeProblem[];
};

/**
 * Relative paths in the text start at its file's folder, those of a text without a file (a preset's) at the program's
 * own, those in overrides at the current one. Throws with the first problem as the sentence.
 */
export function prepareRecipe(options: {
  readonly text: string;
  readonly file: string | null;
  /** What the recipe is called in the sentence; the file where absent. */
  readonly name?: string;
  readonly overrides?: readonly string[];
  readonly workspace?: string | undefined;
  readonly currentDirectory?: string;
}): PreparedRecipe {
  const { file, overrides = [] } = options;
  const {
    recipe: loaded,
    problems,
    document,
  } = parseRecipe({
    text: options.text,
    file: file ?? options.name ?? null,
    overrides,
  });
  if (loaded === null) {
    throw recipeError(options.name ?? file ?? "the recipe", problems);
  }
  const overridden = overrides.map((each) => parseOverride(each).path.join("."));
  const recipe = withAbsolutePaths(loaded, {
    baseDirectory: file === null ? programRoot() : path.dirname(file),
    overriddenBase: options.currentDirectory ?? process.cwd(),
    isOverridden: (key) => overridden.some((each) => isWithin(key, each) || isWithin(each, key)),
    workspace: options.workspace,
  });
  document.set("run_name", recipe.run_name);
  for (const at of [
    ["data", "train"],
    ["data", "eval"],
    ["tokenizer", "path"],
    ["model", "init_from"],
  ] as const) {
    const [area, key] = at;
    const before: unknown = Reflect.get(loaded[area], key);
    const after: unknown = Reflect.get(recipe[area], key);
    if (after !== before) {
      document.setIn(at, document.createNode(after));
    }
  }
  return { recipe, text: document.toString({ lineWidth: 0 }), file, problems };
}

/** A recipe ready to be resolved: by file, by the name of one in the workspace, or by a preset's name. */
export async function loadRecipeSource(
  nameOrFile: string,
  options: {
    readonly overrides?: readonly string[];
    readonly workspace?: string | undefined;
    readonly currentDirectory?: string;
  } = {},
): Promise<PreparedRecipe & { readonly isPreset: boolean }> {
  const { file, isPreset, text } = await findRecipe(nameOrFile, options);
  const prepared = prepareRecipe({
    ...options,
    text,
    file: isPreset ? null : file,
    name: isPreset ? nameOrFile : file,
  });
  return { ...prepared, file, isPreset };
}
