// What the run views draw, as pure functions: words for states, points for charts, axes.
import type { RunSummary } from "#shared/domain/run";
import type { Series } from "#shared/ipc/runs.contract";
import { formatBytes, formatCount, formatDuration } from "../../lib/format.ts";

export type Axis = "step" | "tokens" | "time";
export type Point = { readonly x: number; readonly y: number };

export const lossKey = "train/loss";
export const evalLossKey = "eval/loss";

/** The small charts below the loss, in order; a run that has not logged a key does not show it. */
export const smallCharts: readonly {
  readonly key: string;
  readonly title: string;
  readonly unit: string;
  readonly bytes?: boolean;
}[] = [
  { key: "eval/perplexity", title: "Perplexity, held out", unit: "" },
  { key: "eval/bits_per_byte", title: "Bits per byte, held out", unit: "" },
  { key: "train/learning_rate", title: "Learning rate", unit: "" },
  { key: "train/grad_norm", title: "Gradient norm", unit: "" },
  { key: "throughput/tokens_per_second", title: "Tokens per second", unit: "tok/s" },
  { key: "memory/peak_bytes", title: "Memory, peak", unit: "", bytes: true },
];

export type Tone = "ok" | "warn" | "bad" | "muted";

const tones: Readonly<Record<RunSummary["status"], Tone>> = {
  queued: "muted",
  starting: "ok",
  running: "ok",
  paused: "warn",
  stopping: "warn",
  completed: "muted",
  failed: "bad",
  stopped: "muted",
  lost: "bad",
};

export function toneOf(status: RunSummary["status"]): Tone {
  return tones[status];
}

/** `reading corpus, 1.2 MB of 4 MB` — what a run that does not train yet waits for. */
export function phaseText(summary: Pick<RunSummary, "phase">): string {
  const { phase } = summary;
  if (phase === null) {
    return "";
  }
  if (phase.done === undefined) {
    return phase.name;
  }
  const amount = (value: number): string =>
    phase.unit === "bytes"
      ? formatBytes(value)
      : `${formatCount(value)}${phase.unit === undefined ? "" : ` ${phase.unit}`}`;
  return phase.total === undefined
    ? `${phase.name}, ${amount(phase.done)}`
    : `${phase.name}, ${amount(phase.done)} of ${amount(phase.total)}`;
}

/** The line behind a run's name: where it is and what is left. */
export function positionText(summary: RunSummary): string {
  const step =
    summary.totalSteps === null
      ? `step ${formatCount(summary.step)}`
      : `step ${formatCount(summary.step)} of ${formatCount(summary.totalSteps)}`;
  const waiting = phaseText(summary);
  if (waiting !== "") {
    return summary.step > 0 ? `${step}, ${waiting}` : waiting;
  }
  if (summary.status === "running" && summary.secondsLeft !== null) {
    return `${step}, about ${formatDuration(summary.secondsLeft)} left, on this computer`;
  }
  return step;
}

/** What may be asked of a run in this state. */
export function actionsFor(status: RunSummary["status"]): {
  readonly canStop: boolean;
  readonly canPause: boolean;
  readonly canUnpause: boolean;
  readonly canCheckpoint: boolean;
  readonly canResume: boolean;
} {
  return {
    canStop: status === "running" || status === "paused" || status === "starting" || status === "queued",
    canPause: status === "running",
    canUnpause: status === "paused",
    canCheckpoint: status === "running" || status === "paused",
    canResume: status === "stopped" || status === "failed" || status === "lost",
  };
}

export function toPoints(x: ArrayLike<number>, y: ArrayLike<number>): readonly Point[] {
  const points: Point[] = [];
  for (let at = 0; at < y.length; at += 1) {
    const point = { x: x[at] ?? 0, y: y[at] ?? 0 };
    if (Number.isFinite(point.y)) {
      points.push(point);
    }
  }
  return points;
}

/** Index of the point whose x is nearest; -1 for none. Points are in x order. */
export function nearestIndex(points: readonly Point[], x: number): number {
  let low = 0;
  let high = points.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.x ?? 0) < x) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const before = points[low - 1];
  const at = points[low];
  return before !== undefined && at !== undefined && x - before.x < at.x - x ? low - 1 : at === undefined ? -1 : low;
}

/** A domain that shows every point with a little air; on a log axis only positive values count. */
export function yDomain(lines: readonly (readonly Point[])[], isLog: boolean): readonly [number, number] {
  let min = Infinity;
  let max = -Infinity;
  for (const line of lines) {
    for (const { y } of line) {
      if (!isLog || y > 0) {
        min = Math.min(min, y);
        max = Math.max(max, y);
      }
    }
  }
  if (min > max) {
    return isLog ? [1, 10] : [0, 1];
  }
  if (isLog) {
    return [min / 1.08, max * 1.08];
  }
  const air = max === min ? Math.abs(max) * 0.1 || 1 : (max - min) * 0.06;
  return [min - air, max + air];
}

/** Round tick values inside a domain, about `count` of them. */
export function ticks(domain: readonly [number, number], count: number): number[] {
  const [from, to] = domain;
  const span = to - from;
  if (!(span > 0)) {
    return [from];
  }
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough) ?? rough;
  const values: number[] = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-9; value += step) {
    values.push(Number(value.toPrecision(12)));
  }
  return values;
}

/** `2 560 of 2 560 points, extremes kept`. */
export function pointsText(series: Series | undefined): string {
  if (series === undefined || series.totalPoints === 0) {
    return "";
  }
  return `${formatCount(series.y.length)} of ${formatCount(series.totalPoints)} points, extremes kept`;
}

export function axisText(axis: Axis, value: number): string {
  return axis === "time" ? formatDuration(value) : formatCount(value);
}

/** Rows of the table that stands for a figure: every step shown, with whatever was logged at it. */
export function figureTable(
  lines: readonly { readonly title: string; readonly points: readonly Point[] }[],
): readonly { readonly x: number; readonly values: readonly (number | null)[] }[] {
  const rows = new Map<number, (number | null)[]>();
  lines.forEach((line, column) => {
    for (const { x, y } of line.points) {
      const row = rows.get(x) ?? lines.map(() => null);
      row[column] = y;
      rows.set(x, row);
    }
  });
  return [...rows.entries()].toSorted(([left], [right]) => left - right).map(([x, values]) => ({ x, values }));
}
