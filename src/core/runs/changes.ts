// Which keys of a run's recipe may change, and which did. A resume goes on with the same run, a branch with the same
// weights and optimizer: what either rests on cannot change, and is refused by name.
import type { Recipe } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import { isWithin } from "../recipe/overrides.ts";

export type RecipeChange = { readonly key: string; readonly from: unknown; readonly to: unknown };

type Fixed = { readonly key: string; readonly except?: readonly string[]; readonly why: string };

const theShape = "the weights have their shape";

/** What a branch keeps: it begins with another run's weights, optimizer and place in the text. */
const fixedOnBranch: readonly Fixed[] = [
  { key: "format_version", why: "the format is this program's" },
  { key: "model", except: ["model.dropout"], why: theShape },
  { key: "max_seq_len", why: "the positions and the place in the text go by it" },
  { key: "tokenizer", why: "the weights know its ids" },
  { key: "objective.name", why: "the model has its head" },
  { key: "optimizer.name", why: "the optimizer's state is kept" },
  { key: "optimizer.state", why: "the optimizer's state is kept" },
  { key: "global_train_batch_size", why: "the place in the text is counted in batches" },
  { key: "data.streaming.shuffle_block_shards", why: "the place in a stream is counted in its blocks" },
];

/** How text comes here, which changes nothing of what is trained on. */
const transport = ["data.streaming.cache_limit", "data.streaming.predownload"];

/** What a resume keeps besides: it is the same run. */
const fixedOnResume: readonly Fixed[] = [
  ...fixedOnBranch.filter(({ key }) => key !== "model"),
  { key: "model", why: theShape },
  { key: "run_name", why: "the run has its name" },
  { key: "seed", why: "its random numbers follow from it" },
  { key: "data", except: transport, why: "its text is part of the run" },
  { key: "objective", why: "its losses would not compare" },
  { key: "precision", why: "its losses would not compare" },
];

function fixedBy(rules: readonly Fixed[], key: string): Fixed | undefined {
  return rules.find(
    (rule) =>
      (isWithin(key, rule.key) || isWithin(rule.key, key)) &&
      !(rule.except ?? []).some((exception) => isWithin(key, exception)),
  );
}

/** Refuses overrides (`key.sub=value`) that a resume cannot take. */
export function checkResumeKeys(keys: readonly string[]): void {
  for (const key of keys) {
    const rule = fixedBy(fixedOnResume, key);
    if (rule !== undefined) {
      const onBranch = fixedBy(fixedOnBranch, key) === undefined;
      throw new AppError(
        "RECIPE_INVALID",
        `A resume cannot change ${key}: ${rule.why}, so that would be another run; ${onBranch ? "branch one with `assay train --from RUN@STEP`" : "start one from the recipe"} instead.`,
      );
    }
  }
}

/** Refuses changes that a branch cannot take. */
export function checkBranchChanges(changes: readonly RecipeChange[]): void {
  for (const { key, to } of changes) {
    const rule = fixedBy(fixedOnBranch, key);
    if (rule !== undefined) {
      throw new AppError(
        "RECIPE_INVALID",
        `A branch cannot change ${key} (to ${JSON.stringify(to) ?? "nothing"}): ${rule.why}; start a run of its own, with model.init_from where only the weights shall be kept.`,
      );
    }
  }
}

function leaves(value: unknown, at: string, into: Map<string, unknown>): Map<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value)) {
      leaves(child, at === "" ? key : `${at}.${key}`, into);
    }
  } else if (value !== undefined) {
    into.set(at, value);
  }
  return into;
}

/** Keys whose values differ, in the order of the new recipe, those that are gone last. */
export function changesBetween(before: Recipe, after: Recipe): readonly RecipeChange[] {
  const old = leaves(before, "", new Map());
  const now = leaves(after, "", new Map());
  const changes: RecipeChange[] = [];
  for (const [key, to] of now) {
    const from = old.get(key);
    if (JSON.stringify(from) !== JSON.stringify(to)) {
      changes.push({ key, from: from ?? null, to });
    }
  }
  for (const [key, from] of old) {
    if (!now.has(key)) {
      changes.push({ key, from, to: null });
    }
  }
  return changes;
}

function shown(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "nothing");
}

/** `optimizer.lr 0.001 → 0.0003`. */
export function describeChange({ key, from, to }: RecipeChange): string {
  return `${key} ${from === null ? "nothing" : shown(from)} → ${to === null ? "nothing" : shown(to)}`;
}
