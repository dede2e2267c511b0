// One of the small multiples below the loss: its newest value in digits, its course as one line, the same x as above.
import { Line, LineChart, ResponsiveContainer, XAxis, YAxis } from "recharts";
import { formatBytes, formatNumber } from "../../lib/format.ts";
import { type Point, yDomain } from "./view-model.ts";

export function SmallChart({
  title,
  unit,
  isBytes,
  points,
  latest,
  xDomain,
}: {
  readonly title: string;
  readonly unit: string;
  readonly isBytes: boolean;
  readonly points: readonly Point[];
  readonly latest: number | string | undefined;
  readonly xDomain: readonly [number, number];
}) {
  const value = typeof latest === "number" ? (isBytes ? formatBytes(latest) : formatNumber(latest)) : (latest ?? "–");
  return (
    <figure className="small-chart" aria-label={`${title}: ${value} ${unit}`}>
      <figcaption>
        <span>{title}</span>
        <span className="mono">
          {value}
          {unit === "" ? null : <span className="unit"> {unit}</span>}
        </span>
      </figcaption>
      <div className="small-plot" aria-hidden="true">
        <ResponsiveContainer width="100%" height="100%">
          <LineChart data={[...points]} margin={{ top: 3, right: 1, bottom: 1, left: 1 }} accessibilityLayer={false}>
            <XAxis type="number" dataKey="x" domain={[...xDomain]} allowDataOverflow hide />
            <YAxis type="number" domain={[...yDomain([points], false)]} hide />
            <Line
              dataKey="y"
              type="linear"
              stroke="var(--series-1)"
              strokeWidth={1.4}
              dot={points.length < 2}
              isAnimationActive={false}
            />
          </LineChart>
        </ResponsiveContainer>
      </div>
    </figure>
  );
}
