// The scan against a naive one that compares strings, and what it reports of a match; statistics and the written split.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { scanContamination } from "./contamination.ts";
import { isHeldOut } from "./split.ts";
import { corpusStatistics, countWords } from "./statistics.ts";
import { writeSplit } from "./write-split.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-scan-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function writeLines(name: string, records: readonly object[]): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, records.map((record) => `${JSON.stringify(record)}\n`).join(""));
  return file;
}

let state = 7;
function draw(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * limit);
}

describe("a scan for contamination", () => {
  it("finds per item the runs that a comparison of strings finds", async () => {
    // Few words, so that runs of four meet by chance.
    const text = (words: number) => Array.from({ length: words }, () => `w${draw(6)}`).join(" ");
    const items = Array.from({ length: 30 }, (_, at) => ({ id: `q${at}`, text: text(2 + draw(12)) }));
    const documents = Array.from({ length: 40 }, (_, at) => ({ id: `d${at}`, text: text(10 + draw(40)) }));
    const report = await scanContamination({
      evaluation: [await writeLines("eval.jsonl", items)],
      corpus: [await writeLines("corpus.jsonl", documents)],
      textFields: ["text"],
      idField: null,
      runWords: 4,
      leastWords: 3,
    });
    const expected = items.flatMap(({ id, text: own }) => {
      const words = own.split(" ");
      const length = Math.min(4, words.length);
      if (words.length < 3) {
        return [];
      }
      const runs = Array.from(
        { length: words.length - length + 1 },
        (_, at) => ` ${words.slice(at, at + length).join(" ")} `,
      );
      const found = runs.filter((run) => documents.some((document) => ` ${document.text} `.includes(run))).length;
      const inDocuments = documents.filter((document) => runs.some((run) => ` ${document.text} `.includes(run))).length;
      return found === 0 ? [] : [{ item: id, runs: runs.length, found, documents: inDocuments }];
    });
    const byId = (a: { item: string }, b: { item: string }) => (a.item < b.item ? -1 : 1);
    const own = report.found.map(({ item, runs, found, documents: inDocuments }) => ({
      item,
      runs,
      found,
      documents: inDocuments,
    }));
    expect(own.toSorted(byId)).toEqual(expected.toSorted(byId));
    expect(report.tooShort).toBe(items.filter((item) => item.text.split(" ").length < 3).length);
    expect(report.items + report.tooShort).toBe(30);
  });

  it("shows the words that match, as the document has them, and where they stand in the item", async () => {
    const question =
      "A man of 60 is short of breath; his heart beats 120 times a minute and an X-ray shows a large heart.";
    const report = await scanContamination({
      evaluation: [
        await writeLines("eval.jsonl", [
          { qid: 5, question },
          { qid: 6, question: "Who wrote this text, and when was it that he did?" },
        ]),
      ],
      corpus: [
        await writeLines("corpus.jsonl", [
          { id: "clean", text: "Nothing of that kind is written here, however long one reads on and on and on." },
          {
            id: "dirty",
            text: `Case 4.\nHIS HEART beats 120 times a minute, and an "X-ray" shows\n a large heart. He died.`,
          },
        ]),
      ],
      textFields: ["question"],
      idField: "qid",
      runWords: 13,
      leastWords: 8,
    });
    expect(report).toMatchObject({ items: 2, anyOverlap: 1, halfOverlap: 0, mostOverlap: 0, documents: 2 });
    const [found] = report.found;
    const [match] = found?.matches ?? [];
    expect(match).toMatchObject({
      document: "dirty",
      words: 15,
      text: 'HIS HEART beats 120 times a minute, and an "X-ray" shows\n a large heart',
      documentBefore: "Case 4.\n",
      documentAfter: ". He died.",
    });
    expect(`${match?.before}${match?.itemText}${match?.after}`).toBe(question);
    expect(question.slice(match?.from, match?.to)).toBe(
      "his heart beats 120 times a minute and an X-ray shows a large heart",
    );
  });
});

describe("statistics", () => {
  it("count documents and words by what the documents say of themselves", async () => {
    const file = await writeLines("c.jsonl", [
      {
        id: "a",
        text: "Title of it\nMETHODS: we did this\nRESULTS: it worked well",
        year: 2001,
        journal: "J",
        language: "eng",
        mesh: ["Humans", "Male", "Humans"],
        sections: [
          { title: "METHODS", line: 1 },
          { title: "1. Results:", line: 2 },
        ],
      },
      { id: "b", text: "One two\u00A0three", year: 2001, language: "en", mesh: ["Humans"] },
    ]);
    const statistics = await corpusStatistics({ inputs: [file], tokenizer: null, detectLanguages: false });
    expect(statistics).toMatchObject({
      documents: 2,
      words: 14,
      tokens: null,
      wordsPerDocument: { least: 3, mean: 7, most: 11 },
    });
    expect(statistics.groups.year).toEqual([{ name: "2001", documents: 2, words: 14, tokens: null }]);
    expect(statistics.groups.language).toEqual([{ name: "en", documents: 2, words: 14, tokens: null }]);
    expect(statistics.groups.mesh.map(({ name, documents, words }) => [name, documents, words])).toEqual([
      ["Humans", 2, 14],
      ["Male", 1, 11],
    ]);
    expect(statistics.groups.section.map(({ name, documents, words }) => [name, documents, words])).toEqual([
      ["(none)", 2, 6],
      ["METHODS", 1, 4],
      ["RESULTS", 1, 4],
    ]);
    for (const text of ["", " a\tb\n", "x", "a\u2009b c"]) {
      expect(countWords(text)).toBe(text.match(/\S+/g)?.length ?? 0);
    }
  });
});

describe("a written split", () => {
  it("holds out the documents that the hash of their ids holds out, whole lines", async () => {
    const records = Array.from({ length: 200 }, (_, at) => ({
      id: `d${at}`,
      text: `text ${at}`,
      source: "s",
      year: at,
    }));
    const [train, heldOut] = [path.join(folder, "train.jsonl"), path.join(folder, "eval.jsonl")];
    const options = { inputs: [await writeLines("c.jsonl", records)], fraction: 0.2, train, heldOut, replace: false };
    const report = await writeSplit(options);
    const read = async (file: string) =>
      (await readFile(file, "utf8"))
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line) as unknown);
    expect(await read(heldOut)).toEqual(records.filter(({ id }) => isHeldOut(id, 0.2)));
    expect(await read(train)).toEqual(records.filter(({ id }) => !isHeldOut(id, 0.2)));
    expect(report.train.documents + report.heldOut.documents).toBe(200);
    await expect(writeSplit(options)).rejects.toMatchObject({ code: "BAD_ARGUMENT" });
  });
});
