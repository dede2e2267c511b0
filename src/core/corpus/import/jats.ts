// Full texts in JATS (and the older NLM form): title, abstract and body, a heading or paragraph a line. What is left out
// is one list here: tables, figures, notes, references, and what stands behind the body.
import { ElementPath } from "./capture.ts";
import { collapseBlanks, type Emit, type PushReader, type ReadFormatOptions } from "./record.ts";
import { type XmlAttributes, XmlReader } from "./xml.ts";

/** With all that is in them. Formulas that are there twice stay once, as MathML. */
const leftOut: ReadonlySet<string> = new Set([
  "table-wrap",
  "table-wrap-group",
  "table",
  "fig",
  "fig-group",
  "graphic",
  "inline-graphic",
  "media",
  "supplementary-material",
  "inline-supplementary-material",
  "ref-list",
  "fn",
  "fn-group",
  "tex-math",
  "label",
  "object-id",
  "permissions",
]);

/** Elements that begin and end a line. */
const lines: ReadonlySet<string> = new Set([
  "p",
  "title",
  "sec",
  "list",
  "list-item",
  "def-list",
  "def-item",
  "term",
  "def",
  "disp-quote",
  "disp-formula",
  "disp-formula-group",
  "boxed-text",
  "statement",
  "speech",
  "speaker",
  "verse-group",
  "verse-line",
  "attrib",
  "preformat",
]);

const MAX_RECORD_CHARACTERS = 64 * 1024 * 1024;

class Article {
  type = "";
  language = "";
  title = "";
  journal = "";
  pmid = "";
  pmc = "";
  doi = "";
  license = "";
  year: number | undefined;
  readonly keywords: string[] = [];
  readonly subjects: string[] = [];
  readonly lines: string[] = [];
  readonly sections: { readonly title: string; readonly line: number }[] = [];
}

export class JatsReader implements PushReader {
  readonly #xml: XmlReader;
  readonly #emit: Emit;
  readonly #path = new ElementPath((reason) => this.#xml.refusal(reason));
  #article: Article | null = null;
  /** Depth of the element that is left out with all it holds; 0: none. */
  #leftOutDepth = 0;
  /** Depth of the title, abstract or body whose text is taken; 0: none. */
  #textDepth = 0;
  #sectionDepth = 0;
  #line: string[] = [];
  #characters = 0;
  #identifierType = "";

  constructor(options: ReadFormatOptions, emit: Emit) {
    this.#emit = emit;
    this.#xml = new XmlReader(options.name, {
      open: (name, attributes) => this.#open(name, attributes),
      close: (name) => this.#close(name),
      text: (text) => this.#text(text),
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
    if (name === "article" && this.#leftOutDepth === 0) {
      this.#article = new Article();
      this.#article.type = attributes["article-type"] ?? "";
      this.#article.language = attributes["xml:lang"] ?? "";
      this.#characters = 0;
      path.beginRecord();
    }
    const article = this.#article;
    if (article === null || this.#leftOutDepth > 0) {
      return;
    }
    if (this.#textDepth > 0) {
      this.#openInText(name, attributes);
      return;
    }
    const parent = path.outer(1);
    switch (name) {
      case "article-title":
        if (parent === "title-group") {
          this.#textDepth = path.depth;
        }
        break;
      case "abstract":
        // Graphical, plain-language and other second abstracts say the same again.
        if (attributes["abstract-type"] === undefined) {
          this.#textDepth = path.depth;
        } else {
          this.#leftOutDepth = path.depth;
        }
        break;
      case "body":
        if (parent === "article") {
          this.#textDepth = path.depth;
        }
        break;
      case "back":
      case "sub-article":
      case "response":
      case "trans-abstract":
      case "related-article":
      case "product":
        this.#leftOutDepth = path.depth;
        break;
      case "license":
        article.license = attributes["xlink:href"] ?? article.license;
        break;
      case "article-id":
        this.#identifierType = attributes["pub-id-type"] ?? "";
        if (parent === "article-meta") {
          path.capture();
        }
        break;
      case "journal-title":
      case "year":
      case "kwd":
      case "subject":
        if (isWantedIn(name, parent)) {
          path.capture();
        }
        break;
      default:
    }
  }

