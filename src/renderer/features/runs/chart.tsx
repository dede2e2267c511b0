// A line chart over reduced series: raw thin, smoothed strong, single points with markers. The step under the pointer, or
// chosen by the arrow keys, is read out; dragging zooms, a double click shows the whole again. Recharts draws; the nearest
// step is found by our own search, so that what is read out is always a point that was logged.
import { type KeyboardEvent, type PointerEvent, useMemo, useRef, useState } from "react";
import {
  CartesianGrid,
  Line,
  LineChart,
  ReferenceArea,
  ReferenceDot,
  ReferenceLine,
  ResponsiveContainer,
  XAxis,
  YAxis,
} from "recharts";
import { formatNumber } from "../../lib/format.ts";
import { type Axis, axisText, nearestIndex, nearestPoint, type Point, type Range, ticks, yScale } from "./curves.ts";

export type ChartLine = {
  readonly title: string;
  readonly points: readonly Point[];
  readonly colour: string;
  readonly kind: "raw" | "strong" | "points";
  /** Of another run, which this one came from. */
  readonly isDimmed?: boolean;
};

type ChartProps = {
  readonly lines: readonly ChartLine[];
  readonly axis: Axis;
  readonly isLog: boolean;
  readonly xDomain: Range;
  readonly isZoomed: boolean;
  readonly nonFinite: readonly { readonly x: number; readonly value: string }[];
  /** x of ticks on the axis: checkpoints. */
  readonly marks: readonly number[];
  /** Where this run branched off its parent; null where it did not. */
  readonly branchAt?: number | null;
  /** Null shows the whole run. */
  readonly onZoom: (range: Range | null) => void;
  readonly label: string;
};

const widths = { raw: 1, strong: 2, points: 1.3 } as const;
const margin = { top: 8, right: 10, bottom: 0, left: 0 };
const yAxisWidth = 46;
/** Room on either side of the plot, so that a marker on the edge is whole. */
const inset = 6;
const axisText11 = { fill: "var(--muted)", fontSize: 11, fontFamily: "var(--mono)" };

type Drawn = ChartLine & { readonly data: readonly Point[] };

/** The points that can be read out: of the line with most points, and before its first those of the parent. */
function readablePoints(drawn: readonly Drawn[]): readonly Point[] {
  const longest = (kept: readonly Drawn[]): readonly Point[] =>
    kept.reduce<readonly Point[]>((most, line) => (line.data.length > most.length ? line.data : most), []);
  const own = longest(drawn.filter((line) => line.isDimmed !== true));
  const before = longest(drawn.filter((line) => line.isDimmed === true));
  const first = own[0]?.x ?? Number.POSITIVE_INFINITY;
  return [...before.filter(({ x }) => x < first), ...own];
}

/** A line is silent where it does not reach. */
function reaches(line: ChartLine, x: number): boolean {
  const [first] = line.points;
  const last = line.points.at(-1);
  return line.kind === "points" && line.isDimmed !== true
    ? true
    : first !== undefined && last !== undefined && x >= first.x && x <= last.x;
}

function Mark({ cx = 0, cy = 0 }: { readonly cx?: number; readonly cy?: number }) {
  return <rect x={cx - 1} y={cy - 4} width={2} height={9} fill="var(--accent)" />;
}

