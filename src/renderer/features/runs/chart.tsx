// A line chart over reduced series: raw thin, smoothed strong, single points with markers. The step under the pointer, or
// chosen by the arrow keys, is read out; dragging zooms, a double click shows the whole again. Recharts draws; the nearest
// step is found by our own search, so that what is read out is always a point that was logged.
import { type KeyboardEvent, type PointerEvent, useMemo, useRef, useState } from "react";
import { formatNumber } from "../../lib/format.ts";
import { type Axis, axisText, nearestIndex, nearestPoint, type Point, type Range, yScale } from "./curves.ts";
import { type ChartLine, Plot, plotLeft, plotRight } from "./plot.tsx";

type ChartProps = {
  readonly lines: readonly ChartLine[];
  readonly axis: Axis;
  readonly isLog: boolean;
  readonly xDomain: Range;
  readonly isZoomed: boolean;
  readonly nonFinite: readonly { readonly x: number; readonly value: string }[];
  /** x of ticks on the axis: checkpoints. */
  readonly marks: readonly number[];
  /** Null shows the whole run. */
  readonly onZoom: (range: Range | null) => void;
  readonly label: string;
};

/** Where a share of the x axis stands in the figure's box. */
function leftOf(share: number): string {
  return `calc(${plotLeft}px + (100% - ${plotLeft + plotRight}px) * ${Math.min(1, Math.max(0, share))})`;
}

export function Chart({ lines, axis, isLog, xDomain, isZoomed, nonFinite, marks, onZoom, label }: ChartProps) {
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
  // The line with most points decides which steps can be read out.
  const main = drawn.reduce<readonly Point[]>(
    (most, line) => (line.data.length > most.length ? line.data : most),
    drawn[0]?.data ?? [],
  );
  const nearestX = pointed === null ? undefined : nearestPoint(main, pointed)?.x;
  const span = xDomain[1] - xDomain[0];

  /** The x value under the pointer, from the plot's own geometry. */
  const xAt = (clientX: number): number => {
    const box = hostRef.current?.getBoundingClientRect();
    if (box === undefined) {
      return xDomain[0];
    }
    const from = box.left + plotLeft;
    const share = (clientX - from) / (box.right - plotRight - from);
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
        <Plot
          lines={drawn}
          axis={axis}
          isLog={isLog}
          scale={scale}
          from={xDomain[0]}
          to={xDomain[1]}
          marks={marks}
          nonFinite={nonFinite}
        />
        {nearestX === undefined ? null : (
          <span className="chart-pointer" style={{ left: leftOf((nearestX - xDomain[0]) / span) }} />
        )}
        {drag === null ? null : (
          <span
            className="chart-drag"
            style={{
              left: leftOf((Math.min(...drag) - xDomain[0]) / span),
              width: `calc((100% - ${plotLeft + plotRight}px) * ${Math.abs(drag[1] - drag[0]) / span})`,
            }}
          />
        )}
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
          const point = nearestPoint(line.points, x);
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
