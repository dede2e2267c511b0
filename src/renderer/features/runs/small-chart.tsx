// One of the small multiples below the loss: its newest value in digits, its course as one line, the same x as above.
import { Line, LineChart, ResponsiveContainer, XAxis, YAxis } from "recharts";
import { formatBytes, formatCount, formatNumber } from "../../lib/format.ts";
import { type Point, type Range, yScale } from "./curves.ts";
import type { SmallFigure } from "./view-model.ts";

function valueText(latest: number | string | undefined, isBytes: boolean): string {
  if (typeof latest !== "number") {
    return latest ?? "–";
  }
  return isBytes ? formatBytes(latest) : latest >= 1000 ? formatCount(latest) : formatNumber(latest, 3);
}

export function SmallChart({
  figure,
  points,
  latest,
  xDomain,
}: {
  readonly figure: SmallFigure;
  readonly points: readonly Point[];
  readonly latest: number | string | undefined;
  readonly xDomain: Range;
}) {
  const value = valueText(latest, figure.isBytes);
  const { domain } = yScale([points], false, 3);
  return (
    <figure className="small-chart" aria-label={`${figure.title}: ${value} ${figure.unit}`}>
      <figcaption>
        <span className="small-chart-title">{figure.title}</span>
        <span className="mono">{value}</span>
      </figcaption>
      <div className="small-plot" aria-hidden="true">
        <ResponsiveContainer width="100%" height="100%">
          <LineChart data={[...points]} margin={{ top: 3, right: 2, bottom: 1, left: 2 }} accessibilityLayer={false}>
            <XAxis type="number" dataKey="x" domain={[...xDomain]} allowDataOverflow hide />
            <YAxis type="number" domain={[...domain]} hide />
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
