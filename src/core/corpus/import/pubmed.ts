// PubMed's baseline and update files: citations and book records with their texts and what is known of them, and the
// citations that a DeleteCitation takes back. docs/formats/corpus.md says what becomes text and what a field.
import { ElementPath } from "./capture.ts";
import { collapseBlanks, type Emit, type JsonValue, type PushReader, type ReadFormatOptions } from "./record.ts";
import { type XmlAttributes, XmlReader } from "./xml.ts";

type OtherAbstract = { readonly type: string; readonly language: string; readonly lines: string[] };

class Article {
  pmid = "";
  version = 1;
  title = "";
  vernacularTitle = "";
  bookTitle = "";
  journal = "";
  year: number | undefined;
  electronicYear: number | undefined;
  doi = "";
  pmc = "";
  readonly languages: string[] = [];
  readonly mesh: string[] = [];
  readonly meshMajor: string[] = [];
  readonly publicationTypes: string[] = [];
  readonly keywords: string[] = [];
  /** Lines of the abstract, and the label of each. */
  readonly lines: string[] = [];
  readonly labels: string[] = [];
  readonly otherAbstracts: OtherAbstract[] = [];
}

function yearOf(text: string): number | undefined {
  const found = /\b(1[5-9]\d\d|20\d\d)\b/.exec(text);
  return found === null ? undefined : Number(found[1]);
}

/** Nothing for an empty list, so that the line stays short. */
function filled<T>(items: readonly T[]): readonly T[] | undefined {
  return items.length === 0 ? undefined : items;
}

