// A line chart over reduced series: raw thin, smoothed strong, single points with markers; a readout of the step under
// the pointer; dragging zooms. Recharts draws it, our own search finds the nearest step.
import { useMemo, useRef, useState } from "react";
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
import { type Axis, axisText, nearestIndex, type Point, ticks, yDomain } from "./view-model.ts";

export type ChartLine = {
  readonly title: string;
  readonly points: readonly Point[];
  readonly colour: string;
  readonly kind: "raw" | "strong" | "points";
};

export type ChartProps = {
  readonly lines: readonly ChartLine[];
  readonly axis: Axis;
  readonly isLog: boolean;
  readonly xDomain: readonly [number, number];
  readonly height: number | string;
  readonly nonFinite: readonly { readonly x: number; readonly value: string }[];
  /** x of ticks on the axis. */
  readonly marks: readonly number[];
  readonly onZoom: (range: readonly [number, number]) => void;
  readonly label: string;
};

function Mark({ cx, cy }: { readonly cx?: number; readonly cy?: number }) {
  return <rect x={(cx ?? 0) - 1} y={(cy ?? 0) - 4} width={2} height={9} fill="var(--accent)" />;
}

const widths = { raw: 1, strong: 2, points: 1.3 } as const;
const margin = { top: 8, right: 8, bottom: 2, left: 0 };
const yAxisWidth = 44;

export function Chart({ lines, axis, isLog, xDomain, height, nonFinite, marks, onZoom, label }: ChartProps) {
  const [pointed, setPointed] = useState<number | null>(null);
  const [drag, setDrag] = useState<readonly [number, number] | null>(null);
  const hostRef = useRef<HTMLDivElement>(null);
  const domain = useMemo(
    () =>
      yDomain(
        lines.map((line) => line.points),
        isLog,
      ),
    [lines, isLog],
  );
  const drawn = useMemo(
    () =>
      lines.map((line) => ({ ...line, data: isLog ? line.points.filter((point) => point.y > 0) : [...line.points] })),
    [lines, isLog],
  );
  const readout =
    pointed === null ? [] : drawn.flatMap((line) => line.points[nearestIndex(line.points, pointed)] ?? []);
  const nearestX = readout[0]?.x;

  /** The x value under the pointer, from the plot's own geometry. */
  const xAt = (clientX: number): number => {
    const box = hostRef.current?.getBoundingClientRect();
    if (box === undefined) {
      return xDomain[0];
    }
    const from = box.left + yAxisWidth + margin.left;
    const share = (clientX - from) / (box.right - margin.right - from);
    return xDomain[0] + Math.min(1, Math.max(0, share)) * (xDomain[1] - xDomain[0]);
  };
  return (
    <figure className="chart" aria-label={label}>
      <div
        ref={hostRef}
        className="chart-plot"
        style={{ height }}
        onPointerMove={(event) => {
          const x = xAt(event.clientX);
          setPointed(x);
          setDrag((range) => (range === null ? null : [range[0], x]));
        }}
        onPointerLeave={() => {
          setPointed(null);
          setDrag(null);
        }}
        onPointerDown={(event) => {
          const x = xAt(event.clientX);
          setDrag([x, x]);
        }}
        onPointerUp={() => {
          if (drag !== null && Math.abs(drag[1] - drag[0]) > (xDomain[1] - xDomain[0]) * 0.01) {
            onZoom([Math.min(...drag), Math.max(...drag)]);
          }
          setDrag(null);
        }}
      >
        <ResponsiveContainer width="100%" height="100%">
          <LineChart margin={margin} accessibilityLayer={false}>
            <CartesianGrid vertical={false} stroke="var(--line)" />
            <XAxis
              type="number"
              dataKey="x"
              domain={[...xDomain]}
              ticks={ticks(xDomain, 8)}
              tickFormatter={(value: number) => axisText(axis, value)}
              allowDataOverflow
              stroke="var(--line-strong)"
              tickLine={false}
              tick={{ fill: "var(--muted)", fontSize: 11, fontFamily: "var(--mono)" }}
              height={24}
            />
            <YAxis
              type="number"
              scale={isLog ? "log" : "linear"}
              domain={[...domain]}
              {...(isLog ? {} : { ticks: ticks(domain, 6) })}
              tickFormatter={(value: number) => formatNumber(value, 3)}
              allowDataOverflow
              axisLine={false}
              tickLine={false}
              tick={{ fill: "var(--muted)", fontSize: 11, fontFamily: "var(--mono)" }}
              width={yAxisWidth}
            />
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
                    ? { r: 3, fill: "var(--paper)", stroke: line.colour, strokeWidth: 1.5, strokeDasharray: "0" }
                    : false
                }
                activeDot={false}
                isAnimationActive={false}
                connectNulls
              />
            ))}
            {marks.map((x) => (
              <ReferenceDot key={x} x={x} y={domain[0]} r={4} shape={<Mark />} />
            ))}
            {nonFinite.map((each) => (
              <ReferenceLine
                key={`${each.x}`}
                x={each.x}
                stroke="var(--bad)"
                label={{ value: each.value, position: "insideTop", fill: "var(--bad)", fontSize: 11 }}
              />
            ))}
            {nearestX === undefined ? null : <ReferenceLine x={nearestX} stroke="var(--faint)" strokeDasharray="2 3" />}
            {drag === null ? null : (
              <ReferenceArea x1={drag[0]} x2={drag[1]} fill="var(--accent)" fillOpacity={0.12} stroke="none" />
            )}
          </LineChart>
        </ResponsiveContainer>
        {nearestX === undefined ? null : (
          <div
            className={`chart-readout ${(nearestX - xDomain[0]) / (xDomain[1] - xDomain[0]) > 0.6 ? "at-left" : ""}`}
            data-testid="chart-readout"
          >
            <div>
              {axis === "time" ? "" : `${axis} `}
              {axisText(axis, nearestX)}
            </div>
            {drawn.map((line) => {
              const point = line.points[nearestIndex(line.points, nearestX)];
              return point === undefined ? null : (
                <div key={line.title}>
                  <span className="swatch" style={{ background: line.colour }} /> {line.title}{" "}
                  {point.x === nearestX ? "" : `at ${axisText(axis, point.x)} `}
                  <b>{formatNumber(point.y)}</b>
                </div>
              );
            })}
          </div>
        )}
      </div>
    </figure>
  );
}
