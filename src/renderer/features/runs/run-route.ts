// What a route of Runs names: `#/runs/<id>`, `#/runs/<id>/branch/<step>`, `#/runs/<id>/extend`.
import type { Route } from "../../app/router.ts";

export type RunRoute =
  | { readonly kind: "list" }
  | { readonly kind: "run"; readonly run: string }
  | { readonly kind: "branch"; readonly run: string; readonly step: number }
  | { readonly kind: "extend"; readonly run: string };

export function runRoute({ rest: [run, part, step] }: Pick<Route, "rest">): RunRoute {
  if (run === undefined) {
    return { kind: "list" };
  }
  if (part === "branch" && step !== undefined && /^\d+$/u.test(step)) {
    return { kind: "branch", run, step: Number(step) };
  }
  return part === "extend" ? { kind: "extend", run } : { kind: "run", run };
}
