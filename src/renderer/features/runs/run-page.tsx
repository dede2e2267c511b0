// One run: its figures, the loss over everything seen so far, and the small multiples that share its axis.
import { useMemo, useState } from "react";
import { routeHash } from "../../app/router.ts";
import { formatCount, formatLarge, formatNumber } from "../../lib/format.ts";
import { Button } from "../../ui/button.tsx";
import { ErrorState } from "../../ui/states.tsx";
import { Chart, type ChartLine } from "./chart.tsx";
import { SmallChart } from "./small-chart.tsx";
import { changeChart, type RunShown, refreshOpen, useRuns } from "./store.ts";
import {
  type Axis,
  axisText,
  evalLossKey,
  figureTable,
  lossKey,
  pointsText,
  positionText,
  smallCharts,
  toneOf,
  toPoints,
} from "./view-model.ts";

function Headline({ value, unit, label }: { readonly value: string; readonly unit?: string; readonly label: string }) {
  return (
    <div className="headline">
      <div className="headline-value">
        {value}
        {unit === undefined ? null : <span className="unit"> {unit}</span>}
      </div>
      <div className="headline-label">{label}</div>
    </div>
  );
}

function Headlines({ shown }: { readonly shown: RunShown }) {
  const { summary, latest } = shown;
  const [tokens, tokensUnit] = formatLarge(summary.tokens);
  const number = (value: number | null): string => (value === null ? "–" : formatNumber(value));
  const epoch = latest["epoch"];
  return (
    <div className="headlines">
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
    </div>
  );
}

const axes: readonly Axis[] = ["step", "tokens", "time"];

function LossFigure({ shown }: { readonly shown: RunShown }) {
  const series = useRuns((state) => state.series);
  const axis = useRuns((state) => state.axis);
  const isLog = useRuns((state) => state.isLog);
  const smoothing = useRuns((state) => state.smoothing);
  const zoom = useRuns((state) => state.zoom);
  const [isTable, setTable] = useState(false);
  const train = series[lossKey];
  const evaluation = series[evalLossKey];
  const lines = useMemo((): readonly ChartLine[] => {
    const raw = train === undefined ? [] : toPoints(train.x, train.y);
    const smooth = train === undefined || train.smoothed.length === 0 ? [] : toPoints(train.x, train.smoothed);
    const heldOut = evaluation === undefined ? [] : toPoints(evaluation.x, evaluation.y);
    return [
      {
        title: "train, every step",
        points: raw,
        colour: "var(--series-1)",
        kind: smooth.length > 0 ? "raw" : "strong",
      } as const,
      { title: "train, smoothed", points: smooth, colour: "var(--series-1)", kind: "strong" } as const,
      { title: "held out", points: heldOut, colour: "var(--series-2)", kind: "points" } as const,
    ].filter((line) => line.points.length > 0);
  }, [train, evaluation]);
  const lastX = Math.max(0, ...lines.map((line) => line.points.at(-1)?.x ?? 0));
  const xEnd = axis === "step" && shown.summary.totalSteps !== null ? Math.max(lastX, shown.summary.totalSteps) : lastX;
  const xDomain: readonly [number, number] = zoom ?? [0, xEnd === 0 ? 1 : xEnd];
  const marks =
    axis === "step"
      ? shown.checkpoints
          .map((checkpoint) => checkpoint.step)
          .filter((step) => step >= xDomain[0] && step <= xDomain[1])
      : [];
  const nonFinite = [...(train?.nonFinite ?? []), ...(evaluation?.nonFinite ?? [])];
  return (
    <section className="loss" aria-label="Loss">
      <div className="chart-head">
        <h2>Loss</h2>
        {lines.map((line) => (
          <span key={line.title} className="legend-item">
            <span className={`legend-line is-${line.kind}`} style={{ color: line.colour }} aria-hidden="true" />{" "}
            {line.title}
          </span>
        ))}
        <span className="chart-controls">
          {zoom === null ? null : (
            <button type="button" className="chart-control" onClick={() => changeChart({ zoom: null })}>
              whole run
            </button>
          )}
          <label className="chart-control">
            x:{" "}
            <select
              value={axis}
              onChange={(event) => changeChart({ axis: axes.find((each) => each === event.target.value) ?? "step" })}
            >
              {axes.map((each) => (
                <option key={each}>{each}</option>
              ))}
            </select>
          </label>
          <label className="chart-control">
            y:{" "}
            <select
              value={isLog ? "log" : "linear"}
              onChange={(event) => changeChart({ isLog: event.target.value === "log" })}
            >
              <option>linear</option>
              <option>log</option>
            </select>
          </label>
          <label className="chart-control">
            smoothing{" "}
            <input
              type="range"
              min={0}
              max={0.99}
              step={0.01}
              value={smoothing}
              onChange={(event) => changeChart({ smoothing: Number(event.target.value) })}
            />{" "}
            <span className="mono">{smoothing.toFixed(2)}</span>
          </label>
          <button type="button" className="chart-control" aria-pressed={isTable} onClick={() => setTable(!isTable)}>
            {isTable ? "figure" : "table"}
          </button>
          <span className="chart-points">{pointsText(train)}</span>
        </span>
      </div>
      {lines.length === 0 ? (
        <p className="chart-empty">The curve begins with the first step.</p>
      ) : isTable ? (
        <FigureTable lines={lines} axis={axis} />
      ) : (
        <Chart
          lines={lines}
          axis={axis}
          isLog={isLog}
          xDomain={xDomain}
          height="min(38vh, 360px)"
          nonFinite={nonFinite}
          marks={marks}
          onZoom={(range) => changeChart({ zoom: range })}
          label={`Loss by ${axis}; the table button shows the same as numbers`}
        />
      )}
    </section>
  );
}

