// What a person reads on the terminal: plain lines that stay readable without colour and when piped, progress with
// rate and remaining time on standard error, results on standard output.
import process from "node:process";

const isTerminal = process.stderr.isTTY && process.env["TERM"] !== "dumb";
const useColour = isTerminal && process.env["NO_COLOR"] === undefined;

export function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

export function note(line: string): void {
  clearProgress();
  process.stderr.write(`${line}\n`);
}

export function sayJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

export function faint(text: string): string {
  return useColour ? `\u001b[2m${text}\u001b[22m` : text;
}

/** Aligned columns; numbers (right: true) to the right. */
export function table(
  head: readonly { readonly title: string; readonly right?: boolean }[],
  rows: readonly (readonly string[])[],
): string {
  const widths = head.map((column, at) => Math.max(column.title.length, ...rows.map((row) => (row[at] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    head
      .map((column, at) => {
        const cell = cells[at] ?? "";
        return column.right === true ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0);
      })
      .join("  ")
      .trimEnd();
  return [line(head.map((column) => column.title)), ...rows.map(line)].join("\n");
}

export function formatCount(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, " ");
}

export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value.toFixed(0) : value.toPrecision(3)} ${units[unit]}`;
}

export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) {
    return "unknown";
  }
  if (seconds < 60) {
    return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  }
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) {
    return `${minutes} min ${Math.round(seconds % 60)} s`;
  }
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${(hours / 24).toFixed(1)} days`;
}

let progressShown = false;

function clearProgress(): void {
  if (progressShown) {
    process.stderr.write("\r\u001b[2K");
    progressShown = false;
  }
}

/**
 * Shows how far a piece of work is. On a terminal one line is rewritten at most ten times a second; elsewhere a line is
 * printed when a tenth more is done or ten seconds have passed, and nothing at all for work under a second.
 */
export class Progress {
  readonly #title: string;
  readonly #unit: string;
  readonly #begin = performance.now();
  #lastShown = 0;
  #lastTenth = 0;
  #wasPrinted = false;

  constructor(title: string, unit: string) {
    this.#title = title;
    this.#unit = unit;
  }

  update(done: number, total: number | null, detail = ""): void {
    const now = performance.now();
    const elapsedSeconds = (now - this.#begin) / 1000;
    const line = this.#line(done, total, elapsedSeconds, detail);
    if (isTerminal) {
      if (now - this.#lastShown > 100) {
        process.stderr.write(`\r\u001b[2K${line.slice(0, (process.stderr.columns ?? 120) - 1)}`);
        progressShown = true;
        this.#lastShown = now;
      }
      return;
    }
    const tenth = total === null || total <= 0 ? 0 : Math.floor((10 * done) / total);
    const isDue = elapsedSeconds >= 1 && (tenth > this.#lastTenth || now - this.#lastShown > 10_000);
    if (isDue) {
      process.stderr.write(`${line}\n`);
      this.#lastShown = now;
      this.#lastTenth = tenth;
      this.#wasPrinted = true;
    }
  }

  /** Ends the line; what took over a second, or was shown, leaves one line behind. */
  end(summary: string): void {
    clearProgress();
    if (this.#wasPrinted || performance.now() - this.#begin >= 1000) {
      process.stderr.write(
        `${this.#title}: ${summary} in ${formatSeconds((performance.now() - this.#begin) / 1000)}\n`,
      );
    }
  }

  #line(done: number, total: number | null, elapsedSeconds: number, detail: string): string {
    const amount = (value: number): string =>
      this.#unit === "bytes" ? formatBytes(value) : `${formatCount(value)} ${this.#unit}`;
    const rate = elapsedSeconds > 0.2 ? done / elapsedSeconds : 0;
    const parts = [`${this.#title}: ${amount(done)}${total === null ? "" : ` of ${amount(total)}`}`];
    if (total !== null && total > 0) {
      parts.push(`${Math.floor((100 * done) / total)} %`);
    }
    if (rate > 0) {
      parts.push(
        `${this.#unit === "bytes" ? formatBytes(rate) : `${rate >= 100 ? formatCount(rate) : rate.toPrecision(3)} ${this.#unit}`}/s`,
      );
      if (total !== null && total > done) {
        parts.push(`${formatSeconds((total - done) / rate)} left`);
      }
    }
    if (detail !== "") {
      parts.push(detail);
    }
    return parts.join(", ");
  }
}
