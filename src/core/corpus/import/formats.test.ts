// Every reader, fed whole, byte by byte and in odd pieces: the records are the same, and bad input ends in a sentence that
// names the place.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AppError } from "#shared/errors";
import { programRoot } from "../../paths.ts";
import { detectFormat } from "./detect.ts";
import { type NamedEvent, readSource } from "./read-source.ts";
import type { ImportFormat } from "./record.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-formats-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type Choice = {
  readonly format?: ImportFormat;
  readonly textFields?: readonly string[];
  readonly idField?: string;
  readonly textUnit?: "file" | "paragraph";
};

let count = 0;
async function read(name: string, content: string | Uint8Array, choice: Choice = {}): Promise<NamedEvent[]> {
  count += 1;
  const location = path.join(folder, `${count}-${name}`);
  await writeFile(location, content);
  const events: NamedEvent[] = [];
  const options = {
    format: choice.format ?? null,
    textFields: choice.textFields ?? ["text"],
    idField: choice.idField ?? null,
    textUnit: choice.textUnit ?? "file",
  } as const;
  for await (const batch of readSource({ location, name, sizeBytes: null, modifiedMs: null }, options)) {
    events.push(...batch);
  }
  return events;
}

function texts(events: readonly NamedEvent[]): readonly (readonly [string, string])[] {
  return events.map((event) => [event.id, event.kind === "document" ? event.text : event.kind]);
}

