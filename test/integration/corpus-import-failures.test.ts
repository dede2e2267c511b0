// What goes wrong around an import: too little disk, a second one at once, interrupts, files that change meanwhile, bombs.
// Each ends in one sentence, within its memory, and the same command goes on afterwards without loss.
import { createWriteStream, existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { createGzip, gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { assay, startAssay } from "../support/command-line.ts";
import { bundleWorkers } from "../support/corpus-workers.ts";
import { pubmedXml, pubmedXmlOfBytes } from "../support/pubmed-xml.ts";
import { temporaryFolder } from "../support/workspace.ts";

const MIB = 1024 * 1024;
const hasProc = existsSync("/proc/self/status");

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  await bundleWorkers();
  folder = await temporaryFolder("assay-import-failures-");
});
afterAll(() => folder[Symbol.asyncDispose]());

const at = (...parts: readonly string[]) => path.join(folder.path, ...parts);
let count = 0;
function newOutput(): string {
  count += 1;
  return at(`out-${count}.jsonl`);
}

async function lineCount(file: string): Promise<number> {
  return (await readFile(file, "utf8")).split("\n").length - 1;
}

/** A file of so many bytes of XML, written once. */
async function largeXml(name: string, bytes: number): Promise<string> {
  const file = at(name);
  if (!existsSync(file)) {
    const packing = name.endsWith(".gz") ? [createGzip({ level: 1 })] : [];
    await pipeline([Readable.from(pubmedXmlOfBytes(bytes)), ...packing, createWriteStream(file)]);
  }
  return file;
}

/** The command's outcome, and the most memory the kernel saw it have. */
async function importMeasured(...words: readonly string[]) {
  const { child, ended } = await startAssay(["corpus", "import", ...words]);
  let peakBytes = 0;
  const state = { hasEnded: false };
  const outcome = ended.finally(() => {
    state.hasEnded = true;
  });
  while (!state.hasEnded) {
    const status = await readFile(`/proc/${child.pid}/status`, "utf8").catch(() => "");
    peakBytes = Math.max(peakBytes, 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0));
    await Promise.race([sleep(20), outcome]);
  }
  return { ...(await outcome), peakBytes };
}

describe("an import's memory", () => {
  it.skipIf(!hasProc)("does not grow with the file: 400 MB of XML within 300 MB", async () => {
    const output = newOutput();
    const result = await importMeasured(await largeXml("large.xml.gz", 400e6), "--out", output);
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(await lineCount(output)).toBeGreaterThan(500_000);
    expect(result.peakBytes).toBeGreaterThan(20 * MIB);
    expect(result.peakBytes).toBeLessThan(300e6);
  });

  const bombs: readonly (readonly [name: string, head: string, unit: string, sentence: RegExp])[] = [
    ["zeros.gz", "", "\0", /^zeros\.gz is not imported: it is a binary file of no kind that is known here\.\n$/],
    ["line.jsonl.gz", '{"text":"', "a", /^line\.jsonl\.gz:1: this line has more than 64 MiB; split it\.\n$/],
    ["row.csv.gz", 'id,text\n1,"', "a", /^row\.csv\.gz:2: this row has more than 64 million characters; .+\.\n$/],
    ["tag.nbib.gz", "PMID- 1\nAB  - ", "a", /^tag\.nbib\.gz:2: this line has more than 64 MiB; split it\.\n$/],
    [
      "text.xml.gz",
      "<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>1</PMID><Article><ArticleTitle>",
      "a",
      /^text\.xml\.gz: line 1, column \d+: .+more than 64 MiB\); mend.+\.\n$/,
    ],
    [
      "nest.xml.gz",
      "<PubmedArticleSet>",
      "<a>",
      /^nest\.xml\.gz: line 1, column \d+: .+ nested more than 512 deep\); .+\.\n$/,
    ],
  ];
  it.skipIf(!hasProc).each(bombs)(
    "is bounded where a few bytes unpack to a gigabyte (%s)",
    async (name, head, unit, sentence) => {
      const file = at(name);
      const block = Buffer.from(unit.repeat(Math.floor(MIB / unit.length)));
      async function* pieces() {
        yield Buffer.from(head);
        for (let piece = 0; piece < 1024; piece += 1) {
          yield block;
        }
      }
      await pipeline(Readable.from(pieces()), createGzip({ level: 1 }), createWriteStream(file));
      const output = newOutput();
      const result = await importMeasured(file, "--out", output);
      expect(result.code).toBe(1);
      expect(result.stderr).toMatch(sentence);
      expect(result.peakBytes).toBeLessThan(400 * MIB);
      // Nothing was read, so nothing is left that would stand in the way of the next command.
      expect(existsSync(`${output}.importing`)).toBe(false);
    },
  );
});

