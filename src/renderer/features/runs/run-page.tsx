// One run: where it is, its figures, the loss over everything seen so far, and the small multiples that share its axis.
import { useEffect, useRef, useState } from "react";
import type { RunSummary } from "#shared/domain/run";
import { routeHash } from "../../app/router.ts";
import { formatCount, formatLarge, formatNumber } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { toPoints, xRange } from "./curves.ts";
import { LossFigure } from "./loss-figure.tsx";
import { SmallChart } from "./small-chart.tsx";
import { type RunShown, refreshOpen, useRuns } from "./store.ts";
import { positionText, smallFigures, spokenText, toneOf } from "./view-model.ts";

function Headline({ value, unit, label }: { readonly value: string; readonly unit?: string; readonly label: string }) {
  return (
    <div className="headline">
      <dt className="headline-label">{label}</dt>
      <dd className="headline-value">
        {value}
        {unit === undefined || value === "–" ? null : <span className="unit"> {unit}</span>}
      </dd>
    </div>
  );
}

function Headlines({ shown }: { readonly shown: RunShown }) {
  const { summary, latest } = shown;
  const [tokens, tokensUnit] = formatLarge(summary.tokens);
  const number = (value: number | null): string => (value === null ? "–" : formatNumber(value));
  const epoch = latest["epoch"];
  return (
    <dl className="headlines">
      <Headline value={number(summary.trainLoss)} label="train loss" />
      <Headline value={number(summary.evalPerplexity)} label="held-out perplexity" />
      <Headline value={number(summary.evalBitsPerByte)} unit="bits/byte" label="held out" />
      <Headline
        value={summary.tokensPerSecond === null ? "–" : formatCount(summary.tokensPerSecond)}
        unit="tok/s"
        label="throughput"
      />
      <Headline
        value={tokens}
        unit={tokensUnit}
        label={typeof epoch === "number" ? `tokens seen, ${epoch.toFixed(1)} epochs` : "tokens seen"}
      />
    </dl>
  );
}

function Multiples({ shown }: { readonly shown: RunShown }) {
  const series = useRuns((state) => state.series);
  const zoom = useRuns((state) => state.zoom);
  const axis = useRuns((state) => state.axis);
  const present = smallFigures.flatMap((figure) => {
    const found = series[figure.key];
    return found === undefined ? [] : [{ figure, points: toPoints(found.x, found.y) }];
  });
  const range = xRange(
    present.map(({ points }) => points),
    axis,
    shown.summary.totalSteps,
  );
  return (
    <div className="multiples">
      {present.map(({ figure, points }) => (
        <SmallChart
          key={figure.key}
          figure={figure}
          points={points}
          latest={shown.latest[figure.key]}
          xDomain={zoom ?? range}
        />
      ))}
    </div>
  );
}

const speakEveryMs = 10_000;

/** The run in words for screen readers, at most every ten seconds, and at once when its status changes. */
function Spoken({ summary }: { readonly summary: RunSummary }) {
  const [text, setText] = useState("");
  const newest = useRef(summary);
  useEffect(() => {
    newest.current = summary;
  }, [summary]);
  const { status } = summary;
  useEffect(() => {
    const say = (): void => setText(spokenText({ ...newest.current, status }));
    const first = setTimeout(say, 0);
    const timer = setInterval(say, speakEveryMs);
    return () => {
      clearTimeout(first);
      clearInterval(timer);
    };
  }, [status]);
  return (
    <p className="sr-only" role="status">
      {text}
    </p>
  );
}

function Troubles({ shown }: { readonly shown: RunShown }) {
  const error = useRuns((state) => state.shownError);
  const actionError = useRuns((state) => state.actionError);
  const { summary, checkpoints } = shown;
  const ended = summary.status === "failed" || summary.status === "lost";
  return (
    <>
      {error === null ? null : (
        <p className="banner banner-bad" role="alert">
          What is shown may be out of date: {error}
        </p>
      )}
      {actionError === null ? null : (
        <p className="banner banner-bad" role="alert">
          {actionError}
        </p>
      )}
      {summary.exitReason === null || !ended ? null : (
        <p className="banner banner-bad" role="alert" data-testid="exit-reason">
          <span>{summary.exitReason.message}</span> <code>{summary.exitReason.code}</code>
        </p>
      )}
      {summary.status === "lost" && summary.exitReason === null ? (
        <p className="banner banner-bad" role="alert">
          {`The process that trained this run is gone without a word, as after a crash or a power cut. ${
            checkpoints.length === 0
              ? "It had no checkpoint yet, so Resume begins anew."
              : "Its checkpoints are whole: Resume goes on from the newest."
          }`}
        </p>
      ) : null}
    </>
  );
}

export function RunPage({ run }: { readonly run: string }) {
  const shown = useRuns((state) => state.shown);
  const error = useRuns((state) => state.shownError);
  if (shown === null) {
    return error === null ? (
      <p className="state-note">Reading {run}…</p>
    ) : (
      <ErrorState
        title="This run cannot be shown"
        message={error}
        actions={
          <>
            <Button onClick={refreshOpen}>Try again</Button>
            <a className="button" href={routeHash("runs")}>
              All runs
            </a>
          </>
        }
      />
    );
  }
  const { summary } = shown;
  return (
    <div className="page run-page">
      <div className="page-title">
        <h1>{summary.name}</h1>
        <span className={toneOf(summary.status)} data-testid="run-status">
          {summary.status}
        </span>
        <span className="muted tabular">{positionText(summary)}</span>
      </div>
      <Spoken summary={summary} />
      <Troubles shown={shown} />
      <Headlines shown={shown} />
      <LossFigure shown={shown} />
      <Multiples shown={shown} />
    </div>
  );
}