/** A tar archive of these files, written by hand. */
function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const blocks: Buffer[] = [];
  for (const [name, content] of Object.entries(files)) {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write("0000644\0", 100);
    header.write(`${Buffer.byteLength(content).toString(8).padStart(11, "0")}\0`, 124);
    header.write("        0", 148);
    header.write("ustar\x0000", 257);
    const sum = header.reduce((all, byte) => all + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    const body = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
    body.write(content);
    blocks.push(header, body);
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const medline = `
PMID- 5
TI  - A title that
      goes on.
AB  - An abstract.
MH  - *Bottles/history
MH  - Glass
DP  - 1999 Jan
LA  - eng

PMID- 6
TI  -
`;

const bioc = `<?xml version="1.0"?><collection><source>s</source><document><id>d1</id><infon key="k">v</infon>
<passage><infon key="type">title</infon><offset>0</offset><text>Head</text><annotation id="1"><text>no</text></annotation></passage>
<passage><offset>5</offset><sentence><text>One.</text></sentence><sentence><text>Two.</text></sentence></passage></document></collection>`;

describe("a format", () => {
  it("is told from the content", () => {
    const of = (name: string, text: string) => detectFormat(name, Buffer.from(text));
    expect(of("x", "<?xml version='1.0'?>\n<!DOCTYPE PubmedArticleSet [<!ENTITY a 'b'>]><PubmedArticleSet>")).toEqual({
      format: "pubmed",
    });
    expect(of("x", "\uFEFF <pmc-articleset>")).toEqual({ format: "jats" });
    expect(of("x", '{\n "source": "a", "documents": [{"passages": []}]}')).toEqual({ format: "bioc-json" });
    expect(of("x", '{"text": "a"}\n{"text": "b"}')).toEqual({ format: "jsonl" });
    expect(of("x", "\nPMID- 1\n")).toEqual({ format: "medline" });
    expect(of("x", "1|t|A\n1|a|B\n")).toEqual({ format: "pubtator" });
    expect(of("a.TSV.gz", "text\tid\n")).toEqual({ format: "tsv" });
    expect(of("a.html", "<html><body>")).toEqual({ refusal: "it is a web page, not PubMed, JATS or BioC" });
    expect(of("a.json", "[1]")).toHaveProperty("refusal");
    expect(of("a.zip", "PK\u0003\u0004")).toHaveProperty(
      "refusal",
      "it is a zip archive (or an office document); unpack it",
    );
    expect(of("a", "")).toEqual({ refusal: "it is empty" });
  });
});

describe("a reader", () => {
  it("reads MEDLINE's tags and lines that go on", async () => {
    const events = await read("m.txt", medline);
    expect(texts(events)).toEqual([
      ["pmid:5", "A title that goes on.\nAn abstract."],
      ["pmid:6", "dropped"],
    ]);
    expect(events[0]).toMatchObject({ metadata: { year: 1999, mesh: ["Bottles", "Glass"], mesh_major: ["Bottles"] } });
  });

  it("reads BioC's passages, and sentences where a passage has no text of its own", async () => {
    const events = await read("b.xml", bioc);
    expect(texts(events)).toEqual([["bioc:d1", "Head\nOne. Two."]]);
    const json = { source: "PubMed", documents: [{ id: "7", passages: [{ infons: { year: 2001 }, text: "Head" }] }] };
    const fromJson = await read("b.json", JSON.stringify(json));
    expect(fromJson).toMatchObject([{ id: "pmid:7", text: "Head", metadata: { year: 2001 } }]);
  });

  it("keeps PubTator's texts so that offsets stay true", async () => {
    const [event] = await read("p.txt", "9|t|A  title\n9|a|Has  two blanks.\n9\t0\t1\tA\tX\tMESH:1\n\n");
    expect(event).toMatchObject({ id: "pmid:9", text: "A  title\nHas  two blanks.", metadata: { annotations: 1 } });
  });

  it("takes text and id of JSONL from the fields one names, and keeps the others", async () => {
    const lines =
      '{"meta":{"title":"T","abstract":"A"},"key":5,"year":1990}\n\n{"meta":{"title":"","abstract":"B \\ud83d"},"key":6}\n';
    const events = await read("j.jsonl", lines, { textFields: ["meta.title", "meta.abstract"], idField: "key" });
    expect(texts(events)).toEqual([
      ["5", "T\nA"],
      ["6", "dropped"],
    ]);
    expect(events[0]).toMatchObject({ metadata: { year: 1990 } });
    await expect(read("j.jsonl", '{"body":"x"}')).rejects.toMatchObject({
      message:
        'j.jsonl:1: the field "text" should hold the document\'s text and is not there; its fields are body: choose with --text-field.',
    });
  });

  it("reads quotes, line ends and separators inside the fields of CSV", async () => {
    const csv = 'id,text,note\r\na,"one, ""two""\nthree",x\r\nb,plain "quoted",\r\nc,"",y\n';
    expect(texts(await read("c.csv", csv))).toEqual([
      ["a", 'one, "two"\nthree'],
      ["b", 'plain "quoted"'],
      ["c", "dropped"],
    ]);
    await expect(read("c.csv", "id,text\n1,2,3\n")).rejects.toMatchObject({
      message: "c.csv:2: this row has 3 fields and the header 2.",
    });
    await expect(read("c.csv", 'id,text\n1,"open\n')).rejects.toMatchObject({
      message: /^c\.csv:2: a quote is opened/,
    });
  });

  it("makes a document of a text file, or of each of its paragraphs", async () => {
    const text = "One\nline.\n\n \nTwo.\r\n";
    expect(texts(await read("a.txt", text))).toEqual([["a.txt#1", "One\nline.\n\n \nTwo."]]);
    expect(texts(await read("a.txt", text, { textUnit: "paragraph" }))).toEqual([
      ["a.txt#1", "One\nline."],
      ["a.txt#2", "Two."],
    ]);
  });

  it("reads the articles of an archive and notes what else is in it", async () => {
    const article = await readFile(path.join(programRoot(), "test", "fixtures", "corpus", "article.nxml"), "utf8");
    const archive = tarOf({ "PMC55/a.nxml": article, "PMC55/figure.jpg": "\0JPEG", "notes.txt": "Some notes." });
    const events = await read("pmc.tar.gz", gzipSync(archive));
    expect(events.map((event) => [event.kind, event.id])).toEqual([
      ["document", "pmc:PMC55"],
      ["dropped", "pmc.tar.gz/PMC55/figure.jpg"],
      ["document", "pmc.tar.gz/notes.txt#1"],
    ]);
    await expect(read("cut.tar", archive.subarray(0, 1500))).rejects.toMatchObject({
      message: expect.stringContaining("cut short"),
    });
    archive[0] = 1;
    await expect(read("bad.tar", archive)).rejects.toMatchObject({ message: expect.stringContaining("wrong sum") });
  });

  it("reads other encodings that XML declares", async () => {
    const xml =
      '<?xml version="1.0" encoding="iso-8859-1"?><collection><document><id>1</id><passage><text>na\u00efve</text></passage></document></collection>';
    expect(texts(await read("l.xml", Buffer.from(xml, "latin1")))).toEqual([["bioc:1", "naïve"]]);
    const wide = Buffer.from(`\uFEFF${xml.replace("iso-8859-1", "utf-16")}`, "utf16le");
    expect(texts(await read("w.xml", wide))).toEqual([["bioc:1", "naïve"]]);
  });
});

describe("hostile input", () => {
  const wrap = (doctype: string, inner: string) =>
    `<?xml version="1.0"?>${doctype}<collection><document><id>1</id><passage><text>${inner}</text></passage></document></collection>`;

  it("cannot multiply entities", async () => {
    const bomb =
      '<!DOCTYPE collection [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>';
    await expect(read("bomb.xml", wrap(bomb, "&c;"))).rejects.toMatchObject({
      code: "CORPUS_RECORD_INVALID",
      message: expect.stringMatching(/^bomb\.xml: line 1, column \d+: this is not well-formed XML \(undefined entity/),
    });
    const file = '<!DOCTYPE collection [<!ENTITY f SYSTEM "file:///etc/passwd">]>';
    await expect(read("file.xml", wrap(file, "&f;"))).rejects.toMatchObject({ code: "CORPUS_RECORD_INVALID" });
  });

  it("cannot nest without end", async () => {
    await expect(read("deep.xml", wrap("", "<b>".repeat(100_000)))).rejects.toMatchObject({
      message: expect.stringContaining("nested more than 512 deep"),
    });
  });

  it("is named by its place where it is cut, or not UTF-8", async () => {
    await expect(read("cut.xml", bioc.slice(0, 300))).rejects.toMatchObject({
      message: /^cut\.xml: line 2, column \d+: /,
    });
    await expect(
      read("bytes.xml", Buffer.concat([Buffer.from(bioc.slice(0, 100)), Buffer.from([0xff, 0xfe])])),
    ).rejects.toMatchObject({ code: "CORPUS_NOT_UTF8" });
    await expect(
      read("bytes.jsonl", Buffer.from([0x7b, 0x7d, 0x0a, 0x7b, 0xc3]), { format: "jsonl" }),
    ).rejects.toMatchObject({ code: expect.stringMatching(/^CORPUS_/) });
    await expect(read("cut.xml.gz", gzipSync(bioc).subarray(0, 80))).rejects.toMatchObject({
      code: "FILE_NOT_READABLE",
    });
  });

  it("never ends in anything but records or a sentence, wherever it is damaged", async () => {
    const fixture = (name: string) => readFile(path.join(programRoot(), "test", "fixtures", "corpus", name));
    const good: Readonly<Record<string, Uint8Array>> = {
      "a.xml": await fixture("citations.xml"),
      "a.nxml": await fixture("article.nxml"),
      "b.xml": Buffer.from(bioc),
      "m.txt": Buffer.from(medline),
      "c.csv": Buffer.from('id,text\n1,"a ""b"""\n2,c\n'),
      "a.tar": tarOf({ "x.txt": "Text.", "y.jsonl": '{"text":"a"}' }),
      "a.gz": gzipSync(bioc),
    };
    let state = 20_261_121;
    const draw = (limit: number) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * limit);
    };
    for (const [name, bytes] of Object.entries(good)) {
      for (let round = 0; round < 60; round += 1) {
        const damaged = Buffer.from(bytes);
        for (let hits = 1 + draw(4); hits > 0; hits -= 1) {
          damaged[draw(damaged.length)] = draw(256);
        }
        const cut = draw(3) === 0 ? damaged.subarray(0, draw(damaged.length)) : damaged;
        const outcome = await read(name, cut).catch((error: unknown) => error);
        if (!Array.isArray(outcome)) {
          expect(outcome, `${name}, round ${round}`).toBeInstanceOf(AppError);
        }
      }
    }
  });
});