  #openInText(name: string, attributes: XmlAttributes): void {
    // A section of links to supplements says nothing itself.
    if (leftOut.has(name) || (name === "sec" && attributes["sec-type"] === "supplementary-material")) {
      this.#leftOutDepth = this.#path.depth;
    } else if (lines.has(name)) {
      this.#endLine();
      if (name === "sec") {
        this.#sectionDepth += 1;
      }
    } else if (name === "break") {
      this.#line.push(" ");
    }
  }

  #text(text: string): void {
    if (this.#leftOutDepth > 0) {
      return;
    }
    if (this.#textDepth > 0) {
      this.#characters += text.length;
      if (this.#characters > MAX_RECORD_CHARACTERS) {
        throw this.#xml.refusal("one article holds more than 64 million characters");
      }
      this.#line.push(text);
    } else {
      this.#path.text(text);
    }
  }

  /** The line that ends here, where it holds anything. */
  #endLine(): string {
    const line = collapseBlanks(this.#line.join(""));
    this.#line = [];
    if (line !== "") {
      this.#article?.lines.push(line);
    }
    return line;
  }

  #close(name: string): void {
    const depth = this.#path.depth;
    const parent = this.#path.outer(1);
    const captured = this.#path.close();
    if (this.#leftOutDepth > 0) {
      if (this.#leftOutDepth === depth) {
        this.#leftOutDepth = 0;
      }
      return;
    }
    const article = this.#article;
    if (article === null) {
      return;
    }
    if (captured !== null) {
      this.#take(article, name, collapseBlanks(captured));
    } else if (this.#textDepth > 0) {
      this.#closeInText(article, name, parent, depth);
    } else if (name === "article") {
      this.#finish(article);
      this.#article = null;
    }
  }

  #closeInText(article: Article, name: string, parent: string, depth: number): void {
    if (depth === this.#textDepth) {
      const line = this.#endLine();
      if (name === "article-title") {
        article.title = line;
      }
      this.#textDepth = 0;
      this.#sectionDepth = 0;
    } else if (lines.has(name)) {
      const line = this.#endLine();
      if (name === "title" && parent === "sec" && this.#sectionDepth === 1 && line !== "") {
        article.sections.push({ title: line, line: article.lines.length - 1 });
      }
      if (name === "sec") {
        this.#sectionDepth -= 1;
      }
    }
  }

  #take(article: Article, name: string, text: string): void {
    switch (name) {
      case "article-id":
        switch (this.#identifierType) {
          case "pmid":
            article.pmid = text;
            break;
          case "pmc":
          case "pmcid":
            article.pmc = text === "" ? "" : `PMC${text.replace(/^PMC/i, "")}`;
            break;
          case "doi":
            article.doi = text;
            break;
          default:
        }
        break;
      case "journal-title":
        article.journal = article.journal === "" ? text : article.journal;
        break;
      case "year": {
        const year = Number(text);
        if (Number.isInteger(year) && year > 1500 && year < 2200) {
          article.year = Math.min(article.year ?? year, year);
        }
        break;
      }
      case "kwd":
        if (text !== "") {
          article.keywords.push(text);
        }
        break;
      case "subject":
        if (text !== "") {
          article.subjects.push(text);
        }
        break;
      default:
    }
  }

  #finish(article: Article): void {
    const { pmc, pmid, doi } = article;
    const id = pmc !== "" ? `pmc:${pmc}` : doi !== "" ? `doi:${doi}` : pmid !== "" ? `pmid:${pmid}` : null;
    if (article.lines.length === 0) {
      this.#emit({ kind: "dropped", id, rule: "no-text", detail: "it has no title, abstract or body" });
      return;
    }
    const said = (text: string) => (text === "" ? undefined : text);
    this.#emit({
      kind: "document",
      id,
      isPublication: true,
      version: 1,
      text: article.lines.join("\n"),
      metadata: {
        pmc: said(pmc),
        pmid: said(pmid),
        doi: said(doi),
        title: said(article.title),
        journal: said(article.journal),
        year: article.year,
        language: said(article.language),
        article_type: said(article.type),
        license: said(article.license),
        keywords: article.keywords.length === 0 ? undefined : article.keywords,
        subjects: article.subjects.length === 0 ? undefined : article.subjects,
        sections: article.sections.length === 0 ? undefined : article.sections,
      },
    });
  }
}

function isWantedIn(name: string, parent: string): boolean {
  switch (name) {
    case "year":
      return parent === "pub-date";
    case "kwd":
      return parent === "kwd-group";
    case "subject":
      return parent === "subj-group";
    default:
      return parent === "journal-title-group" || parent === "journal-meta";
  }
}
