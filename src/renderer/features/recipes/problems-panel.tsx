// Problems below the text: where, what, and a button that mends it where the right word is known.
import type { RecipeProblem } from "#shared/ipc/recipes.contract";
import type { CheckState } from "./launch-state.ts";
import { problemCounts, problemRows } from "./problem-rows.ts";

type ProblemsPanelProps = {
  readonly text: string;
  readonly check: CheckState;
  readonly onReveal: (problem: RecipeProblem) => void;
  readonly onFix: (problem: RecipeProblem) => void;
};

export function ProblemsPanel({ text, check, onReveal, onFix }: ProblemsPanelProps) {
  const problems = check.state === "checked" ? check.problems : [];
  const { errors, warnings } = problemCounts(problems);
  return (
    <section className="problems" aria-labelledby="problems-title">
      <h2 id="problems-title" className="problems-title">
        Problems <span className="problems-count">{errors + warnings}</span>
      </h2>
      <p className="sr-only" role="status">
        {check.state === "checked" ? `${errors} errors, ${warnings} warnings in the recipe` : ""}
      </p>
      {check.state === "failed" ? <p className="problems-none plan-bad">The recipe could not be checked: {check.message}</p> : null}
      {check.state === "checked" && problems.length === 0 ? <p className="problems-none">None. Every key and value is one Assay knows.</p> : null}
      <ul>
        {problemRows(text, problems).map((row) => (
          <li key={row.key} className={`problem problem-${row.problem.severity}`}>
            <button type="button" className="problem-place" onClick={() => onReveal(row.problem)} aria-label={`Go to ${row.place}`}>
              {row.place}
            </button>
            <span className="problem-message">{row.problem.message}</span>
            {row.fix === null ? null : (
              <button
                type="button"
                className="small-button"
                onClick={() => onFix(row.problem)}
                aria-label={`Fix: replace ${row.fix.from} by ${row.fix.to}`}
                title={`Replace by ${row.fix.to}`}
              >
                Fix
              </button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
