// The panel below a run: its log as it grows, what it generated, and the recipe it really uses.
import { useEffect, useRef, useState } from "react";
import { formatCount } from "../../lib/format.ts";
import { useRuns } from "./store.ts";

const tabs = ["Log", "Samples", "Recipe"] as const;

function Log() {
  const log = useRuns((state) => state.log);
  const ref = useRef<HTMLPreElement>(null);
  const isAtEnd = useRef(true);
  useEffect(() => {
    const pre = ref.current;
    if (pre !== null && isAtEnd.current && log !== "") {
      pre.scrollTop = pre.scrollHeight;
    }
  }, [log]);
  return (
    <pre
      ref={ref}
      className="log"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
      tabIndex={0}
      aria-label="Log"
      onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
        isAtEnd.current = scrollTop + clientHeight > scrollHeight - 20;
      }}
    >
      {log === "" ? "Nothing logged yet." : log}
    </pre>
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
        <p key={`${sample.step} ${sample.prompt}`}>
          <span className="sample-step mono">step {formatCount(sample.step)}</span>{" "}
          <span className="muted">{sample.prompt}</span>
          {sample.text}
        </p>
      ))}
    </div>
  );
}

export function RunBottom() {
  const [tab, setTab] = useState<(typeof tabs)[number]>("Log");
  const recipe = useRuns((state) => state.shown?.recipeYaml ?? "");
  return (
    <section className="bottom-panel" aria-label="Log, samples and recipe">
      <div className="tabs" role="tablist">
        {tabs.map((each) => (
          <button
            key={each}
            type="button"
            role="tab"
            aria-selected={tab === each}
            className="tab"
            onClick={() => setTab(each)}
          >
            {each}
          </button>
        ))}
      </div>
      {tab === "Log" ? <Log /> : null}
      {tab === "Samples" ? <Samples /> : null}
      {tab === "Recipe" ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
        <pre className="log" tabIndex={0} aria-label="Recipe">
          {recipe}
        </pre>
      ) : null}
    </section>
  );
}
