// The plan at the right: what this recipe asks of this machine. Every row opens the sentence it was computed by.
import { useState } from "react";
import type { CheckState } from "./launch-state.ts";
import { type PlanRow, planRows } from "./plan-rows.ts";
import { problemCounts } from "./problem-rows.ts";
import { useRecipes } from "./store.ts";

const basisSentences = {
  measured: "Rate measured by a run of this shape on this machine.",
  estimated: "Rate estimated from this machine's measured peak; a first run makes it exact.",
} as const;

export function PlanPanel() {
  const check = useRecipes((state) => state.check);
  return (
    <section className="plan" aria-labelledby="plan-title">
      <h2 id="plan-title" className="details-title">
        Plan, this computer
      </h2>
      <PlanBody check={check} />
    </section>
  );
}

function PlanBody({ check }: { readonly check: CheckState }) {
  if (check.state === "checking") {
    return <p className="plan-note">Checking the recipe…</p>;
  }
  if (check.state === "failed") {
    return <p className="plan-note bad">No plan: the recipe could not be checked. {check.message}</p>;
  }
  if (check.forecast === null) {
    const { errors } = problemCounts(check.problems);
    const why =
      check.forecastProblem ??
      (errors > 0 ? "it comes when the problems below are mended." : "there is not enough to compute from.");
    return <p className="plan-note">No plan yet: {why}</p>;
  }
  return (
    <>
      <ul className="plan-rows">
        {planRows(check.forecast).map((row) => (
          <PlanRowView key={row.key} row={row} />
        ))}
      </ul>
      <p className="plan-note">{basisSentences[check.forecast.basis]}</p>
    </>
  );
}

function PlanRowView({ row }: { readonly row: PlanRow }) {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <li className={row.key === "seconds" ? "plan-row plan-row-main" : "plan-row"}>
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setIsOpen(!isOpen)}
        title={isOpen ? undefined : "Show the arithmetic"}
      >
        <span className="plan-label">{row.label}</span>
        <span className="plan-value">
          {row.value}
          {row.unit === "" ? null : <span className="unit">{`\u2009${row.unit}`}</span>}
        </span>
      </button>
      {isOpen ? <p className="plan-how">{row.how}</p> : null}
    </li>
  );
}
