// BioC collections, in XML and in JSON: a document's passages, one a line. Annotations and relations are no text.
import { AppError } from "#shared/errors";
import { ElementPath } from "./capture.ts";
import { collapseBlanks, type Emit, type PushReader, type ReadFormatOptions } from "./record.ts";
import { type XmlAttributes, XmlReader } from "./xml.ts";

type Infons = Record<string, string>;
type Passage = { readonly infons: Infons; readonly text: string; readonly sentences: readonly string[] };
type BiocDocument = {
  readonly source: string;
  readonly id: string;
  readonly infons: Infons;
  readonly passages: readonly Passage[];
};

/** Publications by their id where the collection says so; else the collection's own. */
function idOf(
  { id, source }: BiocDocument,
  infons: Infons,
): { readonly id: string | null; readonly isPublication: boolean } {
  const pmc = infons["article-id_pmc"] ?? (/^PMC\d+$/i.test(id) ? id : undefined);
  if (pmc !== undefined && pmc !== "") {
    return { id: `pmc:PMC${pmc.replace(/^PMC/i, "")}`, isPublication: true };
  }
  const pmid = infons["article-id_pmid"] ?? (/^pubmed$/i.test(source.trim()) && /^\d+$/.test(id) ? id : undefined);
  if (pmid !== undefined && pmid !== "") {
    return { id: `pmid:${pmid}`, isPublication: true };
  }
  return { id: id === "" ? null : `bioc:${id}`, isPublication: false };
}

function emitDocument(document: BiocDocument, emit: Emit): void {
  const first = document.passages[0]?.infons ?? {};
  const known: Infons = { ...first, ...document.infons };
  const { id, isPublication } = idOf(document, known);
  const lines: string[] = [];
  const sections: { title: string; line: number }[] = [];
  for (const passage of document.passages) {
    const own = collapseBlanks(passage.text);
    const line = own === "" ? collapseBlanks(passage.sentences.join(" ")) : own;
    if (line !== "") {
      const title = passage.infons["section_type"] ?? passage.infons["type"];
      if (title !== undefined && sections.at(-1)?.title !== title) {
        sections.push({ title, line: lines.length });
      }
      lines.push(line);
    }
  }
  if (lines.length === 0) {
    emit({ kind: "dropped", id, rule: "no-text", detail: "no passage holds text" });
    return;
  }
  const year = Number(known["year"]);
  emit({
    kind: "document",
    id,
    isPublication,
    version: 1,
    text: lines.join("\n"),
    metadata: {
      collection: document.source === "" ? undefined : document.source,
      pmid: known["article-id_pmid"],
      journal: known["journal"],
      year: Number.isInteger(year) && year > 1500 && year < 2200 ? year : undefined,
      license: known["license"],
      infons: Object.keys(document.infons).length === 0 ? undefined : document.infons,
      sections: sections.length === 0 ? undefined : sections,
    },
  });
}

export class BiocXmlReader implements PushReader {
  readonly #xml: XmlReader;
  readonly #emit: Emit;
  readonly #path = new ElementPath((reason) => this.#xml.refusal(reason));
  #source = "";
  #id = "";
  #infons: Infons = {};
  #passages: { infons: Infons; text: string; sentences: string[] }[] = [];
  #key = "";

  constructor(options: ReadFormatOptions, emit: Emit) {
    this.#emit = emit;
    this.#xml = new XmlReader(options.name, {
      open: (name, attributes) => this.#open(name, attributes),
      close: (name) => this.#close(name),
      text: (text) => this.#path.text(text),
    });
  }

  push(bytes: Uint8Array): void {
    this.#xml.push(bytes);
  }

  end(): void {
    this.#xml.end();
  }

  #open(name: string, attributes: XmlAttributes): void {
    const path = this.#path;
    path.open(name);
    const parent = path.outer(1);
    switch (name) {
      case "document":
        this.#id = "";
        this.#infons = {};
        this.#passages = [];
        path.beginRecord();
        break;
      case "passage":
        this.#passages.push({ infons: {}, text: "", sentences: [] });
        break;
      case "infon":
        this.#key = attributes["key"] ?? "";
        if (parent === "document" || parent === "passage") {
          path.capture();
        }
        break;
      case "text":
        if (parent === "passage" || parent === "sentence") {
          path.capture();
        }
        break;
      case "id":
        if (parent === "document") {
          path.capture();
        }
        break;
      case "source":
        if (parent === "collection") {
          path.capture();
        }
        break;
      default:
    }
  }

  #close(name: string): void {
    const parent = this.#path.outer(1);
    const captured = this.#path.close();
    if (captured === null) {
      if (name === "document") {
        emitDocument(
          { source: this.#source, id: this.#id, infons: this.#infons, passages: this.#passages },
          this.#emit,
        );
        this.#passages = [];
      }
      return;
    }
    const passage = this.#passages.at(-1);
    switch (name) {
      case "source":
        this.#source = collapseBlanks(captured);
        break;
      case "id":
        this.#id = collapseBlanks(captured);
        break;
      case "infon":
        (parent === "document" ? this.#infons : (passage?.infons ?? {}))[this.#key] = collapseBlanks(captured);
        break;
      default:
        if (passage !== undefined) {
          if (parent === "passage") {
            passage.text = captured;
          } else {
            passage.sentences.push(captured);
          }
        }
    }
  }
}

const MAX_JSON_BYTES = 256 * 1024 * 1024;

type Loose = Readonly<Record<string, unknown>>;

function asObject(value: unknown): Loose {
  // as: checked just before, and every field of it is checked where it is used.
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : {};
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

function asInfons(value: unknown): Infons {
  const infons: Infons = {};
  for (const [key, each] of Object.entries(asObject(value))) {
    if (typeof each === "string" || typeof each === "number") {
      infons[key] = collapseBlanks(String(each));
    }
  }
  return infons;
}

/** BioC JSON is one value, so it is read whole, up to a limit. */
export class BiocJsonReader implements PushReader {
  readonly #name: string;
  readonly #emit: Emit;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(options: ReadFormatOptions, emit: Emit) {
    this.#name = options.name;
    this.#emit = emit;
  }

  #refusal(reason: string): AppError {
    return new AppError("CORPUS_RECORD_INVALID", `${this.#name}: ${reason}.`, { details: { file: this.#name } });
  }

  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_JSON_BYTES) {
      throw this.#refusal("a BioC JSON file of more than 256 MiB cannot be read; split it, or use BioC XML");
    }
    this.#pieces.push(bytes);
  }

  end(): void {
    let parsed: unknown;
    try {
      parsed = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(this.#pieces)));
    } catch (cause) {
      const reason = cause instanceof Error ? (cause.message.split("\n")[0] ?? "") : "";
      throw this.#refusal(`this is not JSON (${reason}); mend or fetch the file again`);
    }
    this.#pieces = [];
    for (const collection of Array.isArray(parsed) ? parsed : [parsed]) {
      const { source, documents } = asObject(collection);
      for (const each of asList(documents)) {
        const document = asObject(each);
        const passages = asList(document["passages"]).map((one) => {
          const passage = asObject(one);
          const sentences = asList(passage["sentences"]).map((sentence) => asText(asObject(sentence)["text"]));
          return { infons: asInfons(passage["infons"]), text: asText(passage["text"]), sentences };
        });
        const infons = asInfons(document["infons"]);
        emitDocument({ source: asText(source), id: asText(document["id"]), infons, passages }, this.#emit);
      }
    }
  }
}
