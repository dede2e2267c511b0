// The right-hand panel of a run: model, checkpoints, lineage, the recipe that is really used, and where it lies.
import { useState } from "react";
import { routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatCount, formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { Facts, Section } from "../../ui/facts.tsx";
import { type RunShown, useRuns } from "./store.ts";

export function RunDetails() {
  const shown = useRuns((state) => state.shown);
  // Another run is another panel: what was copied or failed belongs to the one before.
  return shown === null ? null : <Details key={shown.summary.directory} shown={shown} />;
}

function Details({ shown }: { readonly shown: RunShown }) {
  const [problem, setProblem] = useState<string | null>(null);
  const [isCopied, setCopied] = useState(false);
  const { manifest, summary, checkpoints, latest, parameterCount, resumes } = shown;
  const memory = latest["memory/peak_bytes"];
  const copy = (): void => {
    navigator.clipboard.writeText(summary.directory).then(
      () => setCopied(true),
      (error: unknown) => setProblem(messageOf(error)),
    );
  };
  const reveal = (): void => {
    client.request("app.reveal", { path: summary.directory }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <>
      <Section title="Model">
        <Facts
          rows={[
            ["parameters", parameterCount === null ? "–" : formatCount(parameterCount)],
            ["seed", String(manifest.seed)],
            ["memory, peak", typeof memory === "number" ? formatBytes(memory) : "–"],
            ...Object.entries(manifest.versions).map(([name, version]) => [name, version] as const),
          ]}
        />
      </Section>
      <Section title="Checkpoints">
        {checkpoints.length === 0 ? (
          <p className="details-note">None yet; the recipe says when, and “Checkpoint now” writes one at once.</p>
        ) : (
          <ul className="checkpoint-list">
            {checkpoints.toReversed().map((checkpoint) => (
              <li key={checkpoint.step}>
                <a
                  href={routeHash("playground", checkpoint.path)}
                  title={`Open in the playground; ${formatBytes(checkpoint.sizeBytes)}`}
                >
                  step {formatCount(checkpoint.step)}
                </a>
                {checkpoint.isBest ? <span className="ok"> best</span> : null}
                <span className="mono">{checkpoint.evalLoss === null ? "" : checkpoint.evalLoss.toFixed(3)}</span>
              </li>
            ))}
          </ul>
        )}
      </Section>
      <Section title="Times">
        <Facts
          rows={[
            ["created", formatTime(manifest.created_at)],
            ["started", manifest.started_at === null ? "–" : formatTime(manifest.started_at)],
            ["ended", manifest.ended_at === null ? "–" : formatTime(manifest.ended_at)],
            ...resumes.map(
              (resume) => [`resumed (${resume.resumed})`, `from step ${formatCount(resume.fromStep)}`] as const,
            ),
          ]}
        />
      </Section>
      <Section title="Where it lies">
        <p className="path mono">{summary.directory}</p>
        <div className="button-row">
          <Button onClick={copy}>{isCopied ? "Copied" : "Copy path"}</Button>
          <Button onClick={reveal}>Open folder</Button>
        </div>
        {problem === null ? null : <p className="bad">{problem}</p>}
      </Section>
      {summary.exitReason === null ? null : (
        <Section title="Ended because">
          <p>{summary.exitReason.message}</p>
        </Section>
      )}
    </>
  );
}
