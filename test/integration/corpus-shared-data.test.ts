// Every file of the real data that an import is for, in every folder of it: its texts equal those of a reference parse in
// Python, or it is refused with one sentence that says what it is.
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { programRoot } from "#core/paths";
import { assay } from "../support/command-line.ts";
import { referenceDocuments, referenceSamples } from "../support/corpus-reference.ts";
import { temporaryFolder } from "../support/workspace.ts";

const data = path.resolve(programRoot(), process.env["ASSAY_TEST_DATA"] ?? path.join("..", "shared", "data"));
const withoutData = existsSync(data) ? "" : ` (${data} is absent: set ASSAY_TEST_DATA)`;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder("assay-shared-data-");
});
afterAll(() => folder[Symbol.asyncDispose]());

type Line = { readonly id: string; readonly text: string; readonly source: string };
type Outcome = { readonly lines: readonly Line[]; readonly refusal: string };
let count = 0;

/** One command; what it wrote, or the sentence with which it refused. */
async function imported(...words: readonly string[]): Promise<Outcome> {
  count += 1;
  const output = path.join(folder.path, `out-${count}.jsonl`);
  const { code, stderr } = await assay(["corpus", "import", ...words, "--out", output]);
  if (code !== 0) {
    expect(code).toBe(1);
    expect(existsSync(output)).toBe(false);
    expect(stderr).toMatch(/^[^\n]+\.\n$/);
    return { lines: [], refusal: stderr.trim() };
  }
  const text = await readFile(output, "utf8");
  // as: one object a line, as the format says.
  return {
    lines: text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Line),
    refusal: "",
  };
}

const pairs = ({ lines }: Outcome) => lines.map(({ id, text }) => [id, text]);

type Folder = {
  readonly name: string;
  readonly format: (file: string) => string;
  readonly imported: number;
  /** File: what its sentence says. */
  readonly refused: Readonly<Record<string, RegExp>>;
};
const folders: readonly Folder[] = [
  {
    name: "pubmed_xml",
    format: () => "pubmed",
    imported: 9,
    refused: {
      "no_pubmedarticleset.xml":
        /^no_pubmedarticleset\.xml is not imported: it is an RSS feed, not PubMed, JATS or BioC\.$/,
      "duplicate.xml": /^duplicate\.xml is not imported: it holds no documents\.$/,
      "no_title_abstract.xml": /^\S+ gave no document: all its records were left out \(no-text: 1\)\.$/,
    },
  },
  { name: "pmc_nxml", format: () => "jats", imported: 49, refused: {} },
  { name: "medline", format: () => "medline", imported: 2, refused: {} },
  { name: "pubtator", format: () => "pubtator", imported: 3, refused: {} },
  {
    name: "bioc",
    format: (file) => (file.endsWith(".json") ? "bioc-json" : "bioc-xml"),
    imported: 3,
    refused: { "BioC.dtd": /^BioC\.dtd is not imported: / },
  },
  { name: "pubmed", format: () => "jsonl", imported: 4, refused: {} },
];

describe.skipIf(withoutData !== "")(`the shared data${withoutData}`, () => {
  it.each(folders)("$name: every text is the reference's, every other file is refused for what it is", async (own) => {
    const refused: Record<string, string> = {};
    const known: (readonly [file: string, Outcome])[] = [];
    // One command for the folder is faster than one a file; what it leaves out it says, and is then asked for by itself.
    const whole = await imported(path.join(data, own.name), "--workers", "2");
    const names = await readdir(path.join(data, own.name));
    for (const name of names) {
      const lines = whole.lines.filter((line) => line.source === name);
      if (lines.length > 0 && names.length > 20) {
        known.push([name, { lines, refusal: "" }]);
        continue;
      }
      const outcome = await imported(path.join(data, own.name, name));
      if (outcome.refusal === "") {
        known.push([name, outcome]);
      } else {
        refused[name] = outcome.refusal;
      }
    }
    expect(Object.keys(refused).toSorted()).toEqual(Object.keys(own.refused).toSorted());
    for (const [name, sentence] of Object.entries(own.refused)) {
      expect(refused[name]).toMatch(sentence);
    }
    expect(known).toHaveLength(own.imported);
    expect(whole.lines.length).toBeGreaterThan(0);
    for (const format of new Set(known.map(([name]) => own.format(name)))) {
      const files = known.filter(([name]) => own.format(name) === format);
      const expected = await referenceDocuments(
        format,
        files.map(([name]) => path.join(data, own.name, name)),
      );
      for (const [at, [name, outcome]] of files.entries()) {
        expect(expected[at]?.length, name).toBeGreaterThan(0);
        expect(pairs(outcome), name).toEqual(expected[at]);
      }
    }
  });

  const sets: readonly (readonly [folder: string, column: string, id: string, samples: number])[] = [
    ["naive", "dept", "id", 5],
    ["naive/25", "dept", "id", 2],
    ["naive/26", "dept", "id", 3],
    ["join/color", "color", "_id", 100],
    ["join/pet", "pet", "_id", 100],
  ];
  it.each(sets)(
    "mds/%s: the column %s is the text, as a reader in Python finds it",
    async (name, column, id, samples) => {
      const place = path.join(data, "mds", name);
      const outcome = await imported(place, "--text-field", column, "--id-field", id);
      const expected = (await referenceSamples(place)).map((sample) => [String(sample[id]), sample[column]]);
      expect(expected).toHaveLength(samples);
      // A second document with an id is told from the first by where it stands.
      expect(outcome.lines.map((line) => [line.id.replace(/@.*/, ""), line.text])).toEqual(expected);
    },
  );

  const refusals: readonly (readonly [folder: string, sentence: RegExp])[] = [
    [
      "naive",
      /: it has no column text of the encoding str; its columns are dept \(str\), id \(str\); .*--text-field\.$/,
    ],
    ["naive/27", /^\S+ holds no files; name what should be imported\.$/],
    ["join/y", /: it has no column text of the encoding str; its columns are _id \(int32\), y \(int64\); .*\.$/],
  ];
  it.each(refusals)("mds/%s is refused where it has no text of the name", async (name, sentence) => {
    expect((await imported(path.join(data, "mds", name))).refusal).toMatch(sentence);
  });
});

describe.skipIf(withoutData !== "")(`the default rules of cleaning${withoutData}`, () => {
  it("leave out hardly any of the real abstracts: they are for what is no prose", async () => {
    const out = path.join(folder.path, "cleaned.jsonl");
    const inputs = [
      "pubmed/train_small.jsonl",
      "pubmed/valid.jsonl",
      "pubmed/test.jsonl",
      "pubmed_xml/CPFE.xml",
      "pubtator",
    ];
    const result = await assay([
      "corpus",
      "clean",
      ...inputs.map((name) => path.join(data, name)),
      "--language",
      "en",
      "--out",
      out,
      "--json",
    ]);
    expect(result, result.stderr).toMatchObject({ code: 0 });
    // as: the command's report.
    const report = JSON.parse(result.stdout) as {
      readonly documentsRead: number;
      readonly rules: readonly { readonly rule: string; readonly action: string; readonly documents: number }[];
    };
    expect(report.documentsRead).toBeGreaterThan(3800);
    const dropped = new Map(
      report.rules.filter((each) => each.action === "dropped").map((each) => [each.rule, each.documents]),
    );
    // Titles without an abstract are shorter than twenty words, and real abstracts are published twice now and then.
    const judged = [...dropped].filter(([rule]) => !["too-short", "duplicate", "near-duplicate"].includes(rule));
    expect(judged).toEqual([]);
  });
});
