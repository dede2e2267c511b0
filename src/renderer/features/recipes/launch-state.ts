// Whether the recipe on screen can be trained, and if not why, in a sentence. The button is the one accent in the view,
// so it never merely greys out.
import { assertNever } from "#shared/errors";
import type { Forecast, RecipeProblem } from "#shared/ipc/recipes.contract";
import { problemCounts } from "./problem-rows.ts";

export type CheckState =
  | { readonly state: "checking" }
  | {
      readonly state: "checked";
      readonly problems: readonly RecipeProblem[];
      readonly forecast: Forecast | null;
      readonly forecastProblem: string | null;
    }
  | { readonly state: "failed"; readonly message: string };

export type LaunchState = { readonly label: string; readonly disabledReason: string | null };

/** The `run_name` of a recipe text, read without parsing YAML: it only names the button. */
export function runName(text: string): string | null {
  const value = /^run_name:[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^#\n]*))/mu.exec(text);
  const name = (value?.[1] ?? value?.[2] ?? value?.[3] ?? "").trim();
  return name === "" || name === "auto" ? null : name;
}

export function launchState(text: string, check: CheckState, isStarting: boolean): LaunchState {
  const name = runName(text);
  const label = name === null ? "Train" : `Train ${name}`;
  if (isStarting) {
    return { label: "Starting…", disabledReason: "The run is being started." };
  }
  switch (check.state) {
    case "checking":
      return { label, disabledReason: "The recipe is being checked." };
    case "failed":
      return { label, disabledReason: `The recipe could not be checked: ${check.message}` };
    case "checked": {
      const { errors } = problemCounts(check.problems);
      const first = check.problems.find((problem) => problem.severity === "error");
      if (first !== undefined) {
        const which = errors === 1 ? "one problem" : `${errors} problems, the first`;
        return { label, disabledReason: `Mend ${which} on line ${first.line} before training.` };
      }
      return { label, disabledReason: null };
    }
    default:
      return assertNever(check);
  }
}
