// Which format a file has, told from its first bytes; the name only decides between plain text, CSV and TSV, which look
// alike. What is none of them is refused with what it is instead.
import { AppError } from "#shared/errors";
import type { ImportFormat } from "./record.ts";

export type Detected = { readonly format: ImportFormat } | { readonly refusal: string };

export const HEAD_BYTES = 64 * 1024;

const roots: Readonly<Record<string, ImportFormat>> = {
  PubmedArticleSet: "pubmed",
  PubmedBookArticleSet: "pubmed",
  MedlineCitationSet: "pubmed",
  PubmedArticle: "pubmed",
  PubmedBookArticle: "pubmed",
  MedlineCitation: "pubmed",
  article: "jats",
  articles: "jats",
  "pmc-articleset": "jats",
  "OAI-PMH": "jats",
  collection: "bioc-xml",
};

function textOf(head: Uint8Array): string {
  if ((head[0] === 0xff && head[1] === 0xfe) || (head[0] === 0x3c && head[1] === 0)) {
    return new TextDecoder("utf-16le").decode(head);
  }
  if (head[0] === 0xfe && head[1] === 0xff) {
    return new TextDecoder("utf-16be").decode(head);
  }
  return new TextDecoder("utf-8").decode(head);
}

/** The name of the first element, without its prefix. */
function rootOf(text: string): string | null {
  const body = text
    .replaceAll(/<\?[\s\S]*?\?>/g, "")
    .replaceAll(/<!--[\s\S]*?-->/g, "")
    .replaceAll(/<!DOCTYPE[^[>]*(?:\[[\s\S]*?\]\s*)?>/gi, "");
  return /^\s*<([A-Za-z_][\w.:-]*)/.exec(body)?.[1]?.replace(/^.*:/, "") ?? null;
}

function detectXml(text: string): Detected {
  const root = rootOf(text);
  if (root === null) {
    return { refusal: "it begins as XML does but no element follows" };
  }
  const format = Object.hasOwn(roots, root) ? roots[root] : undefined;
  if (format !== undefined) {
    return { format };
  }
  const kinds: Readonly<Record<string, string>> = {
    rss: "an RSS feed",
    feed: "an Atom feed",
    html: "a web page",
  };
  const kind = Object.hasOwn(kinds, root.toLowerCase()) ? kinds[root.toLowerCase()] : undefined;
  return {
    refusal: `it is ${kind ?? `XML whose root element is <${root}>`}, not PubMed, JATS or BioC`,
  };
}

function detectJson(text: string): Detected {
  const firstLine = text.slice(0, text.indexOf("\n") < 0 ? undefined : text.indexOf("\n")).trim();
  if (
    /"documents"\s*:/.test(text) &&
    /"(?:source|key|infons|date)"\s*:/.test(text.slice(0, 4096)) &&
    /"passages"\s*:/.test(text)
  ) {
    return { format: "bioc-json" };
  }
  if (firstLine.startsWith("{") && (firstLine.endsWith("}") || !text.includes("\n"))) {
    return { format: "jsonl" };
  }
  return { refusal: "it is JSON but neither BioC nor one object a line; write it as JSONL" };
}

/** Tells a format, or why there is none. `name` may end in .gz; the head is unpacked. */
export function detectFormat(name: string, head: Uint8Array): Detected {
  const plain = name.toLowerCase().replace(/\.gz$/, "");
  if (head.length === 0) {
    return { refusal: "it is empty" };
  }
  if (Buffer.from(head.subarray(0, 4)).toString("latin1") === "PAR1") {
    return { format: "parquet" };
  }
  if (head[0] === 0x50 && head[1] === 0x4b && head[2] === 3 && head[3] === 4) {
    return { refusal: "it is a zip archive (or an office document); unpack it" };
  }
  const text = textOf(head).replace(/^\uFEFF/, "");
  const start = text.trimStart();
  // A DTD begins as XML does.
  if (start.startsWith("<") && !plain.endsWith(".dtd")) {
    return detectXml(text);
  }
  if (start.startsWith("{")) {
    return detectJson(start);
  }
  if (start.startsWith("[") && plain.endsWith(".json")) {
    return { refusal: "it is a JSON array; write one object a line (JSONL)" };
  }
  if (/^(?:\d+\s*\r?\n\s*)?PMID- *\d+/.test(start)) {
    return { format: "medline" };
  }
  if (/^\S+\|[ta]\|/.test(start)) {
    return { format: "pubtator" };
  }
  if (text.includes("\0")) {
    return { refusal: "it is a binary file of no kind that is known here" };
  }
  const ending = /\.([a-z0-9]+)$/.exec(plain)?.[1] ?? "";
  const byEnding: Readonly<Record<string, ImportFormat>> = {
    csv: "csv",
    tsv: "tsv",
    txt: "text",
    text: "text",
    md: "text",
    jsonl: "jsonl",
  };
  const format = Object.hasOwn(byEnding, ending) ? byEnding[ending] : undefined;
  return format === undefined
    ? { refusal: "its content is of no format that is known here; name one with --format" }
    : { format };
}

export function refusedSource(name: string, refusal: string): AppError {
  return new AppError("CORPUS_RECORD_INVALID", `${name} is not imported: ${refusal}.`, {
    details: { file: name, isWrongKind: true },
  });
}

/** True for what refusedSource made: the file is not damaged but no corpus. */
export function isWrongKind(error: unknown): error is AppError {
  return error instanceof AppError && error.details?.["isWrongKind"] === true;
}
