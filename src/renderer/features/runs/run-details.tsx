// The right-hand panel of a run: its model, what it came from, its checkpoints, its times and where it lies.
import { GitBranch } from "lucide-react";
import { useMemo, useState } from "react";
import { routeHash } from "../../app/router.ts";
import { client, messageOf } from "../../lib/client.ts";
import { formatBytes, formatCount, formatLarge, formatTime } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Facts, Section } from "../../ui/facts.tsx";
import { recipeFacts } from "./recipe-facts.ts";
import { type RunShown, useRuns } from "./store.ts";

export function RunDetails() {
  const shown = useRuns((state) => state.shown);
  const recipe = shown?.recipeYaml ?? "";
  const facts = useMemo(() => recipeFacts(recipe), [recipe]);
  if (shown === null) {
    return null;
  }
  const { manifest, summary, latest, parameterCount, parentName } = shown;
  const memory = latest["memory/peak_bytes"];
  const { trainable_parameters: trainable, planned_memory_bytes: planned } = manifest;
  return (
    <>
      <Section title="Model">
        <Facts
          rows={[
            ...facts.model,
            ["parameters", parameterCount === null ? "–" : formatLarge(parameterCount).join("\u2009")],
            ...(trainable === null ? [] : [["trained of them", trainedText(trainable, parameterCount)] as const]),
            ...(planned === null
              ? []
              : [["memory, planned", <PlannedMemory key="planned" bytes={planned} />] as const]),
            ["memory, peak", typeof memory === "number" ? formatBytes(memory) : "–"],
          ]}
        />
      </Section>
      {facts.lineage.length === 0 && manifest.branched_from === null ? null : (
        <Section title="Lineage">
          <ol className="lineage">
            {facts.lineage.map((each) => (
              <li key={each.note} title={each.path ?? ""}>
                {each.name} <span className="muted">{each.note}</span>
              </li>
            ))}
            {manifest.branched_from === null ? null : (
              <li>
                {parentName === null ? (
                  <span title="This run is not in the workspace any more">{manifest.branched_from.run}</span>
                ) : (
                  <a href={routeHash("runs", manifest.branched_from.run)}>{parentName}</a>
                )}{" "}
                <span className="muted">
                  branched at step {formatCount(manifest.branched_from.step)}
                  {manifest.branched_from.changed.length === 0
                    ? ""
                    : `, ${manifest.branched_from.changed.join(", ")} changed`}
                </span>
              </li>
            )}
            <li className="lineage-own">{summary.name}</li>
          </ol>
          {summary.step === 0 ? null : (
            <a href={routeHash("corpora", "trace", summary.id, String(summary.step), "1")}>
              Which documents a step read
            </a>
          )}
        </Section>
      )}
      <Checkpoints shown={shown} />
      <Section title="Times">
        <Facts
          rows={[
            ["created", formatTime(manifest.created_at)],
            ["started", manifest.started_at === null ? "–" : formatTime(manifest.started_at)],
            ["ended", manifest.ended_at === null ? "–" : formatTime(manifest.ended_at)],
            ...(manifest.resumes === 0 ? [] : [["resumed", `${manifest.resumes} ×`] as const]),
          ]}
        />
      </Section>
      <Place key={summary.directory} directory={summary.directory} />
      {summary.exitReason === null ? null : (
        <Section title="Ended because">
          <p>{summary.exitReason.message}</p>
        </Section>
      )}
      <Section title="Made with">
        <Facts rows={[["seed", String(manifest.seed)], ...Object.entries(manifest.versions)]} />
      </Section>
    </>
  );
}

/** The engine's plan; the process around it is measured too. */
function PlannedMemory({ bytes }: { readonly bytes: number }) {
  return (
    <span title="What the engine planned to allocate; the peak is the whole process's, its libraries and text included">
      {formatBytes(bytes)}
    </span>
  );
}

/** `589 k, 0.16 %` of all. */
function trainedText(trainable: number, all: number | null): string {
  const shown = formatLarge(trainable).join("\u2009");
  return all === null || all === 0 ? shown : `${shown}, ${((100 * trainable) / all).toPrecision(2)}\u2009%`;
}

function Checkpoints({ shown: { checkpoints, summary } }: { readonly shown: RunShown }) {
  return (
    <Section title="Checkpoints">
      {checkpoints.length === 0 ? (
        <p className="details-note">
          {summary.status === "running" || summary.status === "paused"
            ? "None yet; the recipe says when, and “Checkpoint now” writes one at once."
            : "None."}
        </p>
      ) : (
        <>
          <ul className="checkpoint-list">
            {checkpoints.toReversed().map((checkpoint) => (
              <li key={checkpoint.step}>
                <a
                  href={routeHash("models", checkpoint.path)}
                  title={`Open the model; ${formatBytes(checkpoint.sizeBytes)}`}
                >
                  step {formatCount(checkpoint.step)}
                </a>
                {checkpoint.isBest ? <span className="ok">best</span> : null}
                <span className="mono">{checkpoint.evalLoss === null ? "" : checkpoint.evalLoss.toFixed(3)}</span>
                <a
                  className="checkpoint-branch"
                  href={routeHash("runs", summary.id, "branch", String(checkpoint.step))}
                  title={`Branch from step ${formatCount(checkpoint.step)}…`}
                  aria-label={`Branch from step ${formatCount(checkpoint.step)}`}
                >
                  <GitBranch size={14} aria-hidden="true" />
                </a>
              </li>
            ))}
          </ul>
          <p className="details-note">With their held-out loss; each opens as a model, or a branch begins from it.</p>
        </>
      )}
    </Section>
  );
}

function Place({ directory }: { readonly directory: string }) {
  const [problem, setProblem] = useState<string | null>(null);
  const reveal = (): void => {
    setProblem(null);
    client.request("app.reveal", { path: directory }).catch((error: unknown) => setProblem(messageOf(error)));
  };
  return (
    <Section title="Where it lies">
      <p className="path mono">{directory}</p>
      <div className="button-row">
        <CopyButton className="small" text={() => directory}>
          Copy path
        </CopyButton>
        <Button className="small" onClick={reveal}>
          Open folder
        </Button>
      </div>
      {problem === null ? null : <p className="bad">{problem}</p>}
    </Section>
  );
}
