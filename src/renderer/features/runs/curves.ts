// The arithmetic of the figures: points from reduced series, the nearest step, axes with round ticks. Pure functions.
import type { Series } from "#shared/ipc/runs.contract";
import { formatCount, formatDuration, formatLarge } from "../../lib/format.ts";

export type Axis = "step" | "tokens" | "time";
export type Point = { readonly x: number; readonly y: number };
export type Range = readonly [number, number];

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

export function nearestPoint(points: readonly Point[], x: number): Point | undefined {
  return points[nearestIndex(points, x)];
}

function roundStep(span: number, count: number): number {
  const rough = span / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999_999) ?? rough;
}

/** Round tick values inside a range, about `count` of them. */
export function ticks([from, to]: Range, count: number): number[] {
  const span = to - from;
  if (!(span > 0)) {
    return [from];
  }
  const step = roundStep(span, count);
  const values: number[] = [];
  for (let value = Math.ceil(from / step - 1e-9) * step; value <= to + step * 1e-9; value += step) {
    values.push(Number(value.toPrecision(12)));
  }
  return values;
}

export type Scale = {
  readonly domain: Range;
  readonly ticks: readonly number[];
  readonly format: (value: number) => string;
};

function spanOf(lines: readonly (readonly Point[])[], isLog: boolean): Range | null {
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
  return min > max ? null : [min, max];
}

/** Digits after the point, so that neighbouring ticks differ and no more. */
function formatTick(step: number): (value: number) => string {
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return (value) => {
    const size = Math.abs(value);
    if (size >= 10_000) {
      const [scaled, unit] = formatLarge(value);
      return `${scaled}${unit}`;
    }
    return digits > 4 ? value.toExponential(1).replace("e+", "e") : value.toFixed(digits);
  };
}

/** A y axis that begins and ends at round values and shows every point. */
function linearScale(lines: readonly (readonly Point[])[], count: number): Scale {
  const [min, max] = spanOf(lines, false) ?? [0, 1];
  const air = max === min ? Math.abs(max) * 0.1 || 1 : 0;
  const step = roundStep(max - min + 2 * air, count);
  const domain: Range = [
    Number((Math.floor((min - air) / step + 1e-9) * step).toPrecision(12)),
    Number((Math.ceil((max + air) / step - 1e-9) * step).toPrecision(12)),
  ];
  return { domain, ticks: ticks(domain, count), format: formatTick(step) };
}

/** A true logarithm; what is not positive has no place on it. */
function logScale(lines: readonly (readonly Point[])[], count: number): Scale {
  const [min, max] = spanOf(lines, true) ?? [1, 10];
  const domain: Range = [min / 1.04, max * 1.04];
  const from = Math.floor(Math.log10(domain[0]));
  const to = Math.ceil(Math.log10(domain[1]));
  for (const factors of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
    const values: number[] = [];
    for (let power = from; power <= to; power += 1) {
      values.push(...factors.map((factor) => Number((factor * 10 ** power).toPrecision(12))));
    }
    const inside = values.filter((value) => value >= domain[0] && value <= domain[1]);
    if (inside.length >= Math.min(3, count)) {
      return { domain, ticks: inside, format: (value) => formatTick(10 ** Math.floor(Math.log10(value)))(value) };
    }
  }
  const round = ticks(domain, count);
  return { domain, ticks: round, format: formatTick(roundStep(domain[1] - domain[0], count)) };
}

export function yScale(lines: readonly (readonly Point[])[], isLog: boolean, count = 6): Scale {
  return isLog ? logScale(lines, count) : linearScale(lines, count);
}

/** From the beginning to the planned end, where the axis knows one, else to the last point. */
export function xRange(lines: readonly (readonly Point[])[], axis: Axis, totalSteps: number | null): Range {
  const last = Math.max(0, ...lines.map((points) => points.at(-1)?.x ?? 0));
  const end = axis === "step" && totalSteps !== null ? Math.max(last, totalSteps) : last;
  return [0, end === 0 ? 1 : end];
}

export function axisText(axis: Axis, value: number): string {
  if (axis === "tokens" && value >= 10_000) {
    return formatLarge(value).join("\u2009");
  }
  return axis === "time" ? formatDuration(value) : formatCount(value);
}

/** `1 600 of 40 000 points, extremes kept`; a reduction that drops nothing says so. */
export function pointsText(series: Series | undefined): string {
  if (series === undefined || series.totalPoints === 0) {
    return "";
  }
  // A zoomed curve has its neighbours outside the range too.
  return series.y.length >= series.totalPoints
    ? `all ${formatCount(series.totalPoints)} points`
    : `${formatCount(series.y.length)} of ${formatCount(series.totalPoints)} points, extremes kept`;
}

export type FigureRow = { readonly x: number; readonly values: readonly (number | null)[] };

/** Rows of the table that stands for a figure: every step shown, with whatever was logged at it. */
export function figureTable(lines: readonly { readonly points: readonly Point[] }[]): readonly FigureRow[] {
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
