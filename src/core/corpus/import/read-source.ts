// From a source to its records: opens it, unpacks it, tells its format, and lets that format's reader take the bytes.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { detectFormat, HEAD_BYTES, refusedSource } from "./detect.ts";
import { gunzip, openSource, peek } from "./open-source.ts";
import { PubmedReader } from "./pubmed.ts";
import type { Emit, ImportEvent, ImportFormat, PushReader, ReadFormatOptions } from "./record.ts";
import type { ImportSource } from "./sources.ts";

export type ReadSourceOptions = Omit<ReadFormatOptions, "name" | "signal"> & {
  /** Null: told from the content. */
  readonly format: ImportFormat | null;
  readonly signal?: CancelSignal | undefined;
  /** Bytes as they are stored, so compressed where they are. */
  readonly onBytes?: ((count: number) => void) | undefined;
};

/** An event whose id is settled. */
export type NamedEvent = ImportEvent & { readonly id: string };

type ReaderMaker = (options: ReadFormatOptions, emit: Emit) => PushReader;

const readers: Partial<Readonly<Record<ImportFormat, ReaderMaker>>> = {
  pubmed: (options, emit) => new PubmedReader(options, emit),
};

function throwIfCancelled(signal: CancelSignal | undefined): void {
  if (signal?.aborted === true) {
    throw new AppError("CANCELLED", "The import was cancelled.");
  }
}

/** The records of one file's bytes, a piece of the file at a time. */
async function* readFile(
  chunks: AsyncIterable<Uint8Array>,
  name: string,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  const { head, chunks: whole } = await peek(chunks, HEAD_BYTES);
  const detected = options.format === null ? detectFormat(name, head) : { format: options.format };
  if ("refusal" in detected) {
    throw refusedSource(name, detected.refusal);
  }
  const make = readers[detected.format];
  if (make === undefined) {
    throw refusedSource(name, `${detected.format} is not read here`);
  }
  let record = 0;
  let events: NamedEvent[] = [];
  const reader = make({ ...options, name }, (event) => {
    record += 1;
    events.push({ ...event, id: event.id ?? `${name}#${record}` });
  });
  for await (const chunk of whole) {
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

/** Records in the order of the source. What is of no known kind is refused with CORPUS_RECORD_INVALID and isWrongKind. */
export async function* readSource(
  source: ImportSource,
  options: ReadSourceOptions,
): AsyncGenerator<readonly NamedEvent[]> {
  throwIfCancelled(options.signal);
  const opened = await openSource(source.location, options.signal);
  async function* counted(): AsyncGenerator<Uint8Array> {
    let count = 0;
    for await (const chunk of opened.chunks) {
      count += chunk.length;
      options.onBytes?.(count);
      yield chunk;
    }
  }
  try {
    const { head, chunks } = await peek(counted(), 2);
    const isPacked = head[0] === 0x1f && head[1] === 0x8b;
    yield* readFile(isPacked ? gunzip(chunks, source.name) : chunks, source.name, options);
  } catch (error) {
    if (error instanceof AppError || !(error instanceof Error) || !("syscall" in error)) {
      throw error;
    }
    throw new AppError("FILE_NOT_READABLE", `Cannot read ${source.location}; check that you may read it.`, {
      cause: error,
    });
  }
}