function FigureTable({ lines, axis }: { readonly lines: readonly ChartLine[]; readonly axis: Axis }) {
  const rows = figureTable(lines);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard
    <div className="figure-table" tabIndex={0} role="region" aria-label="Loss as a table">
      <table className="table">
        <thead>
          <tr>
            <th scope="col" className="number">
              {axis}
            </th>
            {lines.map((line) => (
              <th key={line.title} scope="col" className="number">
                {line.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.x}>
              <td className="number">{axisText(axis, row.x)}</td>
              {row.values.map((value, column) => (
                <td key={lines[column]?.title} className="number">
                  {value === null ? "" : formatNumber(value)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Multiples({ shown }: { readonly shown: RunShown }) {
  const series = useRuns((state) => state.series);
  const zoom = useRuns((state) => state.zoom);
  const axis = useRuns((state) => state.axis);
  const present = smallCharts.flatMap((chart) => {
    const found = series[chart.key];
    return found === undefined ? [] : [{ chart, points: toPoints(found.x, found.y) }];
  });
  const lastX = Math.max(0, ...present.map(({ points }) => points.at(-1)?.x ?? 0));
  const xEnd = axis === "step" && shown.summary.totalSteps !== null ? Math.max(lastX, shown.summary.totalSteps) : lastX;
  return (
    <div className="multiples">
      {present.map(({ chart, points }) => (
        <SmallChart
          key={chart.key}
          title={chart.title}
          unit={chart.unit}
          isBytes={chart.bytes === true}
          points={points}
          latest={shown.latest[chart.key]}
          xDomain={zoom ?? [0, xEnd === 0 ? 1 : xEnd]}
        />
      ))}
    </div>
  );
}

export function RunPage({ run }: { readonly run: string }) {
  const shown = useRuns((state) => state.shown);
  const error = useRuns((state) => state.shownError);
  const actionError = useRuns((state) => state.actionError);
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
  const fraction =
    summary.phase?.done !== undefined && summary.phase.total ? summary.phase.done / summary.phase.total : null;
  return (
    <div className="page run-page">
      <div className="run-title">
        <h1>{summary.name}</h1>
        <span className={toneOf(summary.status)} data-testid="run-status">
          {summary.status}
        </span>
        <span className="muted tabular">{positionText(summary)}</span>
      </div>
      {fraction === null || summary.step > 0 ? null : (
        <div
          className="progress"
          role="progressbar"
          aria-valuenow={Math.round(100 * fraction)}
          aria-label={summary.phase?.name ?? "progress"}
        >
          <span style={{ width: `${100 * fraction}%` }} />
        </div>
      )}
      {error === null ? null : <p className="banner banner-bad">What is shown may be out of date: {error}</p>}
      {actionError === null ? null : (
        <p className="banner banner-bad" role="alert">
          {actionError}
        </p>
      )}
      {summary.exitReason === null || (summary.status !== "failed" && summary.status !== "lost") ? null : (
        <p className="banner banner-bad" role="alert" data-testid="exit-reason">
          {summary.exitReason.message} <code>{summary.exitReason.code}</code>
        </p>
      )}
      {summary.status === "lost" && summary.exitReason === null ? (
        <p className="banner banner-bad" role="alert">
          The process that trained this run is gone without a word, as after a crash or a power cut. Its checkpoints are
          whole: resume goes on from the newest.
        </p>
      ) : null}
      <Headlines shown={shown} />
      <LossFigure shown={shown} />
      <Multiples shown={shown} />
    </div>
  );
}
