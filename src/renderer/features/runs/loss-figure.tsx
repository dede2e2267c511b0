// The loss of a run: legend and controls in one line, the figure, or the same as a table.
import { useMemo, useState } from "react";
import { formatCount, formatNumber } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Chart, type ChartLine } from "./chart.tsx";
import { type Axis, axisText, figureTable, pointsText, type Range, toPoints, xRange } from "./curves.ts";
import { changeChart, type RunShown, useRuns } from "./store.ts";
import { evalLossKey, lossKey, noCurveText } from "./view-model.ts";
import { Waiting } from "./waiting.tsx";

const axes: readonly Axis[] = ["step", "tokens", "time"];

function useLines(): readonly ChartLine[] {
  const train = useRuns((state) => state.series[lossKey]);
  const evaluation = useRuns((state) => state.series[evalLossKey]);
  return useMemo((): readonly ChartLine[] => {
    const raw = train === undefined ? [] : toPoints(train.x, train.y);
    const smooth = train === undefined || train.smoothed.length === 0 ? [] : toPoints(train.x, train.smoothed);
    const heldOut = evaluation === undefined ? [] : toPoints(evaluation.x, evaluation.y);
    const rawKind: ChartLine["kind"] = smooth.length > 0 ? "raw" : "strong";
    // Drawn in this order: the smoothed line lies over the raw one.
    const lines: readonly ChartLine[] = [
      { title: "train, every step", points: raw, colour: "var(--series-1)", kind: rawKind },
      { title: "train, smoothed", points: smooth, colour: "var(--series-1)", kind: "strong" },
      { title: "held out", points: heldOut, colour: "var(--series-2)", kind: "points" },
    ];
    return lines.filter((line) => line.points.length > 0);
  }, [train, evaluation]);
}

export function LossFigure({ shown }: { readonly shown: RunShown }) {
  const train = useRuns((state) => state.series[lossKey]);
  const evaluation = useRuns((state) => state.series[evalLossKey]);
  const axis = useRuns((state) => state.axis);
  const isLog = useRuns((state) => state.isLog);
  const zoom = useRuns((state) => state.zoom);
  const [isTable, setTable] = useState(false);
  const lines = useLines();
  const { summary, checkpoints } = shown;
  const xDomain: Range =
    zoom ??
    xRange(
      lines.map((line) => line.points),
      axis,
      summary.totalSteps,
    );
  const marks =
    axis === "step"
      ? checkpoints.map((checkpoint) => checkpoint.step).filter((step) => step >= xDomain[0] && step <= xDomain[1])
      : [];
  const nonFinite = [...(train?.nonFinite ?? []), ...(evaluation?.nonFinite ?? [])];
  if (lines.length === 0 && nonFinite.length === 0) {
    const never = noCurveText(summary.status);
    return (
      <section className="chart-empty" aria-label="Loss">
        {never === null ? <Waiting summary={summary} /> : <p>{never}</p>}
      </section>
    );
  }
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
        <Controls isTable={isTable} onTable={setTable} />
      </div>
      {isTable ? (
        <FigureTable lines={lines} axis={axis} range={xDomain} />
      ) : (
        <Chart
          lines={lines}
          axis={axis}
          isLog={isLog}
          xDomain={xDomain}
          isZoomed={zoom !== null}
          nonFinite={nonFinite}
          marks={marks}
          onZoom={(range) => changeChart({ zoom: range })}
          label={`Loss by ${axis}`}
        />
      )}
      <p className="chart-foot">
        <span>{pointsText(train)}</span>
        {zoom === null ? null : (
          <button type="button" className="text-button" onClick={() => changeChart({ zoom: null })}>
            Show the whole run
          </button>
        )}
        {marks.length === 0 || isTable ? null : (
          <span className="chart-foot-mark">
            <span className="checkpoint-mark" aria-hidden="true" /> {marks.length === 1 ? "checkpoint" : "checkpoints"}
          </span>
        )}
      </p>
    </section>
  );
}

function Controls({ isTable, onTable }: { readonly isTable: boolean; readonly onTable: (isTable: boolean) => void }) {
  const axis = useRuns((state) => state.axis);
  const isLog = useRuns((state) => state.isLog);
  const smoothing = useRuns((state) => state.smoothing);
  return (
    <span className="chart-controls">
      <label className="chart-control">
        x:
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
        y:
        <select
          value={isLog ? "log" : "linear"}
          onChange={(event) => changeChart({ isLog: event.target.value === "log" })}
        >
          <option>linear</option>
          <option>log</option>
        </select>
      </label>
      <label className="chart-control">
        smoothing
        <input
          type="range"
          min={0}
          max={0.99}
          step={0.01}
          value={smoothing}
          onChange={(event) => changeChart({ smoothing: Number(event.target.value) })}
        />
        <span className="mono">{smoothing.toFixed(2)}</span>
      </label>
      <button type="button" className="text-button" aria-pressed={isTable} onClick={() => onTable(!isTable)}>
        {isTable ? "figure" : "table"}
      </button>
    </span>
  );
}

function FigureTable({
  lines,
  axis,
  range,
}: {
  readonly lines: readonly ChartLine[];
  readonly axis: Axis;
  readonly range: Range;
}) {
  const rows = figureTable(lines).filter((row) => row.x >= range[0] && row.x <= range[1]);
  const head = [axis, ...lines.map((line) => line.title)];
  return (
    <>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a scrolling region has to be reachable by keyboard */}
      <div className="figure-table" tabIndex={0} role="region" aria-label="Loss as a table">
        <table className="table">
          <thead>
            <tr>
              {head.map((title) => (
                <th key={title} scope="col" className="number">
                  {title}
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
      <div className="figure-table-foot">
        <CopyButton
          className="small"
          text={() =>
            tableText(
              head,
              rows.map((row) => [row.x, ...row.values]),
            )
          }
        >
          Copy table
        </CopyButton>
        <span className="muted">{formatCount(rows.length)} rows, with full precision</span>
      </div>
    </>
  );
}
