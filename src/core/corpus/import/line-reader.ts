// The common part of the formats that go by lines: strict UTF-8, a bound on the line, and sentences with the number of it.
import { AppError } from "#shared/errors";
import { LineSplitter } from "../lines.ts";
import { decodeUtf8 } from "../utf8.ts";
import type { PushReader } from "./record.ts";

const MAX_LINE_BYTES = 64 * 1024 * 1024;

export abstract class LineReader implements PushReader {
  readonly name: string;
  readonly #splitter: LineSplitter;
  #number = 0;

  constructor(name: string) {
    this.name = name;
    this.#splitter = new LineSplitter(MAX_LINE_BYTES, (line) => {
      this.#number = line;
      return this.refusal(`this line has more than ${MAX_LINE_BYTES / 1024 / 1024} MiB; split it`);
    });
  }

  /** A line without its end, a carriage return neither. */
  protected abstract line(text: string): void;

  /** Behind the last line. */
  protected abstract finish(): void;

  protected get lineNumber(): number {
    return this.#number;
  }

  protected refusal(reason: string): AppError {
    return new AppError("CORPUS_RECORD_INVALID", `${this.name}:${this.#number}: ${reason}.`, {
      details: { file: this.name, line: this.#number },
    });
  }

  readonly #onLine = (bytes: Uint8Array, number: number): void => {
    this.#number = number;
    const text = decodeUtf8(bytes);
    if (text === null) {
      throw new AppError("CORPUS_NOT_UTF8", `${this.name}:${number} is not UTF-8; convert the file to UTF-8.`, {
        details: { file: this.name, line: number },
      });
    }
    const whole = number === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text;
    this.line(whole.endsWith("\r") ? whole.slice(0, -1) : whole);
  };

  push(bytes: Uint8Array): void {
    this.#splitter.push(bytes, this.#onLine);
  }

  end(): void {
    this.#splitter.end(this.#onLine);
    this.finish();
  }
}
