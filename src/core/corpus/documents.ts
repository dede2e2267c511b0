// Reads a corpus document by document, with memory bounded by the longest one: .txt files whole, .jsonl(.gz) line by
// line. Strict about UTF-8 and records; every refusal names file and place. Empty documents are skipped and counted.
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { CorpusSource } from "#shared/domain/recipe";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { type CorpusFile, describeSource, listCorpusFiles } from "./files.ts";
import { readShardDocuments } from "./mds/documents.ts";
import { decodeUtf8, firstInvalidUtf8 } from "./utf8.ts";

export type Document = {
  readonly id: string;
  readonly text: string;
  readonly file: string;
  /** 1-based line of a .jsonl file or sample of a shard; 1 for a .txt file. */
  readonly line: number;
};

export type CorpusProgress = {
  /** Bytes of the files on disk, so compressed where they are. */
  readonly bytesRead: number;
  readonly bytesTotal: number;
  readonly documents: number;
};

export type CorpusNotes = {
  readonly files: number;
  readonly ignoredFiles: number;
  readonly documents: number;
  readonly emptyDocuments: number;
};

export type ReadOptions = {
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: CorpusProgress) => void) | undefined;
  /** Called once, when everything has been read. */
  readonly onNotes?: ((notes: CorpusNotes) => void) | undefined;
};

/** One document may not fill the memory of the process. */
const MAX_DOCUMENT_BYTES = 256 * 1024 * 1024;
const CHUNK_BYTES = 256 * 1024;
const NEWLINE = 0x0a;

function notUtf8(file: string, line: number, lineBytes: Uint8Array, lineOffset: number): AppError {
  const at = firstInvalidUtf8(lineBytes) ?? 0;
  const byte = (lineBytes[at] ?? 0).toString(16).toUpperCase().padStart(2, "0");
  return new AppError(
    "CORPUS_NOT_UTF8",
    `${file}:${line} is not UTF-8: byte 0x${byte} at offset ${lineOffset + at} begins no character; convert the file to UTF-8.`,
    { details: { file, line, byteOffset: lineOffset + at } },
  );
}

function badRecord(file: string, line: number, what: string): AppError {
  return new AppError("CORPUS_RECORD_INVALID", `${file}:${line}: ${what}.`, { details: { file, line } });
}

function tooLong(file: string, line: number): AppError {
  return badRecord(file, line, `one document has more than ${MAX_DOCUMENT_BYTES / 1024 / 1024} MiB; split it`);
}

function decodeLine(file: string, line: number, bytes: Uint8Array, offset: number): string {
  const text = decodeUtf8(bytes);
  if (text === null) {
    throw notUtf8(file, line, bytes, offset);
  }
  return line === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text;
}

function parseRecord(file: CorpusFile, line: number, json: string): Document {
  let record: unknown;
  try {
    record = JSON.parse(json);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split("\n")[0] : "";
    throw badRecord(file.path, line, `this line is not JSON (${reason}); a .jsonl file holds one object a line`);
  }
  if (typeof record !== "object" || record === null || Array.isArray(record)) {
    throw badRecord(file.path, line, 'this line is not an object such as {"text": "…"}');
  }
  const { text, id, pmid } = record as { text?: unknown; id?: unknown; pmid?: unknown };
  if (typeof text !== "string") {
    const found =
      text === undefined ? `its fields are ${Object.keys(record).join(", ") || "none"}` : `it is ${typeof text}`;
    throw badRecord(file.path, line, `the field "text" should hold the document's text, and ${found}`);
  }
  if (/\p{Surrogate}/u.test(text)) {
    throw badRecord(
      file.path,
      line,
      "its text holds half a character (a lone surrogate escape); write the whole character",
    );
  }
  const named = [id, pmid].find(
    (value): value is string | number => (typeof value === "string" && value !== "") || typeof value === "number",
  );
  return { id: named === undefined ? `${file.name}:${line}` : `${named}`, text, file: file.path, line };
}

/** Lines without their ends, and where each begins in the unpacked text. */
async function* readLines(
  stream: AsyncIterable<Buffer>,
  file: CorpusFile,
): AsyncGenerator<{ readonly bytes: Buffer; readonly line: number; readonly offset: number }> {
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let line = 1;
  let offset = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const tail = chunk.subarray(from, end);
      const bytes = pending.length === 0 ? tail : Buffer.concat([...pending, tail]);
      yield { bytes, line, offset };
      offset += bytes.length + 1;
      line += 1;
      pending = [];
      pendingBytes = 0;
      from = end + 1;
    }
    if (from < chunk.length) {
      pending.push(chunk.subarray(from));
      pendingBytes += chunk.length - from;
    }
    if (pendingBytes > MAX_DOCUMENT_BYTES) {
      throw tooLong(file.path, line);
    }
  }
  if (pendingBytes > 0) {
    yield { bytes: Buffer.concat(pending), line, offset };
  }
}

