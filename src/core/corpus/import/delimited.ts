// CSV and TSV: a header with the names of the columns, fields in quotes where they hold the separator, quotes (doubled) or
// line ends. Read a character at a time, so that a quote may run across pieces of the file.
import { TextDecoder } from "node:util";
import { AppError } from "#shared/errors";
import { emitFields, type FieldChoice } from "./fields.ts";
import type { Emit, PushReader, ReadFormatOptions } from "./record.ts";

const MAX_ROW_CHARACTERS = 64 * 1024 * 1024;
const QUOTE = 0x22;
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

type State = "field" | "plain" | "quoted" | "quote-in-quoted";

export class DelimitedReader implements PushReader {
  readonly #name: string;
  readonly #emit: Emit;
  readonly #choice: FieldChoice;
  readonly #separator: number;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #header: readonly string[] | null = null;
  #row: string[] = [];
  #pieces: string[] = [];
  #rowCharacters = 0;
  #state: State = "field";
  #line = 1;
  #rowLine = 1;

  constructor(separator: "," | "\t", options: ReadFormatOptions, emit: Emit) {
    this.#separator = separator.charCodeAt(0);
    this.#name = options.name;
    this.#emit = emit;
    this.#choice = options;
  }

  #refusal(reason: string): AppError {
    return new AppError("CORPUS_RECORD_INVALID", `${this.#name}:${this.#rowLine}: ${reason}.`, {
      details: { file: this.#name, line: this.#rowLine },
    });
  }

  #decode(bytes: Uint8Array, isMore: boolean): string {
    try {
      return this.#decoder.decode(bytes, { stream: isMore });
    } catch {
      throw new AppError(
        "CORPUS_NOT_UTF8",
        `${this.#name} is not UTF-8 behind line ${this.#line}; convert it to UTF-8.`,
      );
    }
  }

  push(bytes: Uint8Array): void {
    this.#read(this.#decode(bytes, true));
  }

  end(): void {
    this.#read(this.#decode(new Uint8Array(), false));
    if (this.#state === "quoted") {
      throw this.#refusal("a quote is opened in this row and never closed");
    }
    if (this.#row.length > 0 || this.#state !== "field") {
      this.#endRow();
    }
  }

  /** Keeps text[from … to - 1] for the field that is being read. */
  #keep(text: string, from: number, to: number): void {
    if (to > from) {
      this.#pieces.push(text.slice(from, to));
      this.#rowCharacters += to - from;
      if (this.#rowCharacters > MAX_ROW_CHARACTERS) {
        throw this.#refusal("this row has more than 64 million characters; a quote may be missing before it");
      }
    }
  }

  #endField(): void {
    this.#row.push(this.#pieces.join(""));
    this.#pieces = [];
    this.#state = "field";
  }

  #endRow(): void {
    this.#endField();
    const row = this.#row;
    this.#row = [];
    this.#rowCharacters = 0;
    if (row.length > 1 || row[0] !== "") {
      this.#takeRow(row);
    }
    this.#rowLine = this.#line;
  }

  #takeRow(row: readonly string[]): void {
    if (this.#header === null) {
      this.#header = row.map((name, at) => (name.trim() === "" ? `column_${at + 1}` : name.trim()));
      return;
    }
    if (row.length !== this.#header.length) {
      throw this.#refusal(`this row has ${row.length} fields and the header ${this.#header.length}`);
    }
    const record = Object.fromEntries(this.#header.map((name, at) => [name, row[at] ?? ""]));
    emitFields(record, this.#choice, this.#emit, (reason) => this.#refusal(reason));
  }

  #read(text: string): void {
    let from = 0;
    for (let at = 0; at < text.length; at += 1) {
      const code = text.charCodeAt(at);
      if (this.#state === "quoted") {
        const quote = text.indexOf('"', at);
        const to = quote < 0 ? text.length : quote;
        for (let line = text.indexOf("\n", at); line >= 0 && line < to; line = text.indexOf("\n", line + 1)) {
          this.#line += 1;
        }
        this.#keep(text, from, to);
        at = to;
        from = to + 1;
        if (quote >= 0) {
          this.#state = "quote-in-quoted";
        }
        continue;
      }
      if (code === QUOTE) {
        if (this.#state === "field") {
          this.#state = "quoted";
          from = at + 1;
        } else if (this.#state === "quote-in-quoted") {
          this.#pieces.push('"');
          this.#state = "quoted";
          from = at + 1;
        }
        // Elsewhere a quote is a character like any other.
      } else if (code === this.#separator || code === LINE_FEED) {
        this.#keep(text, from, at);
        from = at + 1;
        if (code === LINE_FEED) {
          this.#line += 1;
          this.#endRow();
        } else {
          this.#endField();
        }
      } else if (code === CARRIAGE_RETURN) {
        this.#keep(text, from, at);
        from = at + 1;
      } else if (this.#state === "quote-in-quoted") {
        throw this.#refusal("text follows a closing quote; quotes inside quotes are doubled");
      } else {
        this.#state = "plain";
      }
    }
    this.#keep(text, Math.min(from, text.length), text.length);
  }
}
