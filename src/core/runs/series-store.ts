// The curves of the runs that someone looks at, kept in memory as columns and brought up to date from a byte cursor, so
// that a long file is read once.

import { stat } from "node:fs/promises";
import { setImmediate as breathe } from "node:timers/promises";
import { metricsFile, parseMetricLine, readLines } from "./metrics.ts";
import { MetricTable } from "./series.ts";

const runsKept = 16;

type Entry = { table: MetricTable; cursor: number; inode: number; reading: Promise<void> | undefined };

export class SeriesStore {
  readonly #entries = new Map<string, Entry>();

  /** The run's metrics as of now. */
  async read(runDirectory: string): Promise<MetricTable> {
    let entry = this.#entries.get(runDirectory);
    const found = await stat(metricsFile(runDirectory)).catch(() => null);
    // Append only: a file that is another one, or shorter, belongs to another run in the same place.
    if (entry === undefined || (found !== null && (found.ino !== entry.inode || found.size < entry.cursor))) {
      entry = { table: new MetricTable(), cursor: 0, inode: found?.ino ?? 0, reading: undefined };
    }
    this.#entries.delete(runDirectory);
    this.#entries.set(runDirectory, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= runsKept) {
        break;
      }
      this.#entries.delete(oldest);
    }
    const current = entry;
    current.reading ??= this.#readOn(runDirectory, current).finally(() => {
      current.reading = undefined;
    });
    await current.reading;
    return current.table;
  }

  async #readOn(runDirectory: string, entry: Entry): Promise<void> {
    for await (const slice of readLines(metricsFile(runDirectory), entry.cursor)) {
      for (let at = 0; at < slice.lines.length; at += 1) {
        const line = parseMetricLine(slice.lines[at] ?? "");
        if (line !== undefined) {
          entry.table.append(line);
        }
        if (at % 2048 === 2047) {
          await breathe(); // a few milliseconds of parsing, then others have their turn
        }
      }
      entry.cursor = slice.cursor;
    }
  }
}
