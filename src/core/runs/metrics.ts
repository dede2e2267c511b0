// metrics.jsonl (docs/formats/metrics.md): appended to, never cut. The writer heals a torn last line by ending it; the
// reader goes on from a byte cursor, leaves what is not a whole line for later, and folds lines a resume superseded.
import { type FileHandle, open } from "node:fs/promises";
import path from "node:path";
import { asFileError, systemErrorCode } from "./durable-file.ts";

export type MetricValue = number;
/** One logged step. Keys are metric names and `step`, `tokens`, `epoch`, `time`. */
export type MetricRecord = Readonly<Record<string, MetricValue>> & { readonly step: number };
export type ResumeMarker = { readonly resumed: number; readonly from_step: number };
export type MetricLine =
  | { readonly kind: "record"; readonly record: MetricRecord }
  | { readonly kind: "resume"; readonly marker: ResumeMarker };

export function metricsFile(runDirectory: string): string {
  return path.join(runDirectory, "metrics.jsonl");
}

/** JSON has no words for these, so the file uses strings. */
function encodeValue(value: number): number | string {
  return Number.isFinite(value) ? value : String(value);
}

export function formatRecord(record: MetricRecord): string {
  const encoded: Record<string, number | string> = {};
  for (const [key, value] of Object.entries(record)) {
    encoded[key] = encodeValue(value);
  }
  return `${JSON.stringify(encoded)}\n`;
}

/** Undefined for a line that is not one of ours: torn by a crash, or from a later version. */
export function parseMetricLine(text: string): MetricLine | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return undefined;
  }
  const fields = value as Record<string, unknown>;
  const { resumed, from_step: fromStep } = fields;
  if (typeof resumed === "number" && typeof fromStep === "number") {
    return { kind: "resume", marker: { resumed, from_step: fromStep } };
  }
  if (typeof fields["step"] !== "number") {
    return undefined;
  }
  for (const key in fields) {
    const field = fields[key];
    if (typeof field !== "number") {
      if (field === "NaN" || field === "Infinity" || field === "-Infinity") {
        fields[key] = Number(field);
      } else {
        delete fields[key];
      }
    }
  }
  // as: every field that is not a number was converted or deleted, and `step` was checked.
  return { kind: "record", record: fields as MetricRecord };
}

/** Appends lines to a file of lines. */
export class LineWriter {
  readonly #file: string;
  readonly #handle: FileHandle;

  private constructor(file: string, handle: FileHandle) {
    this.#file = file;
    this.#handle = handle;
  }

  /** Opens for appending; a last line that a crash left torn is ended first, so that it spoils no other. */
  static async open(file: string): Promise<LineWriter> {
    try {
      const handle = await open(file, "a+");
      const { size } = await handle.stat();
      if (size > 0) {
        const last = Buffer.alloc(1);
        await handle.read(last, 0, 1, size - 1);
        if (last[0] !== 0x0a) {
          await handle.appendFile("\n");
        }
      }
      return new LineWriter(file, handle);
    } catch (error) {
      throw asFileError(error, `append to ${file}`);
    }
  }

  async append(text: string): Promise<void> {
    try {
      await this.#handle.appendFile(text);
    } catch (error) {
      throw asFileError(error, `append to ${this.#file}`);
    }
  }

  /** Makes what was appended survive a power loss. */
  async sync(): Promise<void> {
    try {
      await this.#handle.sync();
    } catch (error) {
      throw asFileError(error, `write ${this.#file}`);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

export class MetricsWriter {
  readonly #lines: LineWriter;

  private constructor(lines: LineWriter) {
    this.#lines = lines;
  }

  static async open(runDirectory: string): Promise<MetricsWriter> {
    return new MetricsWriter(await LineWriter.open(metricsFile(runDirectory)));
  }

  append(record: MetricRecord): Promise<void> {
    return this.#lines.append(formatRecord(record));
  }

  appendResume(marker: ResumeMarker): Promise<void> {
    return this.#lines.append(`${JSON.stringify(marker)}\n`);
  }

  sync(): Promise<void> {
    return this.#lines.sync();
  }

  close(): Promise<void> {
    return this.#lines.close();
  }
}

const readBytes = 1 << 20;

/** Whole lines of a file from a byte cursor on, a slice at a time, so that reading a long file leaves room for other work. */
export async function* readLines(
  file: string,
  cursor = 0,
): AsyncGenerator<{ readonly lines: readonly string[]; readonly cursor: number }> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") {
      return;
    }
    throw asFileError(error, `read ${file}`);
  }
  try {
    let size = readBytes;
    let at = cursor;
    for (;;) {
      const buffer = Buffer.allocUnsafe(size);
      const { bytesRead } = await handle.read(buffer, 0, size, at);
      const end = buffer.subarray(0, bytesRead).lastIndexOf(0x0a);
      if (end < 0) {
        if (bytesRead < size) {
          return; // the rest is a line still being written
        }
        size *= 2;
        continue;
      }
      const lines = buffer.toString("utf8", 0, end).split("\n");
      at += end + 1;
      yield { lines, cursor: at };
    }
  } finally {
    await handle.close();
  }
}

/** Every whole line from `cursor` on; the answer's cursor is where the next call goes on. */
export async function readMetrics(
  runDirectory: string,
  options: { readonly cursor?: number } = {},
): Promise<{ readonly lines: readonly MetricLine[]; readonly cursor: number }> {
  const lines: MetricLine[] = [];
  let cursor = options.cursor ?? 0;
  for await (const slice of readLines(metricsFile(runDirectory), cursor)) {
    for (const text of slice.lines) {
      const line = parseMetricLine(text);
      if (line !== undefined) {
        lines.push(line);
      }
    }
    cursor = slice.cursor;
  }
  return { lines, cursor };
}

export type FoldedMetrics = {
  /** In step order, a record a step. */
  readonly records: readonly MetricRecord[];
  /** What resumes superseded, each a branch that left the curve after `from_step`. */
  readonly branches: readonly { readonly marker: ResumeMarker; readonly records: readonly MetricRecord[] }[];
};

/** After `{"resumed": k, "from_step": n}` the lines of later steps than n no longer count; a step logged again replaces itself. */
export function foldMetrics(lines: readonly MetricLine[]): FoldedMetrics {
  const records: MetricRecord[] = [];
  const branches: { marker: ResumeMarker; records: MetricRecord[] }[] = [];
  for (const line of lines) {
    if (line.kind === "resume") {
      let keep = records.length;
      while (keep > 0 && (records[keep - 1]?.step ?? 0) > line.marker.from_step) {
        keep -= 1;
      }
      branches.push({ marker: line.marker, records: records.splice(keep) });
      continue;
    }
    let last = records.at(-1);
    while (last !== undefined && last.step > line.record.step) {
      records.pop();
      last = records.at(-1);
    }
    if (last !== undefined && last.step === line.record.step) {
      records[records.length - 1] = { ...last, ...line.record };
    } else {
      records.push(line.record);
    }
  }
  return { records, branches };
}
