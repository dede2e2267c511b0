// Curves of any length as typed-array columns: appended to as the file grows, folded at resumes, smoothed on the full
// data, and reduced for drawing by the first, lowest, highest and last point of each bucket, so that no spike is lost.
// Values that are not finite are kept apart: they are markers on the chart, not points of the line.
import type { MetricLine, ResumeMarker } from "./metrics.ts";

export type AxisName = "step" | "tokens" | "time";

/** A column that grows. */
class GrowingColumn {
  #values = new Float64Array(256);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Float64Array(this.length * 2);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length] = value;
    this.length += 1;
  }

  cut(length: number): void {
    this.length = Math.min(this.length, length);
  }

  get view(): Float64Array {
    return this.#values.subarray(0, this.length);
  }
}

/** One metric of one run: parallel columns in step order. `value` may hold NaN and infinities. */
export type MetricSeries = {
  readonly step: Float64Array;
  readonly tokens: Float64Array;
  readonly time: Float64Array;
  readonly value: Float64Array;
};

const axes = ["step", "tokens", "epoch", "time"] as const;

/** All the metrics of a run. Views that it gives out are of the moment: they are stale after the next append. */
export class MetricTable {
  readonly #columns = new Map<string, Record<AxisName | "value", GrowingColumn>>();
  readonly resumes: ResumeMarker[] = [];
  #lastStep = -Infinity;

  append(line: MetricLine): void {
    if (line.kind === "resume") {
      this.resumes.push(line.marker);
      this.#cutAfter(line.marker.from_step);
      return;
    }
    const { record } = line;
    if (record.step <= this.#lastStep) {
      this.#cutAfter(record.step - 1, record); // a step that is logged again replaces itself
    }
    this.#lastStep = record.step;
    for (const key in record) {
      if ((axes as readonly string[]).includes(key)) {
        continue;
      }
      let columns = this.#columns.get(key);
      if (columns === undefined) {
        columns = {
          step: new GrowingColumn(),
          tokens: new GrowingColumn(),
          time: new GrowingColumn(),
          value: new GrowingColumn(),
        };
        this.#columns.set(key, columns);
      }
      columns.step.push(record.step);
      columns.tokens.push(record["tokens"] ?? Number.NaN);
      columns.time.push(record["time"] ?? Number.NaN);
      columns.value.push(record[key] ?? Number.NaN);
    }
  }

  keys(): readonly string[] {
    return [...this.#columns.keys()];
  }

  series(key: string): MetricSeries | undefined {
    const columns = this.#columns.get(key);
    return columns === undefined
      ? undefined
      : { step: columns.step.view, tokens: columns.tokens.view, time: columns.time.view, value: columns.value.view };
  }

  /** The newest value of every metric. */
  latest(): Readonly<Record<string, number>> {
    const values: Record<string, number> = {};
    for (const [key, columns] of this.#columns) {
      const last = columns.value.view.at(-1);
      if (last !== undefined) {
        values[key] = last;
      }
    }
    return values;
  }

  /** Drops the points of steps after `step`; given `only`, of its keys where the step is the record's own. */
  #cutAfter(step: number, only?: Readonly<Record<string, number>>): void {
    for (const [key, columns] of this.#columns) {
      const limit = only === undefined || key in only ? step : step + 1;
      const keep = upperBound(columns.step.view, limit);
      for (const column of Object.values(columns)) {
        column.cut(keep);
      }
    }
    this.#lastStep = Math.min(this.#lastStep, step);
  }
}

/** How many of the rising `values` are at most `limit`. */
export function upperBound(values: Float64Array, limit: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((values[middle] ?? Infinity) <= limit) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

/**
 * Exponential moving average without the bias towards zero of its first points (Kingma & Ba 2015, section 3). Values
 * that are not finite leave it as it is.
 */
export function smooth(values: Float64Array, weight: number): Float64Array {
  const smoothed = new Float64Array(values.length);
  let average = 0;
  let bias = 1;
  for (let at = 0; at < values.length; at += 1) {
    const value = values[at] ?? Number.NaN;
    if (Number.isFinite(value)) {
      average = weight * average + (1 - weight) * value;
      bias *= weight;
    }
    smoothed[at] = bias === 1 ? Number.NaN : average / (1 - bias);
  }
  return smoothed;
}

export type ReducedSeries = {
  readonly x: Float64Array<ArrayBuffer>;
  readonly y: Float64Array<ArrayBuffer>;
  /** Empty where no smoothing was asked for. */
  readonly smoothed: Float64Array<ArrayBuffer>;
  readonly nonFinite: readonly { readonly x: number; readonly value: "NaN" | "Infinity" | "-Infinity" }[];
  /** Points between `from` and `to` before the reduction, those that are not finite among them. */
  readonly totalPoints: number;
};

/** So many markers say what a million would. */
const maxMarkers = 500;

/**
 * The part of a curve from x = `from` to x = `to` in at most 4 · `buckets` points, all of them real ones. One point before
 * and one after the part are kept too, so that a zoomed line enters and leaves the picture.
 */
export function reduceSeries(
  series: MetricSeries,
  options: {
    readonly axis: AxisName;
    readonly buckets: number;
    readonly from?: number;
    readonly to?: number;
    readonly smoothing?: number;
  },
): ReducedSeries {
  const xs = series[options.axis];
  const ys = series.value;
  const smoothed = options.smoothing === undefined ? undefined : smooth(ys, options.smoothing);
  const inside = options.from === undefined ? 0 : upperBound(xs, nextBelow(options.from));
  const outside = options.to === undefined ? xs.length : upperBound(xs, options.to);
  const begin = Math.max(0, inside - 1);
  const end = Math.min(xs.length, outside + 1);

  const picked: number[] = [];
  const nonFinite: { x: number; value: "NaN" | "Infinity" | "-Infinity" }[] = [];
  const perBucket = Math.max(1, Math.ceil((end - begin) / options.buckets));
  for (let bucket = begin; bucket < end; bucket += perBucket) {
    const bucketEnd = Math.min(end, bucket + perBucket);
    let first = -1;
    let last = -1;
    let lowest = -1;
    let highest = -1;
    for (let at = bucket; at < bucketEnd; at += 1) {
      const y = ys[at] ?? Number.NaN;
      if (!Number.isFinite(y)) {
        if (at >= inside && at < outside && nonFinite.length < maxMarkers) {
          // as: String of a number that is not finite is one of these three.
          nonFinite.push({ x: xs[at] ?? Number.NaN, value: String(y) as "NaN" | "Infinity" | "-Infinity" });
        }
        continue;
      }
      if (first < 0) {
        first = at;
        lowest = at;
        highest = at;
      }
      last = at;
      if (y < (ys[lowest] ?? y)) {
        lowest = at;
      }
      if (y > (ys[highest] ?? y)) {
        highest = at;
      }
    }
    if (first >= 0) {
      const [one, two] = lowest < highest ? [lowest, highest] : [highest, lowest];
      for (const at of [first, one, two, last]) {
        if (picked.at(-1) !== at) {
          picked.push(at);
        }
      }
    }
  }
  const take = (column: Float64Array): Float64Array<ArrayBuffer> =>
    Float64Array.from(picked, (at) => column[at] ?? Number.NaN);
  return {
    x: take(xs),
    y: take(ys),
    smoothed: smoothed === undefined ? new Float64Array(0) : take(smoothed),
    nonFinite,
    totalPoints: Math.max(0, outside - inside),
  };
}

/** So that `from` itself is inside. */
function nextBelow(value: number): number {
  return value - Math.max(Number.MIN_VALUE, Math.abs(value) * Number.EPSILON);
}
