import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CorpusSource } from "#shared/domain/recipe";
import { inBatches } from "./batches.ts";
import { type CorpusNotes, type CorpusProgress, describeNotes, readDocuments } from "./documents.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "assay-corpus-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function write(name: string, content: string | Uint8Array): Promise<string> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, content);
  return file;
}

async function readAll(source: CorpusSource, options: Parameters<typeof readDocuments>[1] = {}) {
  const all = [];
  for await (const document of readDocuments(source, options)) {
    all.push(document);
  }
  return all;
}

const lines = (...records: readonly unknown[]) => records.map((record) => `${JSON.stringify(record)}\n`).join("");

describe("readDocuments", () => {
  it("reads a .jsonl line by line, with the id from id, pmid, or the place", async () => {
    const file = await write(
      "a.jsonl",
      lines({ id: "x", text: "one" }, { pmid: 123, text: "two" }, { text: "three é" }),
    );
    expect(await readAll(file)).toEqual([
      { id: "x", text: "one", file, line: 1 },
      { id: "123", text: "two", file, line: 2 },
      { id: "a.jsonl:3", text: "three é", file, line: 3 },
    ]);
  });

  it("reads a .jsonl.gz of several members, whatever the chunks", async () => {
    const records = Array.from({ length: 5000 }, (_, index) => ({
      id: String(index),
      text: `ä${"x".repeat(index % 300)}`,
    }));
    const half = Buffer.from(lines(...records.slice(0, 2500)));
    const packed = Buffer.concat([gzipSync(half), gzipSync(Buffer.from(lines(...records.slice(2500))))]);
    const documents = await readAll(await write("a.jsonl.gz", packed));
    expect(documents.map(({ id, text }) => ({ id, text }))).toEqual(records);
  });

  it("takes a .txt as one document, without its byte order mark", async () => {
    const file = await write("a.txt", "\uFEFFline one\nline two\n");
    expect(await readAll(file)).toEqual([{ id: "a.txt", text: "line one\nline two\n", file, line: 1 }]);
  });

  it("takes lines that end in CRLF, no last newline, and blank lines", async () => {
    const file = await write("a.jsonl", '\uFEFF{"text":"one"}\r\n\r\n{"text":"two"}');
    expect((await readAll(file)).map(({ text, line }) => [text, line])).toEqual([
      ["one", 1],
      ["two", 3],
    ]);
  });

  it("reads a folder with its subfolders in the order of names' bytes, and counts what it ignores", async () => {
    for (const name of ["b.txt", "a.txt", "B.txt", "sub/c.txt", "a/z.jsonl", "é.txt"]) {
      await write(name, name.endsWith("l") ? lines({ text: name }) : name);
    }
    await write("readme.md", "not text");
    await write(".hidden/x.txt", "hidden");
    await symlink(path.join(folder, "b.txt"), path.join(folder, "linked.txt"));
    let notes: CorpusNotes | undefined;
    const documents = await readAll(folder, { onNotes: (found) => (notes = found) });
    expect(documents.map((document) => document.id)).toEqual([
      "B.txt",
      "a.txt",
      "a/z.jsonl:1",
      "b.txt",
      "linked.txt",
      "sub/c.txt",
      "é.txt",
    ]);
    expect(notes).toEqual({ files: 7, ignoredFiles: 1, documents: 7, emptyDocuments: 0 });
    expect(notes === undefined ? "" : describeNotes(notes)).toBe(
      "1 files that are not .txt, .jsonl or .jsonl.gz were ignored.",
    );
  });

  it("reads a glob, with ids relative to its fixed part", async () => {
    await write("x/a.txt", "a");
    await write("x/deep/b.txt", "b");
    await write("x/deep/c.jsonl", lines({ text: "c" }));
    expect((await readAll(`${folder}/x/**/*.txt`)).map((document) => document.id)).toEqual(["a.txt", "deep/b.txt"]);
    await expect(readAll(`${folder}/x/*.nothing`)).rejects.toMatchObject({ code: "CORPUS_NOT_FOUND" });
  });

  it("reads a list in its order, each file once, and a format by force", async () => {
    const a = await write("a.txt", "a");
    const b = await write("b.abstracts", lines({ text: "b" }));
    const documents = await readAll([{ path: b, format: "jsonl", weight: 1 }, a, folder]);
    expect(documents.map((document) => document.text)).toEqual(["b", "a"]);
  });

  it("skips and counts empty documents", async () => {
    const file = await write("a.jsonl", lines({ text: "" }, { text: " \n" }, { text: "x" }));
    let notes: CorpusNotes | undefined;
    expect(await readAll(file, { onNotes: (found) => (notes = found) })).toHaveLength(1);
    expect(notes?.emptyDocuments).toBe(2);
  });

  it("reports bytes on disk up to their total", async () => {
    const progress: CorpusProgress[] = [];
    const file = await write(
      "a.jsonl.gz",
      gzipSync(Buffer.from(lines(...Array.from({ length: 9000 }, () => ({ text: "text" }))))),
    );
    await readAll([file, await write("b.txt", "b".repeat(700_000))], { onProgress: (each) => progress.push(each) });
    const last = progress.at(-1);
    expect(last?.bytesRead).toBe(last?.bytesTotal);
    expect(progress.every((each, index) => each.bytesRead >= (progress[index - 1]?.bytesRead ?? 0))).toBe(true);
  });

  it("says where a file is not UTF-8", async () => {
    const bad = Buffer.concat([
      Buffer.from(lines({ text: "fine" })),
      Buffer.from('{"text":"caf'),
      Buffer.from([0xe9, 0x22, 0x7d, 0x0a]),
    ]);
    const jsonl = await write("a.jsonl", bad);
    await expect(readAll(jsonl)).rejects.toMatchObject({
      code: "CORPUS_NOT_UTF8",
      message: `${jsonl}:2 is not UTF-8: byte 0xE9 at offset 28 begins no character; convert the file to UTF-8.`,
    });
    const txt = await write("a.txt", Buffer.concat([Buffer.from("one\ntwo "), Buffer.from([0xff])]));
    await expect(readAll(txt)).rejects.toMatchObject({
      code: "CORPUS_NOT_UTF8",
      details: { line: 2, byteOffset: 8 },
    });
  });

  it("says where a record is wrong", async () => {
    const wrong: readonly (readonly [string, RegExp])[] = [
      ['{"text": "one"}\n{"text": two}\n', /:2: this line is not JSON/],
      ['"just text"\n', /:1: this line is not an object/],
      ['{"abstract": "x"}\n', /:1: the field "text" .* its fields are abstract/],
      ['{"text": 3}\n', /:1: the field "text" .* it is number/],
      ['{"text": "\\ud800"}\n', /:1: its text holds half a character/],
    ];
    for (const [content, message] of wrong) {
      const file = await write("a.jsonl", content);
      await expect(readAll(file), content).rejects.toMatchObject({
        code: "CORPUS_RECORD_INVALID",
        message: expect.stringMatching(message),
      });
    }
  });

  it("says that a .gz is damaged", async () => {
    const packed = gzipSync(Buffer.from(lines({ text: "x".repeat(10_000) })));
    await expect(readAll(await write("a.jsonl.gz", packed.subarray(0, -20)))).rejects.toMatchObject({
      code: "FILE_NOT_READABLE",
      message: expect.stringContaining("damaged or cut short"),
    });
    await expect(readAll(await write("b.jsonl.gz", "plain"))).rejects.toMatchObject({ code: "FILE_NOT_READABLE" });
  });

  it("says what is empty, and what is not there with the nearest name", async () => {
    await expect(readAll(await write("a.txt", " \n"))).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
    await expect(readAll(await write("a.jsonl", ""))).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
    await write("only/readme.md", "x");
    await expect(readAll(path.join(folder, "only"))).rejects.toMatchObject({ code: "CORPUS_EMPTY" });
    await write("abstracts.jsonl", lines({ text: "x" }));
    await expect(readAll(path.join(folder, "abstract.jsonl"))).rejects.toMatchObject({
      code: "CORPUS_NOT_FOUND",
      message: expect.stringContaining(`did you mean ${path.join(folder, "abstracts.jsonl")}?`),
    });
    await expect(readAll(await write("a.pdf", "x"))).rejects.toMatchObject({ code: "CORPUS_RECORD_INVALID" });
  });

  it("stops when it is cancelled", async () => {
    const file = await write("a.jsonl", lines({ text: "one" }, { text: "two" }));
    const cancel = new AbortController();
    const documents = readDocuments(file, { signal: cancel.signal });
    await documents.next();
    cancel.abort();
    await expect(documents.next()).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

describe("inBatches", () => {
  it("hands on about a megabyte at a time, and everything", async () => {
    async function* documents() {
      for (let index = 0; index < 25; index += 1) {
        yield { text: "x".repeat(100_000) };
      }
    }
    const sizes: number[] = [];
    for await (const batch of inBatches(documents())) {
      sizes.push(batch.length);
    }
    expect(sizes).toEqual([10, 10, 5]);
  });
});
