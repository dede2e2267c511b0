// JSONL: an object a line, its text and id in fields one chooses; the other fields stay beside them.
import { emitFields, type FieldChoice } from "./fields.ts";
import { LineReader } from "./line-reader.ts";
import type { Emit, ReadFormatOptions } from "./record.ts";

export class JsonlReader extends LineReader {
  readonly #emit: Emit;
  readonly #choice: FieldChoice;

  constructor(options: ReadFormatOptions, emit: Emit) {
    super(options.name);
    this.#emit = emit;
    this.#choice = options;
  }

  protected line(text: string): void {
    if (text.trim() === "") {
      return;
    }
    let record: unknown;
    try {
      record = JSON.parse(text);
    } catch (cause) {
      const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : "";
      throw this.refusal(`this line is not JSON (${reason}); a .jsonl file holds one object a line`);
    }
    if (typeof record !== "object" || record === null || Array.isArray(record)) {
      throw this.refusal('this line is not an object such as {"text": "…"}');
    }
    // as: an object, and its fields are unknown.
    emitFields(record as Readonly<Record<string, unknown>>, this.#choice, this.#emit, (reason) => this.refusal(reason));
  }

  protected finish(): void {
    // Every line is a record of its own.
  }
}
