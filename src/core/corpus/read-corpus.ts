// Any corpus, document by document with what is known of each: what cleaning, statistics and scans read. Everything that
// can be imported can be read here; JSONL that an import wrote is the usual case.
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { isWrongKind } from "./import/detect.ts";
import { readSource } from "./import/read-source.ts";
import type { ImportFormat, Metadata } from "./import/record.ts";
import { listSources } from "./import/sources.ts";

export type CorpusDocument = {
  readonly id: string;
  readonly text: string;
  readonly source: string;
  readonly metadata: Metadata;
};

export type ReadCorpusOptions = {
  readonly format?: ImportFormat | null | undefined;
  readonly textFields?: readonly string[] | undefined;
  readonly idField?: string | null | undefined;
  readonly signal?: CancelSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number | null }) => void) | undefined;
  /** A sentence about a file of a folder that was passed over. */
  readonly onNotice?: ((sentence: string) => void) | undefined;
};

/** Documents in the order of the sources, so many at a time as a piece of a file holds. */
export async function* readCorpus(
  inputs: readonly string[],
  options: ReadCorpusOptions = {},
): AsyncGenerator<readonly CorpusDocument[]> {
  const sources = await listSources(inputs);
  const sizes = sources.map((source) => source.sizeBytes);
  const total = sizes.includes(null) ? null : sizes.reduce<number>((sum, size) => sum + (size ?? 0), 0);
  let before = 0;
  let documents = 0;
  for (const source of sources) {
    let read = 0;
    try {
      const batches = readSource(source, {
        format: options.format ?? null,
        textFields: options.textFields ?? ["text"],
        idField: options.idField ?? null,
        textUnit: "file",
        signal: options.signal,
        onBytes: (count) => {
          read = count;
          options.onProgress?.({ done: before + count, total });
        },
      });
      for await (const events of batches) {
        const batch = events.flatMap((event) =>
          event.kind === "document"
            ? [{ id: event.id, text: event.text, source: source.name, metadata: event.metadata }]
            : [],
        );
        documents += batch.length;
        if (batch.length > 0) {
          yield batch;
        }
      }
    } catch (error) {
      if (sources.length === 1 || !isWrongKind(error)) {
        throw error;
      }
      options.onNotice?.(error.message);
    }
    before += source.sizeBytes ?? read;
  }
  if (documents === 0) {
    throw new AppError("CORPUS_EMPTY", `${inputs.join(", ")} holds no documents.`);
  }
}

/** The line a document is written as. */
export function lineOf({ id, text, source, metadata }: CorpusDocument): string {
  // A document that was imported before keeps the source it had.
  return `${JSON.stringify({ id, text, source, ...metadata })}\n`;
}
