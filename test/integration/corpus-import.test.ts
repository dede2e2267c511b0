// Imports as a person runs them: texts equal a reference parse with Python's ElementTree, wrong files are refused with a
// sentence, a death with SIGKILL at any moment loses and doubles nothing, and threads change nothing.
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readDocuments } from "#core/corpus/documents";
import { importCorpus } from "#core/corpus/import/import";
import { readParquet } from "#core/corpus/import/parquet";
import { programRoot } from "#core/paths";
import { assay, startAssay } from "../support/command-line.ts";
import { referenceDocuments } from "../support/corpus-reference.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { pubmedXml } from "../support/pubmed-xml.ts";
import { temporaryFolder } from "../support/workspace.ts";

const fixtures = path.join(programRoot(), "test", "fixtures", "corpus");

type Line = { readonly id: string; readonly text: string; readonly [field: string]: unknown };

async function readLines(file: string): Promise<readonly Line[]> {
  const text = await readFile(file, "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Line);
}

const plain = {
  format: null,
  textFields: ["text"],
  idField: null,
  textUnit: "file",
  workers: 1,
  skipBroken: false,
  restart: false,
} as const;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  await bundleWorkers();
  folder = await temporaryFolder("assay-import-");
});
afterAll(() => folder[Symbol.asyncDispose]());

let count = 0;
function newOutput(): string {
  count += 1;
  return path.join(folder.path, `out-${count}.jsonl`);
}

async function imported(...inputs: readonly string[]): Promise<readonly Line[]> {
  const output = newOutput();
  await importCorpus({ ...plain, inputs, output });
  return readLines(output);
}

describe("imported texts", () => {
  const own: readonly (readonly [string, string])[] = [
    ["pubmed", "citations.xml"],
    ["jats", "article.nxml"],
  ];
  it.each(own)("equal the reference's for %s, file %s", async (format, name) => {
    const file = path.join(fixtures, name);
    const lines = await imported(file);
    const [expected] = await referenceDocuments(format, [file]);
    expect(lines.map(({ id, text }) => [id, text])).toEqual(expected);
    expect(lines.length).toBeGreaterThan(0);
  });

  it("are a corpus that training reads", async () => {
    const output = newOutput();
    await importCorpus({ ...plain, inputs: [path.join(fixtures, "*.{nxml,xml}")], output });
    const ids: string[] = [];
    for await (const document of readDocuments(output)) {
      ids.push(document.id);
    }
    expect(ids).toEqual(["pmc:PMC55", "pmid:1001", "pmid:1002", "pmid:1003", "pmid:1006"]);
  });
});

describe("an import of several files", () => {
  it("keeps the newest record of a publication, and what a later file takes back is gone", async () => {
    const input = path.join(folder.path, "updates");
    await mkdir(input);
    await writeFile(path.join(input, "1.xml"), pubmedXml(1, 4));
    await writeFile(path.join(input, "2.xml.gz"), gzipSync(pubmedXml(2, 2, " again")));
    await writeFile(
      path.join(input, "3.xml"),
      "<PubmedArticleSet><DeleteCitation><PMID>3</PMID><PMID>4</PMID></DeleteCitation></PubmedArticleSet>",
    );
    await writeFile(path.join(input, "4.xml"), pubmedXml(4, 1, " restored"));
    const output = newOutput();
    const report = await importCorpus({ ...plain, inputs: [input], output });
    const titles = (await readLines(output)).map((line) => `${line.id} ${String(line["title"])}`);
    expect(titles).toEqual(["pmid:1 Title 1", "pmid:2 Title 2 again", "pmid:4 Title 4 restored"]);
    expect(report.rules.map(({ rule, action, documents }) => [rule, action, documents])).toEqual([
      ["superseded", "dropped", 2],
      ["deleted", "dropped", 2],
    ]);
    const ledger = await readLines(report.ledger);
    expect(ledger.map(({ rule, id, source }) => [rule, id, source])).toEqual([
      ["superseded", "pmid:2", "1.xml"],
      ["superseded", "pmid:3", "1.xml"],
      ["deleted", "pmid:4", "1.xml"],
      ["deleted", "pmid:3", "2.xml.gz"],
    ]);
    expect(report.rules[0]?.samples[0]?.excerpt).toMatch(/^Title 2\nWords of 2\./);
  });

  it("gives the same bytes whatever the number of threads", async () => {
    const input = path.join(folder.path, "threads");
    await mkdir(input);
    for (let file = 0; file < 6; file += 1) {
      await writeFile(path.join(input, `${file}.xml`), pubmedXml(file * 50, 60));
    }
    const outputs: string[] = [];
    for (const workers of ["1", "3"]) {
      const out = newOutput();
      const ended = await assay(["corpus", "import", input, "--out", out, "--workers", workers], {
        ASSAY_WORKERS: process.env["ASSAY_WORKERS"] ?? "",
      });
      expect(ended).toMatchObject({ code: 0 });
      outputs.push(await readFile(out, "utf8"));
    }
    expect(outputs[1]).toBe(outputs[0]);
    expect(outputs[0]?.split("\n")).toHaveLength(311);
  });

  it("stops at broken XML with its place, and leaves it out where that is asked for", async () => {
    const input = path.join(folder.path, "broken");
    await mkdir(input);
    await writeFile(path.join(input, "good.xml"), pubmedXml(1, 2));
    await writeFile(
      path.join(input, "torn.xml"),
      pubmedXml(10, 3).replace("Title 12</ArticleTitle>", "Title 12</ArticleTytle>"),
    );
    const output = newOutput();
    await expect(importCorpus({ ...plain, inputs: [input], output })).rejects.toMatchObject({
      code: "CORPUS_RECORD_INVALID",
      message: expect.stringMatching(/^torn\.xml: line 4, column \d+: this is not well-formed XML \(.+\); mend/),
    });
    expect(existsSync(output)).toBe(false);
    const report = await importCorpus({ ...plain, inputs: [input], output, skipBroken: true, restart: true });
    expect((await readLines(output)).map((line) => line.id)).toEqual(["pmid:1", "pmid:2"]);
    expect(report.refused).toHaveLength(1);
    expect(report.rules).toMatchObject([{ rule: "source-refused", documents: 1 }]);
  });
});