describe("an import", () => {
  it("makes the folder of --out, and refuses what is no corpus without leaving anything", async () => {
    const things = at("things");
    await mkdir(things);
    await writeFile(path.join(things, "photo.jpg"), Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16, 0x4a, 0x46]));
    await writeFile(path.join(things, "sheet.xlsx"), Buffer.from("PK\u0003\u0004rest"));
    await writeFile(path.join(things, "page.html"), "<!doctype html><html><body>Words</body></html>");
    await mkdir(at("hollow"));
    await symlink(at("nowhere"), at("dangling"));
    const cases: readonly (readonly [input: string, code: number, sentence: RegExp])[] = [
      [things, 1, /^\S+ gave no document: page\.html is not imported: it is a web page, not PubMed, JATS or BioC\.\n$/],
      [at("hollow"), 1, /^\S+ holds no files; name what should be imported\.\n$/],
      [at("things", "*.xml"), 2, /^No file matches \S+; check the pattern\.\n$/],
      [at("thing"), 2, /^There is no \S+: did you mean \S+\/things\?\n$/],
      [at("dangling"), 2, /^\S+\/dangling is a link that leads nowhere; name the file itself\.\n$/],
    ];
    for (const [input, code, sentence] of cases) {
      const output = newOutput();
      const result = await assay(["corpus", "import", input, "--out", output]);
      expect(result.stderr).toMatch(sentence);
      expect(result.code).toBe(code);
      expect((await readdir(folder.path)).filter((name) => name.startsWith(path.basename(output)))).toEqual([]);
    }
    await writeFile(at("few.xml"), pubmedXml(1, 3));
    const deep = at("not", "there", "yet", "out.jsonl");
    expect(await assay(["corpus", "import", at("few.xml"), "--out", deep])).toMatchObject({ code: 0 });
    expect(await lineCount(deep)).toBe(3);
  });

  it("goes on with the other files' parts when a damaged one was fetched again", async () => {
    const input = at("mended");
    await mkdir(input);
    const packed = gzipSync(pubmedXml(100, 500));
    await writeFile(path.join(input, "1.xml"), pubmedXml(1, 50));
    await writeFile(path.join(input, "2.xml.gz"), packed.subarray(0, packed.length - 200));
    const output = newOutput();
    const first = await assay(["corpus", "import", input, "--out", output]);
    expect(first.stderr).toBe("Cannot unpack 2.xml.gz: it is damaged or cut short; fetch it again.\n");
    const part = path.join(`${output}.importing`, "000001.jsonl");
    const before = await readFile(part);
    await writeFile(path.join(input, "2.xml.gz"), packed);
    expect(await assay(["corpus", "import", input, "--out", output])).toMatchObject({ code: 0 });
    expect(await lineCount(output)).toBe(550);
    expect((await readFile(output)).subarray(0, before.length).equals(before)).toBe(true);
  });

  it("that left broken files out stops at them again where that is no longer asked for", async () => {
    const input = at("left-out");
    await mkdir(input);
    await writeFile(path.join(input, "1.xml"), pubmedXml(1, 5).replace("</PubmedArticleSet>", ""));
    await writeFile(path.join(input, "2.xml"), pubmedXml(10, 5).replace("</PubmedArticle>", ""));
    await writeFile(path.join(input, "3.xml"), pubmedXml(20, 5));
    const output = newOutput();
    const skipping = await startAssay(["corpus", "import", input, "--out", output, "--skip-broken"]);
    expect(await skipping.ended).toMatchObject({ code: 0 });
    expect(await lineCount(output)).toBe(5);
    const strict = await assay(["corpus", "import", input, "--out", newOutput()]);
    expect(strict).toMatchObject({ code: 1 });
  });

  it("may be asked for with other options where nothing was read yet", async () => {
    const file = at("fields.jsonl");
    await writeFile(file, '{"title": "A title.", "pmid": 1}\n');
    const output = newOutput();
    const wrong = await assay(["corpus", "import", file, "--out", output]);
    expect(wrong.stderr).toMatch(/its fields are title, pmid: choose with --text-field\.\n$/);
    const right = await assay(["corpus", "import", file, "--out", output, "--text-field", "title"]);
    expect(right, right.stderr).toMatchObject({ code: 0 });
  });

  it("is refused while another writes the same file, and an interrupted one goes on", async () => {
    const xml = pubmedXml(1, 5000);
    const file = at("held.xml");
    await writeFile(file, xml);
    let isHeld = true;
    // Half of the file, and then nothing: the import waits where it is for as long as the test needs it to.
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-length": Buffer.byteLength(xml) });
      if (isHeld) {
        response.write(xml.slice(0, xml.length / 2));
      } else {
        response.end(xml);
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const place = server.address();
    const address = `http://127.0.0.1:${typeof place === "object" && place !== null ? place.port : 0}/held.xml`;
    const output = newOutput();
    const words = ["corpus", "import", address, "--out", output];
    const part = path.join(`${output}.importing`, "000001.jsonl");
    try {
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        const first = await startAssay(words);
        while (!existsSync(`${output}.lock`) || ((await stat(part).catch(() => null))?.size ?? 0) < 600_000) {
          await sleep(5);
        }
        const second = await assay(words);
        expect(second.stderr).toMatch(/^The import into \S+ is held by process \d+; stop it first\.\n$/);
        first.child.kill(signal);
        const result = await first.ended;
        expect(result.stderr).toContain("The import was cancelled; the same command goes on where it stopped.\n");
        expect(result.code).toBe(1);
        expect(existsSync(output)).toBe(false);
        expect(existsSync(`${output}.lock`)).toBe(false);
        expect(await lineCount(part)).toBeGreaterThan(1000);
      }
      isHeld = false;
      expect(await assay(words)).toMatchObject({ code: 0 });
    } finally {
      server.close();
      server.closeAllConnections();
    }
    const whole = newOutput();
    expect(await assay(["corpus", "import", file, "--out", whole])).toMatchObject({ code: 0 });
    expect((await readFile(output)).equals(await readFile(whole))).toBe(true);
  });

  it.skipIf(process.platform === "win32")(
    "ends with a sentence where it may write no more, and goes on when it may",
    async () => {
      const input = await largeXml("middle.xml", 60e6);
      const output = newOutput();
      const limited = async (limit: string) =>
        (await startAssay(["corpus", "import", input, "--out", output], {}, limit)).ended;
      // In blocks of 512 or 1024 bytes, by the shell: far less than the output either way.
      const full = await limited("ulimit -f 10000");
      expect(full.stderr).toMatch(/Cannot write \S+: the system allows no larger file there \(EFBIG\); .+\.\n$/);
      expect(full.code).toBe(1);
      expect(existsSync(output)).toBe(false);
      const resumed = await limited(":");
      expect(resumed, resumed.stderr).toMatchObject({ code: 0 });
      expect(await lineCount(output)).toBeGreaterThan(70_000);
    },
  );
});
