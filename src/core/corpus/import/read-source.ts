// From a source to its records: opens it, unpacks it, takes archives apart, tells the format of each file, and lets that
// format's reader take the bytes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { isAddress, openSource } from "../../storage/storage.ts";
import { Appender } from "../appender.ts";
import { BiocJsonReader, BiocXmlReader } from "./bioc.ts";
import { DelimitedReader } from "./delimited.ts";
import { detectFormat, HEAD_BYTES, isWrongKind, refusedSource } from "./detect.ts";
import { JatsReader } from "./jats.ts";
import { JsonlReader } from "./jsonl.ts";
import { readShardEvents } from "./mds.ts";
import { MedlineReader } from "./medline.ts";
import { gunzip, peek } from "./open-source.ts";
import { readParquet } from "./parquet.ts";
import { PlainTextReader } from "./plain-text.ts";
import { PubmedReader } from "./pubmed.ts";
import { PubtatorReader } from "./pubtator.ts";
import type { Emit, ImportEvent, ImportFormat, PushReader, ReadFormatOptions } from "./record.ts";
import type { ImportSource } from "./sources.ts";
import { isTar, tarMembers } from "./tar.ts";

export type ReadSourceOptions = Omit<ReadFormatOptions, "name" | "signal"> & {
  /** Null: told from the content. */
  readonly format: ImportFormat | null;
  readonly signal?: CancelSignal | undefined;
  /** Where a file may lie that has to be fetched or unpacked before it is read; the system's temporary folder else. */
  readonly scratchFolder?: string | undefined;
  /** Bytes as they are stored, so compressed where they are. */
  readonly onBytes?: ((count: number) => void) | undefined;
};

/** An event whose id is settled. */
export type NamedEvent = ImportEvent & { readonly id: string };

type ReaderMaker = (options: ReadFormatOptions, emit: Emit) => PushReader;

const readers: Readonly<Record<Exclude<ImportFormat, "parquet">, ReaderMaker>> = {
  pubmed: (options, emit) => new PubmedReader(options, emit),
  jats: (options, emit) => new JatsReader(options, emit),
  medline: (options, emit) => new MedlineReader(options, emit),
  "bioc-xml": (options, emit) => new BiocXmlReader(options, emit),
  "bioc-json": (options, emit) => new BiocJsonReader(options, emit),
  pubtator: (options, emit) => new PubtatorReader(options, emit),
  jsonl: (options, emit) => new JsonlReader(options, emit),
  csv: (options, emit) => new DelimitedReader(",", options, emit),
  tsv: (options, emit) => new DelimitedReader("\t", options, emit),
  text: (options, emit) => new PlainTextReader(options, emit),
};

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "The import was cancelled; the same command goes on where it stopped.");
  }
}

/** The records of one file's bytes, a piece of the file at a time. */
async function* readFile(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  head: Uint8Array,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  const detected = options.format === null ? detectFormat(name, head) : { format: options.format };
  if ("refusal" in detected) {
    throw refusedSource(name, detected.refusal);
  }
  if (detected.format === "parquet") {
    throw refusedSource(name, "Parquet is read from its end, so not from within an archive; take it out first");
  }
  let record = 0;
  let events: NamedEvent[] = [];
  const reader = readers[detected.format]({ ...options, name }, (event) => {
    record += 1;
    events.push({ ...event, id: event.id ?? `${name}#${record}` });
  });
  for await (const chunk of chunks) {
    throwIfCancelled(options.signal);
    reader.push(chunk);
    if (events.length > 0) {
      yield events;
      events = [];
    }
  }
  reader.end();
  if (events.length > 0) {
    yield events;
  }
  if (record === 0) {
    throw refusedSource(name, "it holds no documents");
  }
}

