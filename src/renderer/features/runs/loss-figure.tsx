// The loss of a run: legend and controls in one line, the figure, or the same as a table.
import { useEffect, useMemo, useState } from "react";
import { formatCount, formatNumber } from "../../lib/format.ts";
import { tableText } from "../../lib/table-text.ts";
import { CopyButton } from "../../ui/copy-button.tsx";
import { Chart, type ChartLine } from "./chart.tsx";
import { type Axis, axisText, figureTable, type Point, pointsText, type Range, toPoints, xRange } from "./curves.ts";
import { changeChart, type RunShown, readParent, showParent, useRuns } from "./store.ts";
import { evalLossKey, lossKey, noCurveText } from "./view-model.ts";
import { Waiting } from "./waiting.tsx";

const axes: readonly Axis[] = ["step", "tokens", "time"];

type Branching = { readonly parent: string; readonly name: string; readonly step: number };

function branchingOf({ manifest, parentName }: RunShown): Branching | null {
  const { branched_from: parent } = manifest;
  return parent === null || parentName === null ? null : { parent: parent.run, name: parentName, step: parent.step };
}

/** The parent's curve, as far as this run goes back to it. Times of two runs have no common zero. */
function useParentLines(branching: Branching | null): readonly ChartLine[] {
  const train = useRuns((state) => state.parentSeries[lossKey]);
  const evaluation = useRuns((state) => state.parentSeries[evalLossKey]);
  const own = useRuns((state) => state.series[lossKey]);
  const isShown = useRuns((state) => state.isParentShown);
  const axis = useRuns((state) => state.axis);
  const smoothing = useRuns((state) => state.smoothing);
  const zoom = useRuns((state) => state.zoom);
  const parent = branching?.parent ?? null;
  useEffect(() => {
    if (parent !== null && isShown) {
      void readParent(parent);
    }
    // oxlint-disable-next-line react/exhaustive-deps -- asked again whenever the figure shows another part
  }, [parent, isShown, axis, smoothing, zoom]);
  return useMemo((): readonly ChartLine[] => {
    if (branching === null || !isShown || axis === "time") {
      return [];
    }
    const end = axis === "step" ? branching.step : (own?.x[0] ?? Number.POSITIVE_INFINITY);
    const upToBranch = (points: readonly Point[]): readonly Point[] => points.filter(({ x }) => x <= end);
    const smoothed = train === undefined || train.smoothed.length === 0 ? train?.y : train.smoothed;
    const lines: readonly ChartLine[] = [
      {
        title: `${branching.name}, train`,
        points: train === undefined || smoothed === undefined ? [] : upToBranch(toPoints(train.x, smoothed)),
        colour: "var(--faint)",
        kind: "strong",
        isDimmed: true,
      },
      {
        title: `${branching.name}, held out`,
        points: evaluation === undefined ? [] : upToBranch(toPoints(evaluation.x, evaluation.y)),
        colour: "var(--faint)",
        kind: "points",
        isDimmed: true,
      },
    ];
    return lines.filter((line) => line.points.length > 0);
  }, [branching, isShown, axis, own, train, evaluation]);
}

function useLines(branching: Branching | null): readonly ChartLine[] {
  const train = useRuns((state) => state.series[lossKey]);
  const evaluation = useRuns((state) => state.series[evalLossKey]);
  const ofParent = useParentLines(branching);
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
    return [...ofParent, ...lines.filter((line) => line.points.length > 0)];
  }, [train, evaluation, ofParent]);
}

export function LossFigure({ shown }: { readonly shown: RunShown }) {
  const train = useRuns((state) => state.series[lossKey]);
  const evaluation = useRuns((state) => state.series[evalLossKey]);
  const axis = useRuns((state) => state.axis);
  const isLog = useRuns((state) => state.isLog);
  const zoom = useRuns((state) => state.zoom);
  const [isTable, setTable] = useState(false);
  const branching = useMemo(() => branchingOf(shown), [shown]);
  const lines = useLines(branching);
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
  const ownLines = lines.filter((line) => line.isDimmed !== true);
  if (ownLines.length === 0 && nonFinite.length === 0) {
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
        {ownLines.map((line) => (
          <span key={line.title} className="legend-item">
            <span className={`legend-line is-${line.kind}`} style={{ color: line.colour }} aria-hidden="true" />{" "}
            {line.title}
          </span>
        ))}
        {branching === null ? null : <ParentSwitch name={branching.name} />}
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
          branchAt={branching !== null && axis === "step" ? branching.step : null}
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

function ParentSwitch({ name }: { readonly name: string }) {
  const isShown = useRuns((state) => state.isParentShown);
  const axis = useRuns((state) => state.axis);
  return (
    <label className="chart-control" title={axis === "time" ? "Times of two runs have no common zero" : undefined}>
      <input
        type="checkbox"
        checked={isShown && axis !== "time"}
        disabled={axis === "time"}
        onChange={(event) => showParent(event.target.checked)}
      />
      <span className="legend-line is-strong" style={{ color: "var(--faint)" }} aria-hidden="true" /> {name} before
    </label>
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