describe("Parquet", () => {
  const table = path.join(fixtures, "table.parquet");

  it("is read in row groups, its text from the columns one names", async () => {
    const output = newOutput();
    await importCorpus({ ...plain, inputs: [table], output, textFields: ["title", "abstract"] });
    expect(await readLines(output)).toEqual([
      { id: "11", text: "Eins\nOne α.", source: "table.parquet", pmid: 11, score: 0.5 },
      { id: "12", text: "Zwei", source: "table.parquet", pmid: 12, score: 1.5 },
      { id: "13", text: "Drei\nThree.", source: "table.parquet", pmid: 13, score: 2.5 },
    ]);
  });

  it("that is cut or lies about itself is refused with a sentence, and never holds the import up", async () => {
    const good = await readFile(table);
    const damaged = path.join(folder.path, "damaged.parquet");
    let refused = 0;
    for (let at = 40; at < good.length; at += 20) {
      const bytes = Buffer.from(good);
      bytes.fill(0xff, at, at + 3);
      await writeFile(damaged, bytes);
      try {
        for await (const events of readParquet(
          { file: damaged, name: "damaged.parquet", choice: { textFields: ["title"], idField: null } },
          () => undefined,
          1000,
        )) {
          expect(events.length).toBeLessThan(10);
        }
      } catch (error) {
        expect(error).toMatchObject({
          code: "CORPUS_RECORD_INVALID",
          message: expect.stringMatching(/^damaged\.parquet: /),
        });
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(10);
    await writeFile(damaged, good.subarray(0, 500));
    await expect(imported(damaged)).rejects.toMatchObject({ code: "CORPUS_RECORD_INVALID" });
  });
});

describe("an import from a server", () => {
  it("reads http addresses, unpacks them, and says what a server answers", async () => {
    const packed = gzipSync(pubmedXml(1, 3));
    const server = createServer((request, response) => {
      if (request.url === "/set.xml.gz") {
        response.writeHead(200, { "content-length": packed.length }).end(packed);
      } else if (request.url === "/cut.xml.gz") {
        response.writeHead(200, { "content-length": packed.length });
        response.write(packed.subarray(0, 100));
        setTimeout(() => response.destroy(), 20);
      } else {
        response.writeHead(404).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const lines = await imported(`http://127.0.0.1:${port}/set.xml.gz`);
      expect(lines.map((line) => [line.id, line["source"]])).toEqual(
        [1, 2, 3].map((pmid) => [`pmid:${pmid}`, "set.xml.gz"]),
      );
      await expect(imported(`http://127.0.0.1:${port}/none.xml`)).rejects.toMatchObject({ code: "FETCH_NOT_FOUND" });
      await expect(imported(`http://127.0.0.1:${port}/cut.xml.gz`)).rejects.toMatchObject({ code: "FETCH_FAILED" });
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
});

describe("an import killed with SIGKILL", () => {
  it("ends, given again, as one that was never interrupted", async () => {
    const input = path.join(folder.path, "killed");
    await mkdir(input);
    for (let file = 0; file < 12; file += 1) {
      // Later files replace and repeat records of earlier ones.
      const xml = pubmedXml(file * 1500, 2000, ` ${file}`);
      await writeFile(
        path.join(input, `${String(file).padStart(2, "0")}.xml${file % 3 === 0 ? ".gz" : ""}`),
        file % 3 === 0 ? gzipSync(xml) : xml,
      );
    }
    const whole = newOutput();
    const begin = performance.now();
    expect(await assay(["corpus", "import", input, "--out", whole])).toMatchObject({ code: 0 });
    const wholeMs = performance.now() - begin;
    const output = newOutput();
    let deaths = 0;
    for (let attempt = 0; deaths < 5 && attempt < 40; attempt += 1) {
      const { child, ended } = await startAssay(["corpus", "import", input, "--out", output]);
      await sleep(wholeMs * (0.25 + ((attempt * 37) % 60) / 100));
      child.kill("SIGKILL");
      await ended;
      if (child.signalCode === "SIGKILL") {
        deaths += 1;
      }
      if (existsSync(output)) {
        break;
      }
    }
    expect(deaths).toBeGreaterThan(0);
    expect(await assay(["corpus", "import", input, "--out", output])).toMatchObject({ code: 0 });
    expect((await readFile(output)).equals(await readFile(whole))).toBe(true);
    const ledgers = [output, whole].map((file) => readFile(file.replace(".jsonl", ".ledger.jsonl"), "utf8"));
    const [resumed, uninterrupted] = await Promise.all(ledgers);
    expect(resumed).toBe(uninterrupted);
    expect(existsSync(`${output}.importing`)).toBe(false);
    // And once more changes nothing.
    const again = await assay(["corpus", "import", input, "--out", output]);
    expect(again.stdout).toContain("was there already");
  });
});
