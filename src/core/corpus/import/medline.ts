// MEDLINE's tagged text, which PubMed exports as .txt and .nbib: `TAG - value`, lines that go on begin with six blanks, an
// empty line ends a record.
import { LineReader } from "./line-reader.ts";
import { collapseBlanks, type Emit, type ReadFormatOptions } from "./record.ts";

const MAX_RECORD_CHARACTERS = 16 * 1024 * 1024;

export class MedlineReader extends LineReader {
  readonly #emit: Emit;
  #fields = new Map<string, string[]>();
  #tag = "";
  #characters = 0;

  constructor(options: ReadFormatOptions, emit: Emit) {
    super(options.name);
    this.#emit = emit;
  }

  protected line(text: string): void {
    this.#characters += text.length;
    if (this.#characters > MAX_RECORD_CHARACTERS) {
      throw this.refusal("one record has more than 16 million characters; an empty line should end it");
    }
    const tagged = /^([A-Z][A-Z0-9]{1,3}) *-(?: (.*)|)$/.exec(text);
    if (tagged !== null) {
      const [, tag = "", value = ""] = tagged;
      if (tag === "PMID" && this.#fields.has("PMID")) {
        this.#record();
      }
      this.#tag = tag;
      const values = this.#fields.get(tag);
      if (values === undefined) {
        this.#fields.set(tag, [value]);
      } else {
        values.push(value);
      }
    } else if (text.trim() === "") {
      this.#record();
    } else if (/^ {4,}/.test(text) && this.#tag !== "") {
      const values = this.#fields.get(this.#tag) ?? [];
      values[values.length - 1] = `${values.at(-1) ?? ""} ${text.trim()}`;
    } else if (!/^\d+[:.]?\s*$/.test(text)) {
      throw this.refusal(
        "this line is neither `TAG - value` nor does it go on with the one before; is this MEDLINE's format?",
      );
    }
  }

  protected finish(): void {
    this.#record();
  }

  #first(tag: string): string | undefined {
    const value = collapseBlanks(this.#fields.get(tag)?.[0] ?? "");
    return value === "" ? undefined : value;
  }

  #all(tag: string): readonly string[] | undefined {
    const values = (this.#fields.get(tag) ?? []).map(collapseBlanks).filter((value) => value !== "");
    return values.length === 0 ? undefined : values;
  }

  #doi(): string | undefined {
    const all = [...(this.#all("LID") ?? []), ...(this.#all("AID") ?? [])];
    return all.find((value) => value.endsWith("[doi]"))?.replace(/\s*\[doi\]$/, "");
  }

  #record(): void {
    if (this.#fields.size > 0) {
      this.#emitRecord();
    }
    this.#fields = new Map();
    this.#tag = "";
    this.#characters = 0;
  }

  #emitRecord(): void {
    const pmid = this.#first("PMID");
    const id = pmid === undefined ? null : `pmid:${pmid}`;
    const title = this.#first("TI") ?? this.#first("BTI");
    const abstract = this.#first("AB");
    const lines = [title, abstract].filter((line) => line !== undefined);
    if (lines.length === 0) {
      this.#emit({ kind: "dropped", id, rule: "no-text", detail: "it has neither title nor abstract" });
      return;
    }
    const headings = this.#all("MH") ?? [];
    const descriptor = (heading: string) => (heading.split("/")[0] ?? "").replace(/^\*/, "");
    const major = headings.filter((heading) => heading.includes("*")).map(descriptor);
    const year = /\b(1[5-9]\d\d|20\d\d)\b/.exec(this.#first("DP") ?? "")?.[1];
    this.#emit({
      kind: "document",
      id,
      isPublication: true,
      version: 1,
      text: lines.join("\n"),
      metadata: {
        pmid,
        title,
        vernacular_title: this.#first("TT"),
        journal: this.#first("JT") ?? this.#first("TA"),
        year: year === undefined ? undefined : Number(year),
        language: this.#first("LA")?.toLowerCase(),
        publication_types: this.#all("PT"),
        mesh: headings.length === 0 ? undefined : headings.map(descriptor),
        mesh_major: major.length === 0 ? undefined : major,
        keywords: this.#all("OT"),
        doi: this.#doi(),
        pmc: this.#first("PMC"),
      },
    });
  }
}
