// The panel below a run: its log as it grows, what it generated, the recipe it really uses, and what went wrong.
import { useEffect, useMemo, useRef, useState } from "react";
import { formatCount } from "../../lib/format.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Tabs } from "../../ui/tabs.tsx";
import { logLines } from "./log-lines.ts";
import { problemsOf } from "./problems.ts";
import { useRuns } from "./store.ts";

const tabs = ["Log", "Samples", "Problems", "Recipe"] as const;

function Log() {
  const log = useRuns((state) => state.log);
  const lines = useMemo(() => logLines(log), [log]);
  const ref = useRef<HTMLDivElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    const list = ref.current;
    if (list !== null && isAtEnd.current && lines.length > 0) {
      list.scrollTop = list.scrollHeight;
    }
  }, [lines]);
  return (
    <div
      ref={ref}
      className="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-label="Log"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20;
      }}
    >
      {lines.length === 0 ? <p className="muted">Nothing logged yet.</p> : null}
      {lines.map((line) => (
        <div key={line.at} className={line.isProblem ? "log-line bad" : "log-line"}>
          <span className="log-time">{line.time}</span> <span className="log-text">{line.text}</span>
        </div>
      ))}
    </div>
  );
}

function Samples() {
  const samples = useRuns((state) => state.samples);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <div className="samples" tabIndex={0} role="region" aria-label="Samples">
      {samples.length === 0 ? (
        <p className="muted">The recipe’s prompts are continued at every evaluation; nothing yet.</p>
      ) : null}
      {samples.toReversed().map((sample) => (
        <div key={`${sample.step} ${sample.prompt}`} className="sample">
          <span className="sample-step mono">step {formatCount(sample.step)}</span>
          <p>
            <span className="muted">{sample.prompt}</span>
            {sample.text}
          </p>
        </div>
      ))}
    </div>
  );
}

function useProblems() {
  const shown = useRuns((state) => state.shown);
  const series = useRuns((state) => state.series);
  const log = useRuns((state) => state.log);
  return useMemo(
    () => (shown === null ? [] : problemsOf(shown, Object.values(series), logLines(log))),
    [shown, series, log],
  );
}

function Problems() {
  const problems = useProblems();
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <div className="samples" tabIndex={0} role="region" aria-label="Problems">
      {problems.length === 0 ? <p className="muted">Nothing has gone wrong in this run.</p> : null}
      {problems.map((problem) => (
        <div key={problem.id} className="sample">
          <span className="sample-step mono">{problem.at}</span>
          <p className={problem.isBad ? "bad" : "warn"}>{problem.text}</p>
        </div>
      ))}
    </div>
  );
}

export function RunBottom() {
  const [tab, setTab] = useState<(typeof tabs)[number]>("Log");
  const recipe = useRuns((state) => state.shown?.recipeYaml ?? "");
  const log = useRuns((state) => state.log);
  const problemCount = useProblems().length;
  return (
    <section className="bottom-panel" aria-label="Log, samples, problems and recipe">
      <div className="bottom-head">
        <Tabs
          label="Log, samples, problems and recipe"
          names={tabs}
          chosen={tab}
          counts={{ Problems: problemCount }}
          onChoose={setTab}
        />
        {tab === "Log" && log !== "" ? (
          <CopyButton className="small quiet" text={() => log}>
            Copy log
          </CopyButton>
        ) : null}
        {tab === "Recipe" ? (
          <CopyButton className="small quiet" text={() => recipe}>
            Copy recipe
          </CopyButton>
        ) : null}
      </div>
      {tab === "Log" ? <Log /> : null}
      {tab === "Samples" ? <Samples /> : null}
      {tab === "Problems" ? <Problems /> : null}
      {tab === "Recipe" ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        <pre className="log" tabIndex={0} aria-label="Recipe">
          {recipe}
        </pre>
      ) : null}
    </section>
  );
}
