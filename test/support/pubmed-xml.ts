// PubMed XML of so many small articles, for tests of the import.

function article(pmid: number, mark: string): string {
  return `<PubmedArticle><MedlineCitation><PMID Version="1">${pmid}</PMID><Article><Journal><Title>J</Title></Journal><ArticleTitle>Title ${pmid}${mark}</ArticleTitle><Abstract><AbstractText>${`Words of ${pmid}. `.repeat(30)}</AbstractText></Abstract></Article></MedlineCitation></PubmedArticle>`;
}

const HEAD = '<?xml version="1.0"?><PubmedArticleSet>\n';
const TAIL = "\n</PubmedArticleSet>";

/** Articles from a number on; `mark` stands in their titles. */
export function pubmedXml(from: number, articles: number, mark = ""): string {
  return HEAD + Array.from({ length: articles }, (_, at) => article(from + at, mark)).join("\n") + TAIL;
}

/** As many articles as make so many bytes, a thousand at a time. */
export function* pubmedXmlOfBytes(bytes: number): Generator<string> {
  yield HEAD;
  let pmid = 1;
  for (let written = 0; written < bytes; pmid += 1000) {
    const piece = Array.from({ length: 1000 }, (_, at) => article(pmid + at, "")).join("\n");
    written += piece.length;
    yield piece;
  }
  yield TAIL;
}