export class PubmedReader implements PushReader {
  readonly #xml: XmlReader;
  readonly #emit: Emit;
  readonly #path = new ElementPath((reason) => this.#xml.refusal(reason));
  #article = new Article();
  #label = "";
  #isMajor = false;
  #heading = "";
  #identifierType = "";

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
    if (path.isCapturing) {
      return;
    }
    const parent = path.outer(1);
    switch (name) {
      case "PubmedArticle":
      case "PubmedBookArticle":
        this.#article = new Article();
        path.beginRecord();
        break;
      case "MedlineCitation":
        // A MedlineCitationSet has no PubmedArticle around it.
        if (parent !== "PubmedArticle") {
          this.#article = new Article();
          path.beginRecord();
        }
        break;
      case "PMID":
        if (parent === "MedlineCitation" || parent === "BookDocument") {
          const version = Number(attributes["Version"] ?? 1);
          this.#article.version = Number.isInteger(version) && version > 0 && version < 65_536 ? version : 1;
          path.capture();
        } else if (parent === "DeleteCitation") {
          path.capture();
        }
        break;
      case "AbstractText":
        if (parent === "Abstract" || parent === "OtherAbstract") {
          this.#label = attributes["Label"] ?? "";
          path.capture();
        }
        break;
      case "OtherAbstract":
        this.#article.otherAbstracts.push({
          type: attributes["Type"] ?? "",
          language: attributes["Language"] ?? "eng",
          lines: [],
        });
        break;
      case "MeshHeading":
        this.#isMajor = false;
        this.#heading = "";
        break;
      case "DescriptorName":
      case "QualifierName":
        if (parent === "MeshHeading") {
          this.#isMajor ||= attributes["MajorTopicYN"] === "Y";
          if (name === "DescriptorName") {
            path.capture();
          }
        }
        break;
      case "ELocationID":
        if (attributes["EIdType"] === "doi" && attributes["ValidYN"] !== "N") {
          path.capture();
        }
        break;
      case "ArticleId":
        this.#identifierType = attributes["IdType"] ?? "";
        // References have lists of their own.
        if (path.outer(2) === "PubmedData" || path.outer(2) === "PubmedBookData" || path.outer(2) === "BookDocument") {
          path.capture();
        }
        break;
      default:
        if (isWanted(name, parent)) {
          path.capture();
        }
    }
  }

  #close(name: string): void {
    const parent = this.#path.outer(1);
    const captured = this.#path.close();
    if (captured !== null) {
      this.#take(name, parent, captured);
      return;
    }
    switch (name) {
      case "MeshHeading":
        if (this.#heading !== "") {
          this.#article.mesh.push(this.#heading);
          if (this.#isMajor) {
            this.#article.meshMajor.push(this.#heading);
          }
        }
        break;
      case "MedlineCitation":
        if (parent !== "PubmedArticle") {
          this.#finish();
        }
        break;
      case "PubmedArticle":
      case "PubmedBookArticle":
        this.#finish();
        break;
      default:
    }
  }

  #take(name: string, parent: string, raw: string): void {
    const article = this.#article;
    const text = collapseBlanks(raw);
    switch (name) {
      case "PMID":
        if (parent === "DeleteCitation") {
          if (text !== "") {
            this.#emit({ kind: "deleted", id: `pmid:${text}` });
          }
        } else if (article.pmid === "") {
          article.pmid = text;
        }
        break;
      case "ArticleTitle":
        article.title = text;
        break;
      case "BookTitle":
        article.bookTitle = text;
        break;
      case "VernacularTitle":
        article.vernacularTitle = text;
        break;
      case "Title":
        article.journal = text;
        break;
      case "Year":
      case "MedlineDate":
        if (parent === "PubDate") {
          article.year ??= yearOf(text);
        } else {
          article.electronicYear ??= yearOf(text);
        }
        break;
      case "Language":
        article.languages.push(text.toLowerCase());
        break;
      case "DescriptorName":
        this.#heading = text;
        break;
      case "PublicationType":
        article.publicationTypes.push(text);
        break;
      case "Keyword":
        if (text !== "") {
          article.keywords.push(text);
        }
        break;
      case "ELocationID":
        article.doi = text;
        break;
      case "ArticleId":
        if (this.#identifierType === "doi" && article.doi === "") {
          article.doi = text;
        } else if (this.#identifierType === "pmc") {
          article.pmc = text;
        }
        break;
      case "AbstractText":
        this.#takeAbstract(parent, text);
        break;
      default:
    }
  }

  #takeAbstract(parent: string, text: string): void {
    if (text === "") {
      return;
    }
    const label = collapseBlanks(this.#label);
    const hasLabel = label !== "" && label !== "UNLABELLED";
    const line = hasLabel ? `${label}: ${text}` : text;
    if (parent === "OtherAbstract") {
      this.#article.otherAbstracts.at(-1)?.lines.push(line);
    } else {
      this.#article.lines.push(line);
      this.#article.labels.push(hasLabel ? label : "");
    }
  }

  #finish(): void {
    const article = this.#article;
    this.#article = new Article();
    const id = article.pmid === "" ? null : `pmid:${article.pmid}`;
    const title = article.title === "" ? article.bookTitle : article.title;
    const others = article.otherAbstracts.filter((other) => other.lines.length > 0);
    const inItsPlace = article.lines.length > 0 ? undefined : others.find((other) => other.language === "eng");
    const lines = inItsPlace === undefined ? article.lines : inItsPlace.lines;
    const labels = inItsPlace === undefined ? article.labels : [];
    if (title === "" && lines.length === 0) {
      this.#emit({ kind: "dropped", id, rule: "no-text", detail: "it has neither title nor abstract" });
      return;
    }
    const first = title === "" ? 0 : 1;
    const sections = labels.flatMap((label, at) => (label === "" ? [] : [{ title: label, line: first + at }]));
    this.#emit({
      kind: "document",
      id,
      isPublication: true,
      version: article.version,
      text: [...(title === "" ? [] : [title]), ...lines].join("\n"),
      metadata: {
        pmid: article.pmid === "" ? undefined : article.pmid,
        version: article.version === 1 ? undefined : article.version,
        title: title === "" ? undefined : title,
        vernacular_title: article.vernacularTitle === "" ? undefined : article.vernacularTitle,
        journal: article.journal === "" ? undefined : article.journal,
        year: article.year ?? article.electronicYear,
        language: article.languages[0],
        languages: article.languages.length > 1 ? article.languages : undefined,
        publication_types: filled(article.publicationTypes),
        mesh: filled(article.mesh),
        mesh_major: filled(article.meshMajor),
        keywords: filled(article.keywords),
        doi: article.doi === "" ? undefined : article.doi,
        pmc: article.pmc === "" ? undefined : article.pmc,
        sections: filled(sections),
        other_abstracts: filled(others.map(otherAbstract)),
      },
    });
  }
}

function otherAbstract({ type, language, lines }: OtherAbstract): JsonValue {
  return { type, language, text: lines.join("\n") };
}

/** Elements whose text is taken without a look at their attributes. */
function isWanted(name: string, parent: string): boolean {
  switch (name) {
    case "ArticleTitle":
      return parent === "Article" || parent === "BookDocument";
    case "VernacularTitle":
      return parent === "Article" || parent === "BookDocument";
    case "BookTitle":
      return parent === "Book";
    case "Title":
      return parent === "Journal";
    case "Year":
    case "MedlineDate":
      return parent === "PubDate" || parent === "ArticleDate";
    case "Language":
      return parent === "Article" || parent === "BookDocument";
    case "PublicationType":
      return parent === "PublicationTypeList" || parent === "BookDocument";
    case "Keyword":
      return parent === "KeywordList";
    default:
      return false;
  }
}
