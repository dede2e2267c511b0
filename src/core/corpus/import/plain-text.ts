// Plain text: a file is a document, or each of its paragraphs, which empty lines separate.
import { AppError } from "#shared/errors";
import { LineReader } from "./line-reader.ts";
import type { Emit, ReadFormatOptions } from "./record.ts";

const MAX_DOCUMENT_CHARACTERS = 256 * 1024 * 1024;

export class PlainTextReader extends LineReader {
  readonly #emit: Emit;
  readonly #unit: "file" | "paragraph";
  #lines: string[] = [];
  #characters = 0;

  constructor(options: ReadFormatOptions, emit: Emit) {
    super(options.name);
    this.#emit = emit;
    this.#unit = options.textUnit;
  }

  protected line(text: string): void {
    if (this.#unit === "paragraph" && text.trim() === "") {
      this.#record();
      return;
    }
    this.#characters += text.length + 1;
    if (this.#characters > MAX_DOCUMENT_CHARACTERS) {
      throw new AppError(
        "CORPUS_RECORD_INVALID",
        `${this.name}: one document has more than 256 million characters; split it.`,
      );
    }
    this.#lines.push(text);
  }

  protected finish(): void {
    this.#record();
  }

  #record(): void {
    const text = this.#lines.join("\n");
    this.#lines = [];
    this.#characters = 0;
    if (text.trim() !== "") {
      this.#emit({ kind: "document", id: null, isPublication: false, version: 1, text, metadata: {} });
    }
  }
}
