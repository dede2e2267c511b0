#!/usr/bin/env node
import { once } from "node:events";
// Writes PubMed XML of any size, for measuring the importer: articles in the shape of the baseline files (the same nesting,
// authors, MeSH headings, references), with words drawn from a seeded generator, so that equal arguments give equal bytes.
// usage: node bench/make-pubmed-xml.mjs BYTES FILE.xml [SEED]
import { createWriteStream } from "node:fs";

const [bytesText, file, seedText = "1"] = process.argv.slice(2);
const wantedBytes = Number(bytesText);
if (!(wantedBytes > 0) || file === undefined) {
  console.error("usage: node bench/make-pubmed-xml.mjs BYTES FILE.xml [SEED]");
  process.exit(2);
}

let state = Number(seedText) >>> 0;
function draw(limit) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
}

const syllables = "ba cor den el fo gly hy in ka lo mi neu os pro qui ren sta tox ul ver xan zy".split(" ");
const words = Array.from({ length: 6000 }, () =>
  Array.from({ length: 1 + draw(4) }, () => syllables[draw(syllables.length)]).join(""),
);
const marked = [
  "<i>in vitro</i>",
  "10<sup>6</sup>",
  "CO<sub>2</sub>",
  "&lt;0.05",
  "5&#x3bc;g",
  "α-synuclein",
  "±",
  "R&amp;D",
];

function text(count) {
  const out = [];
  for (let at = 0; at < count; at += 1) {
    out.push(draw(40) === 0 ? marked[draw(marked.length)] : words[Math.floor((draw(6000) * draw(6000)) / 6000)]);
  }
  return `${out.join(" ")}.`;
}

function article(pmid) {
  const year = 1980 + draw(45);
  const sections = draw(3) === 0 ? ["BACKGROUND", "METHODS", "RESULTS", "CONCLUSIONS"] : [null];
  const abstract = sections
    .map(
      (label) =>
        `          <AbstractText${label === null ? "" : ` Label="${label}" NlmCategory="${label}"`}>${text(180 / sections.length + draw(60))}</AbstractText>`,
    )
    .join("\n");
  const authors = Array.from(
    { length: 1 + draw(7) },
    () => `          <Author ValidYN="Y">
            <LastName>${words[draw(6000)]}</LastName>
            <ForeName>${words[draw(6000)]}</ForeName>
            <Initials>A</Initials>
            <AffiliationInfo>
              <Affiliation>${text(12)}</Affiliation>
            </AffiliationInfo>
          </Author>`,
  ).join("\n");
  const headings = Array.from(
    { length: 4 + draw(10) },
    () => `        <MeshHeading>
          <DescriptorName UI="D${100000 + draw(30000)}" MajorTopicYN="N">${words[draw(900)]}</DescriptorName>
          <QualifierName UI="Q000${100 + draw(90)}" MajorTopicYN="Y">${words[draw(90)]}</QualifierName>
        </MeshHeading>`,
  ).join("\n");
  const references = Array.from(
    { length: draw(12) },
    () => `        <Reference>
          <Citation>${text(14)}</Citation>
          <ArticleIdList>
            <ArticleId IdType="pubmed">${draw(30000000)}</ArticleId>
          </ArticleIdList>
        </Reference>`,
  ).join("\n");
  return `  <PubmedArticle>
    <MedlineCitation Status="MEDLINE" Owner="NLM">
      <PMID Version="1">${pmid}</PMID>
      <DateRevised>
        <Year>${year + 1}</Year>
        <Month>12</Month>
        <Day>13</Day>
      </DateRevised>
      <Article PubModel="Print">
        <Journal>
          <ISSN IssnType="Electronic">1467-9280</ISSN>
          <JournalIssue CitedMedium="Internet">
            <Volume>23</Volume>
            <PubDate>
              <Year>${year}</Year>
              <Month>04</Month>
            </PubDate>
          </JournalIssue>
          <Title>Journal of ${words[draw(800)]}</Title>
        </Journal>
        <ArticleTitle>${text(12)}</ArticleTitle>
        <ELocationID EIdType="doi" ValidYN="Y">10.1000/${pmid}</ELocationID>
        <Abstract>
${abstract}
        </Abstract>
        <AuthorList CompleteYN="Y">
${authors}
        </AuthorList>
        <Language>eng</Language>
        <PublicationTypeList>
          <PublicationType UI="D016428">Journal Article</PublicationType>
        </PublicationTypeList>
      </Article>
      <MeshHeadingList>
${headings}
      </MeshHeadingList>
    </MedlineCitation>
    <PubmedData>
      <ArticleIdList>
        <ArticleId IdType="pubmed">${pmid}</ArticleId>
        <ArticleId IdType="doi">10.1000/${pmid}</ArticleId>
      </ArticleIdList>
      <ReferenceList>
${references}
      </ReferenceList>
    </PubmedData>
  </PubmedArticle>
`;
}

const out = createWriteStream(file);
let written = 0;
async function write(piece) {
  written += Buffer.byteLength(piece);
  if (!out.write(piece)) {
    await once(out, "drain");
  }
}
await write(`<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE PubmedArticleSet PUBLIC "-//NLM//DTD PubMedArticle, 1st January 2019//EN" "https://dtd.nlm.nih.gov/ncbi/pubmed/out/pubmed_190101.dtd">
<PubmedArticleSet>
`);
for (let pmid = 1; written < wantedBytes; pmid += 1) {
  await write(article(pmid));
}
await write("</PubmedArticleSet>\n");
out.end();
await once(out, "finish");
