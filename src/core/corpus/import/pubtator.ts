// PubTator: `id|t|title`, `id|a|abstract`, then lines of annotations, an empty line between documents. The text is title
// and abstract with one character between them, so that the annotations' offsets stay true.
import { LineReader } from "./line-reader.ts";
import type { Emit, ReadFormatOptions } from "./record.ts";

export class PubtatorReader extends LineReader {
  readonly #emit: Emit;
  #id: string | null = null;
  #title: string | null = null;
  #abstract: string | null = null;
  #annotations = 0;

  constructor(options: ReadFormatOptions, emit: Emit) {
    super(options.name);
    this.#emit = emit;
  }

  protected line(text: string): void {
    if (text.trim() === "") {
      this.#record();
      return;
    }
    const part = /^([^|\t]+)\|([ta])\|(.*)$/.exec(text);
    if (part !== null) {
      const [, id = "", kind, value = ""] = part;
      if (this.#id !== null && this.#id !== id) {
        this.#record();
      }
      this.#id = id;
      if (kind === "t") {
        this.#title = value;
      } else {
        this.#abstract = value;
      }
    } else if (text.includes("\t") && this.#id !== null) {
      this.#annotations += 1;
    } else {
      throw this.refusal(
        "this line is neither `id|t|title`, `id|a|abstract` nor an annotation; is this PubTator's format?",
      );
    }
  }

  protected finish(): void {
    this.#record();
  }

  #record(): void {
    if (this.#id !== null) {
      const id = /^\d+$/.test(this.#id) ? `pmid:${this.#id}` : `pubtator:${this.#id}`;
      const text = [this.#title, this.#abstract].filter((part) => part !== null).join("\n");
      if (text.trim() === "") {
        this.#emit({ kind: "dropped", id, rule: "no-text", detail: "it has neither title nor abstract" });
      } else {
        const pmid = /^\d+$/.test(this.#id) ? this.#id : undefined;
        const metadata = { pmid, title: this.#title ?? undefined, annotations: this.#annotations };
        this.#emit({ kind: "document", id, isPublication: pmid !== undefined, version: 1, text, metadata });
      }
    }
    this.#id = null;
    this.#title = null;
    this.#abstract = null;
    this.#annotations = 0;
  }
}
