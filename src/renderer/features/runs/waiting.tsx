// What a run does before its first step, by name: how far it is, and how long it has been at it.
import { useEffect, useState } from "react";
import type { RunSummary } from "#shared/domain/run";
import { formatDuration } from "../../lib/format.ts";
import { phaseShare, phaseText } from "./view-model.ts";

export function Waiting({ summary }: { readonly summary: RunSummary }) {
  const since = Date.parse(summary.startedAt ?? summary.createdAt);
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, []);
  const share = phaseShare(summary);
  const words = phaseText(summary);
  return (
    <div className="waiting">
      <p>
        <strong>{words === "" ? "waiting for the first step" : words}</strong>
        <span className="muted tabular"> {formatDuration(Math.max(0, Math.floor((now - since) / 1000)))}</span>
      </p>
      <div
        className={`progress ${share === null ? "is-open" : ""}`}
        role="progressbar"
        aria-label={words === "" ? "waiting" : words}
        {...(share === null ? {} : { "aria-valuenow": Math.round(100 * share) })}
      >
        <span style={share === null ? {} : { width: `${100 * share}%` }} />
      </div>
      <p className="muted">The curve begins with the first step. This window may be closed; the run goes on.</p>
    </div>
  );
}