export function Chart(props: ChartProps) {
  const { lines, axis, isLog, xDomain, isZoomed, nonFinite, marks, branchAt = null, onZoom, label } = props;
  const [pointed, setPointed] = useState<number | null>(null);
  const [drag, setDrag] = useState<Range | null>(null);
  const hostRef = useRef<HTMLDivElement>(null);
  const drawn = useMemo(
    () => lines.map((line) => ({ ...line, data: line.points.filter((point) => !isLog || point.y > 0) })),
    [lines, isLog],
  );
  const scale = useMemo(
    () =>
      yScale(
        drawn.map((line) => line.data),
        isLog,
      ),
    [drawn, isLog],
  );
  const main = useMemo(() => readablePoints(drawn), [drawn]);
  const nearestX = pointed === null ? undefined : nearestPoint(main, pointed)?.x;
  const span = xDomain[1] - xDomain[0];

  /** The x value under the pointer, from the plot's own geometry. */
  const xAt = (clientX: number): number => {
    const box = hostRef.current?.getBoundingClientRect();
    if (box === undefined) {
      return xDomain[0];
    }
    const from = box.left + margin.left + yAxisWidth + inset;
    const share = (clientX - from) / (box.right - margin.right - inset - from);
    return xDomain[0] + Math.min(1, Math.max(0, share)) * span;
  };
  const onPointerMove = (event: PointerEvent): void => {
    const x = xAt(event.clientX);
    setPointed(x);
    setDrag((range) => (range === null ? null : [range[0], x]));
  };
  const onPointerUp = (): void => {
    if (drag !== null && Math.abs(drag[1] - drag[0]) > span * 0.01) {
      onZoom([Math.min(...drag), Math.max(...drag)]);
    }
    setDrag(null);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step !== 0) {
      event.preventDefault();
      const at = pointed === null ? main.length - 1 : nearestIndex(main, pointed) + step * (event.shiftKey ? 20 : 1);
      setPointed(main[Math.min(main.length - 1, Math.max(0, at))]?.x ?? null);
    } else if (event.key === "Escape" && (pointed !== null || isZoomed)) {
      event.stopPropagation();
      setPointed(null);
      onZoom(null);
    }
  };
  return (
    <figure className="chart" aria-label={label}>
      {/* biome-ignore-start lint/a11y/noNoninteractiveTabindex: arrows read the figure out step by step */}
      <div
        ref={hostRef}
        className="chart-plot"
        role="application"
        aria-label={`${label}; arrows move from step to step`}
        tabIndex={0}
        onPointerMove={onPointerMove}
        onPointerLeave={() => {
          setPointed(null);
          setDrag(null);
        }}
        onPointerDown={(event) => {
          const x = xAt(event.clientX);
          setDrag([x, x]);
        }}
        onPointerUp={onPointerUp}
        onDoubleClick={() => onZoom(null)}
        onKeyDown={onKeyDown}
        onBlur={() => setPointed(null)}
      >
        <ResponsiveContainer width="100%" height="100%">
          <LineChart margin={margin} accessibilityLayer={false}>
            <CartesianGrid vertical={false} stroke="var(--line)" />
            <XAxis
              type="number"
              dataKey="x"
              domain={[...xDomain]}
              ticks={ticks(xDomain, 8).filter((value) => axis === "time" || Number.isInteger(value))}
              tickFormatter={(value: number) => axisText(axis, value)}
              padding={{ left: inset, right: inset }}
              allowDataOverflow
              stroke="var(--line-strong)"
              tickLine={false}
              tick={axisText11}
              height={24}
            />
            <YAxis
              type="number"
              scale={isLog ? "log" : "linear"}
              domain={[...scale.domain]}
              ticks={[...scale.ticks]}
              tickFormatter={scale.format}
              interval={0}
              allowDataOverflow
              axisLine={false}
              tickLine={false}
              tick={axisText11}
              width={yAxisWidth}
            />
            {nearestX === undefined ? null : <ReferenceLine x={nearestX} stroke="var(--faint)" strokeDasharray="2 3" />}
            {branchAt === null || branchAt < xDomain[0] || branchAt > xDomain[1] ? null : (
              <ReferenceLine
                x={branchAt}
                stroke="var(--line-strong)"
                strokeDasharray="3 3"
                label={{ value: "branch", position: "insideTopLeft", fill: "var(--muted)", fontSize: 11 }}
              />
            )}
            {drawn.map((line) => (
              <Line
                key={line.title}
                data={line.data}
                dataKey="y"
                type="linear"
                stroke={line.colour}
                strokeWidth={widths[line.kind]}
                strokeOpacity={line.kind === "raw" ? 0.45 : 1}
                {...(line.kind === "points" ? { strokeDasharray: "5 3" } : {})}
                dot={
                  line.kind === "points"
                    ? {
                        r: 3,
                        fill: "var(--paper)",
                        stroke: line.colour,
                        strokeWidth: 1.5,
                        strokeDasharray: "0",
                        clipDot: false,
                      }
                    : false
                }
                activeDot={false}
                isAnimationActive={false}
                connectNulls
              />
            ))}
            {marks.map((x) => (
              <ReferenceDot key={x} x={x} y={scale.domain[0]} r={4} shape={<Mark />} />
            ))}
            {nonFinite.map((each) => (
              <ReferenceLine
                key={`${each.x}`}
                x={each.x}
                stroke="var(--bad)"
                label={{ value: each.value, position: "insideTop", fill: "var(--bad)", fontSize: 11 }}
              />
            ))}
            {drag === null ? null : (
              <ReferenceArea x1={drag[0]} x2={drag[1]} fill="var(--accent)" fillOpacity={0.12} stroke="none" />
            )}
          </LineChart>
        </ResponsiveContainer>
        {nearestX === undefined ? null : (
          <Readout lines={drawn} axis={axis} x={nearestX} isAtLeft={(nearestX - xDomain[0]) / span > 0.6} />
        )}
      </div>
      {/* biome-ignore-end lint/a11y/noNoninteractiveTabindex: arrows read the figure out step by step */}
    </figure>
  );
}

function Readout({
  lines,
  axis,
  x,
  isAtLeft,
}: {
  readonly lines: readonly ChartLine[];
  readonly axis: Axis;
  readonly x: number;
  readonly isAtLeft: boolean;
}) {
  return (
    <div className={`chart-readout ${isAtLeft ? "at-left" : ""}`} role="status" data-testid="chart-readout">
      <div className="chart-readout-x">
        {axis === "time" ? "" : `${axis} `}
        {axisText(axis, x)}
      </div>
      <dl>
        {lines.map((line) => {
          const point = reaches(line, x) ? nearestPoint(line.points, x) : undefined;
          return point === undefined ? null : (
            <div key={line.title}>
              <dt>
                <span className={`legend-line is-${line.kind}`} style={{ color: line.colour }} aria-hidden="true" />{" "}
                {line.title}
                {point.x === x ? "" : ` at ${axisText(axis, point.x)}`}
              </dt>
              <dd>{formatNumber(point.y)}</dd>
            </div>
          );
        })}
      </dl>
    </div>
  );
}
