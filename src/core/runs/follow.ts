// Following a run by looking at its files: watching does not work on network file systems, and a look costs two stats.
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { aliveStatuses, type RunSummary } from "#shared/domain/run";
import { type MetricLine, metricsFile, parseMetricLine, readLines } from "./metrics.ts";
import { changeStamp, readSummary } from "./status.ts";

export type RunChange = {
  readonly summary: RunSummary;
  /** Whole lines that metrics.jsonl gained. */
  readonly metrics: readonly MetricLine[];
  /** Whole lines that log.txt gained. */
  readonly log: readonly string[];
};

/** True for a run that will not change by itself. */
export function isOver(summary: Pick<RunSummary, "status">): boolean {
  return summary.status !== "queued" && !aliveStatuses.has(summary.status);
}

/** Yields the run's state now and at each change, and ends after the one that ends the run (or with `signal`). */
export async function* followRun(
  runDirectory: string,
  options: {
    readonly signal?: AbortSignal;
    readonly pollMs?: number;
    /** Where to begin reading, in bytes. */
    readonly metricsCursor?: number;
    readonly logCursor?: number;
  } = {},
): AsyncGenerator<RunChange> {
  const logFile = path.join(runDirectory, "log.txt");
  let metricsCursor = options.metricsCursor ?? 0;
  let logCursor = options.logCursor ?? 0;
  let stamp = "";
  while (options.signal?.aborted !== true) {
    const summary = await readSummary(runDirectory);
    const nextStamp = `${await changeStamp(runDirectory)} ${summary.status}`;
    const log: string[] = [];
    for await (const slice of readLines(logFile, logCursor)) {
      log.push(...slice.lines);
      logCursor = slice.cursor;
    }
    if (nextStamp !== stamp || log.length > 0) {
      stamp = nextStamp;
      const metrics: MetricLine[] = [];
      for await (const slice of readLines(metricsFile(runDirectory), metricsCursor)) {
        metrics.push(...slice.lines.map(parseMetricLine).filter((line) => line !== undefined));
        metricsCursor = slice.cursor;
      }
      yield { summary, metrics, log };
    }
    if (isOver(summary)) {
      return;
    }
    await sleep(options.pollMs ?? 250, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(
      () => undefined,
    );
  }
}
