// assay bench data: shards to batches, resuming, shards of raw text, and streams of them, in a folder that is taken away
// afterwards.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { tokenKinds } from "./data-files.ts";
import { textRows } from "./data-text-bench.ts";
import { findNumPy, hasStreamingLibrary, resumeRow, tokenRows } from "./data-tokens-bench.ts";
import type { BenchProgress, BenchRow } from "./rows.ts";
import { streamRows } from "./stream-rows.ts";

export type DataBenchOptions = {
  /** Text for the shards of raw text; by default the words of the bundled sample in random order. */
  readonly data?: string;
  readonly rounds: number;
  readonly onProgress: BenchProgress;
};

export async function dataBench(
  options: DataBenchOptions,
): Promise<{ readonly rows: readonly BenchRow[]; readonly notes: readonly string[] }> {
  const { data, rounds, onProgress } = options;
  const notes: string[] = [];
  const numpy = findNumPy();
  if (numpy === null) {
    notes.push("No Python with NumPy was found, so its figures are left out; install python3-numpy to have them.");
  } else if (!hasStreamingLibrary(numpy.command)) {
    notes.push("MosaicML's Python package streaming is not installed, so it is not measured.");
  }
  const folder = await mkdtemp(path.join(tmpdir(), "assay-bench-data-"));
  const rows: BenchRow[] = [];
  try {
    for (const [number, kind] of tokenKinds.entries()) {
      const place = path.join(folder, kind.dtype);
      const { rows: found, files } = await tokenRows(place, kind, numpy, rounds, onProgress);
      rows.push(...found);
      if (number === 0) {
        rows.push(await resumeRow(place, kind, files, onProgress));
      }
    }
    rows.push(...(await textRows(folder, data, rounds, onProgress)));
    rows.push(...(await streamRows(folder, data, rounds, onProgress)));
  } finally {
    await rm(folder, { recursive: true });
  }
  return { rows, notes };
}