/** The files of an archive; those of no known kind (figures, PDFs) are noted and left out. */
async function* readArchive(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  let documents = 0;
  for await (const member of tarMembers(chunks, name)) {
    const own = `${name}/${member.name}`;
    try {
      const first = await peek(member.chunks, HEAD_BYTES);
      const isPacked = first.head[0] === 0x1f && first.head[1] === 0x8b;
      const { head, chunks: whole } = isPacked ? await peek(gunzip(first.chunks, own), HEAD_BYTES) : first;
      for await (const events of readFile(whole, own, head, options)) {
        documents += events.length;
        yield events;
      }
    } catch (error) {
      if (!isWrongKind(error)) {
        throw error;
      }
      yield [{ kind: "dropped", id: own, rule: "member-refused", detail: error.message }];
    }
  }
  if (documents === 0) {
    throw refusedSource(name, "the archive holds no file of a known format");
  }
}

/** Ids settled, batch by batch. */
async function* named(
  batches: AsyncIterable<readonly ImportEvent[]>,
  name: string,
  signal: CancelSignal | undefined,
): AsyncGenerator<readonly NamedEvent[]> {
  let record = 0;
  for await (const events of batches) {
    throwIfCancelled(signal);
    yield events.map((event) => {
      record += 1;
      return { ...event, id: event.id ?? `${name}#${record}` };
    });
  }
  if (record === 0) {
    throw refusedSource(name, "it holds no documents");
  }
}

async function* readParquetFile(
  file: string,
  name: string,
  options: ReadSourceOptions,
  onBytes: ((count: number) => void) | undefined,
): AsyncGenerator<readonly NamedEvent[]> {
  const rows = readParquet({ file, name, choice: options }, (count) => onBytes?.(count));
  yield* named(rows, name, options.signal);
}

/** Parquet is read from its end, so what comes from a server or is packed becomes a file first. */
async function* readParquetStream(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  const folder = await mkdtemp(path.join(options.scratchFolder ?? tmpdir(), "parquet-"));
  const file = path.join(folder, "fetched.parquet");
  try {
    const output = await Appender.open(file);
    try {
      for await (const chunk of chunks) {
        throwIfCancelled(options.signal);
        await output.add(chunk);
      }
      await output.flush();
    } finally {
      await output.close();
    }
    yield* readParquetFile(file, name, options, undefined);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Records in the order of the source. What is of no known kind is refused with CORPUS_RECORD_INVALID and isWrongKind. */
export async function* readSource(
  source: ImportSource,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  throwIfCancelled(options.signal);
  if (source.shard !== undefined) {
    yield* named(readShardEvents({ ...source, shard: source.shard }, options, options), source.name, options.signal);
    return;
  }
  async function* counted(): AsyncGenerator<Uint8Array> {
    const opened = await openSource(source.location, { signal: options.signal });
    let count = 0;
    for await (const chunk of opened.chunks) {
      count += chunk.length;
      options.onBytes?.(count);
      yield chunk;
    }
  }
  const bytes = counted();
  try {
    const stored = await peek(bytes, HEAD_BYTES);
    const isPacked = stored.head[0] === 0x1f && stored.head[1] === 0x8b;
    const { head, chunks } = isPacked ? await peek(gunzip(stored.chunks, source.name), HEAD_BYTES) : stored;
    const isParquet = options.format === "parquet" || Buffer.from(head.subarray(0, 4)).toString("latin1") === "PAR1";
    if (isParquet && !isPacked && !isAddress(source.location)) {
      await bytes.return(undefined);
      yield* readParquetFile(source.location, source.name, options, options.onBytes);
    } else if (isParquet) {
      yield* readParquetStream(chunks, source.name, options);
    } else if (isTar(head)) {
      yield* readArchive(chunks, source.name, options);
    } else {
      yield* readFile(chunks, source.name, head, options);
    }
  } catch (error) {
    if (error instanceof AppError || !(error instanceof Error) || !("syscall" in error)) {
      throw error;
    }
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${source.location}; check that you may read it.`, {
      cause: error,
    });
  } finally {
    // Whoever stopped early has not closed the file or the connection.
    await bytes.return(undefined);
  }
}
