// The paths in a recipe made absolute, so that its run can be started and resumed from anywhere.
import { existsSync } from "node:fs";
import path from "node:path";
import type { CorpusSource, Recipe } from "#shared/domain/recipe";
import { isAddress } from "#shared/domain/recipe-stream";
import { programRoot } from "../paths.ts";

/** Tokenizers that come with the program and are named, not pathed. */
export const builtInTokenizers: readonly string[] = ["gpt2"];

type Bases = {
  /** The folder of the recipe's file. */
  readonly baseDirectory: string;
  /** Where paths given by overrides start, and which keys those are. */
  readonly overriddenBase?: string;
  readonly isOverridden?: (key: string) => boolean;
  /** Its `tokenizers` folder is looked into for a tokenizer given by name. */
  readonly workspace?: string | undefined;
};

function absolute(value: string, key: string, bases: Bases): string {
  if (isAddress(value)) {
    return value;
  }
  const isOverridden = bases.isOverridden?.(key) === true;
  const base = isOverridden ? (bases.overriddenBase ?? bases.baseDirectory) : bases.baseDirectory;
  const resolved = path.resolve(base, value);
  // A copy of a preset still finds the text that comes with the program.
  if (value.startsWith("resources/") && !existsSync(resolved)) {
    const own = path.join(programRoot(), value);
    return existsSync(own) ? own : resolved;
  }
  return resolved;
}

function absoluteSource(source: CorpusSource, bases: Bases): CorpusSource {
  if (typeof source === "string") {
    return absolute(source, "data.train", bases);
  }
  return source.map((part) =>
    typeof part === "string"
      ? absolute(part, "data.train", bases)
      : { ...part, path: absolute(part.path, "data.train", bases) },
  );
}

function absoluteTokenizer(value: string, bases: Bases): string {
  if (builtInTokenizers.includes(value)) {
    return value;
  }
  const resolved = absolute(value, "tokenizer.path", bases);
  if (!existsSync(resolved) && !/[\\/]/.test(value) && bases.workspace !== undefined) {
    const named = path.join(bases.workspace, "tokenizers", value);
    return existsSync(named) ? named : resolved;
  }
  return resolved;
}

/** `RUN@STEP` in its parts; `step` is null where there is none. */
export function splitRunStep(source: string): { readonly run: string; readonly step: number | null } {
  const match = /^(.+)@(?:step-)?(\d+)$/.exec(source);
  return match === null ? { run: source, step: null } : { run: match[1] ?? "", step: Number(match[2]) };
}

/** A folder is a path, also before @STEP; a run's id or name is left for the workspace to find. */
function absoluteModel(value: string, bases: Bases): string {
  const whole = absolute(value, "model.init_from", bases);
  if (existsSync(whole)) {
    return whole;
  }
  const { run, step } = splitRunStep(value);
  const resolved = absolute(run, "model.init_from", bases);
  return existsSync(resolved) || /[\\/]/.test(run) ? `${resolved}${step === null ? "" : `@${step}`}` : value;
}

export function withAbsolutePaths(recipe: Recipe, bases: Bases): Recipe {
  const { data, tokenizer } = recipe;
  return {
    ...recipe,
    model:
      recipe.model.init_from === undefined
        ? recipe.model
        : { ...recipe.model, init_from: absoluteModel(recipe.model.init_from, bases) },
    tokenizer:
      tokenizer.path === undefined ? tokenizer : { ...tokenizer, path: absoluteTokenizer(tokenizer.path, bases) },
    data: {
      ...data,
      train: absoluteSource(data.train, bases),
      eval: typeof data.eval === "string" ? absolute(data.eval, "data.eval", bases) : data.eval,
    },
  };
}