async function* readText(stream: AsyncIterable<Buffer>, file: CorpusFile): AsyncGenerator<Document> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    length += chunk.length;
    if (length > MAX_DOCUMENT_BYTES) {
      throw tooLong(file.path, 1);
    }
  }
  const bytes = Buffer.concat(chunks);
  let text = decodeUtf8(bytes);
  if (text === null) {
    const at = firstInvalidUtf8(bytes) ?? 0;
    const before = bytes.subarray(0, at);
    const line = before.reduce((count, byte) => (byte === NEWLINE ? count + 1 : count), 1);
    const lineStart = before.lastIndexOf(NEWLINE) + 1;
    throw notUtf8(file.path, line, bytes.subarray(lineStart), lineStart);
  }
  if (text.startsWith("\uFEFF")) {
    text = text.slice(1);
  }
  yield { id: file.name, text, file: file.path, line: 1 };
}

async function* readRecords(stream: AsyncIterable<Buffer>, file: CorpusFile): AsyncGenerator<Document> {
  for await (const { bytes, line, offset } of readLines(stream, file)) {
    const json = decodeLine(file.path, line, bytes, offset);
    if (json.trim() !== "") {
      yield parseRecord(file, line, json);
    }
  }
}

/** The unpacked bytes of a file. `onBytes` hears how many bytes on disk have been read so far. */
async function* readBytes(file: CorpusFile, onBytes: (count: number) => void): AsyncGenerator<Buffer> {
  const source = createReadStream(file.path, { highWaterMark: CHUNK_BYTES });
  let stream: Readable = source;
  if (file.format === "jsonl.gz") {
    const gunzip = createGunzip({ chunkSize: CHUNK_BYTES });
    source.once("error", (error) => gunzip.destroy(error));
    stream = source.pipe(gunzip);
  }
  try {
    for await (const chunk of stream) {
      onBytes(source.bytesRead);
      // as: neither stream has an encoding, so both yield buffers.
      yield chunk as Buffer;
    }
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    const isGzip = typeof code === "string" && code.startsWith("Z_");
    const what = isGzip ? "unpack" : "read";
    const advice = isGzip ? "it is damaged or cut short; fetch it again" : "check that you may read it";
    throw new AppError("FILE_NOT_READABLE", `Cannot ${what} ${file.path}: ${advice}.`, { cause });
  } finally {
    source.destroy();
    stream.destroy();
  }
}

/** Documents in file order. Stops with CANCELLED when the signal says so. */
export async function* readDocuments(source: CorpusSource, options: ReadOptions = {}): AsyncGenerator<Document> {
  const { signal, onProgress } = options;
  const { files, ignoredCount } = await listCorpusFiles(source);
  const bytesTotal = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  let bytesBefore = 0;
  let documents = 0;
  let emptyDocuments = 0;
  for (const file of files) {
    const stream = readBytes(file, (count) => {
      // A file that grows meanwhile does not carry the progress past its end.
      const bytesRead = Math.min(bytesTotal, bytesBefore + count);
      onProgress?.({ bytesRead, bytesTotal, documents });
    });
    for await (const document of file.format === "mds"
      ? readShardDocuments(file)
      : file.format === "txt"
        ? readText(stream, file)
        : readRecords(stream, file)) {
      if (signal?.aborted === true) {
        throw new AppError("CANCELLED", "Reading the corpus was cancelled.");
      }
      if (document.text.trim() === "") {
        emptyDocuments += 1;
        continue;
      }
      documents += 1;
      yield document;
    }
    bytesBefore += file.sizeBytes;
  }
  options.onNotes?.({ files: files.length, ignoredFiles: ignoredCount, documents, emptyDocuments });
  if (documents === 0) {
    const empty = emptyDocuments === 0 ? "" : ` (${emptyDocuments} empty ones)`;
    throw new AppError("CORPUS_EMPTY", `${describeSource(source)} holds no text${empty}; add some documents.`);
  }
}

/** What there was to remark, as one sentence; null where there was nothing. */
export function describeNotes(notes: CorpusNotes): string | null {
  const parts = [
    ...(notes.ignoredFiles === 0
      ? []
      : [`${notes.ignoredFiles} files that are not .txt, .jsonl or .jsonl.gz were ignored`]),
    ...(notes.emptyDocuments === 0 ? [] : [`${notes.emptyDocuments} empty documents were skipped`]),
  ];
  return parts.length === 0 ? null : `${parts.join(", ")}.`;
}
