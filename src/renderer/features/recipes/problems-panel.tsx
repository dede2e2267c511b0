// Problems below the text: where, what, and a button that mends it where the right word is known.
import { Button } from "../../ui/button.tsx";
import { openEditor } from "./editor-handle.ts";
import { problemCounts, problemRows } from "./problem-rows.ts";
import { useRecipes } from "./store.ts";

export function ProblemsPanel() {
  const text = useRecipes((state) => state.text);
  const check = useRecipes((state) => state.check);
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
      {check.state === "failed" ? <p className="bad">The recipe could not be checked: {check.message}</p> : null}
      {check.state === "checked" && problems.length === 0 ? (
        <p className="muted">None. Every key and value is one Assay knows.</p>
      ) : null}
      <ul>
        {problemRows(text, problems).map((row) => (
          <li key={row.key} className={`problem problem-${row.problem.severity}`}>
            <button
              type="button"
              className="problem-place"
              onClick={() => openEditor()?.reveal(row.problem)}
              aria-label={`${row.problem.severity} on ${row.place}: show it`}
            >
              {row.place}
            </button>
            <span className="problem-message">{row.problem.message}</span>
            {row.fix === null ? null : (
              <Button
                className="small"
                onClick={() => openEditor()?.applyFix(row.problem)}
                aria-label={`Fix: replace ${row.fix.from} by ${row.fix.to}`}
                title={`Replace by ${row.fix.to}`}
              >
                Fix
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
