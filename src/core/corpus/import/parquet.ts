// Parquet, read in a thread of its own: the library that decodes it believes what a file claims, so a damaged one could
// take all memory or never come to an end. Here that ends the thread, and the file is refused with a sentence.
import { Worker } from "node:worker_threads";
import { AppError, type ErrorEnvelope, fromErrorEnvelope } from "#shared/errors";
import type { FieldChoice } from "./fields.ts";
import type { ImportEvent } from "./record.ts";
import { workerFile } from "./worker-file.ts";

export type ParquetRequest = { readonly file: string; readonly name: string; readonly choice: FieldChoice };
export type FromParquet =
  | { readonly type: "events"; readonly events: readonly ImportEvent[]; readonly bytesRead: number }
  | { readonly type: "end" }
  | { readonly type: "failed"; readonly error: ErrorEnvelope };

const HEAP_MIB = 4096;
/** A row group of the largest size that is read takes a tenth of this. */
const SILENCE_MS = 180_000;

/** The documents of a file, some thousand rows at a time. */
export async function* readParquet(
  request: ParquetRequest,
  onBytes: (count: number) => void,
  silenceMs = SILENCE_MS,
): AsyncGenerator<readonly ImportEvent[]> {
  const { file, name, choice } = request;
  // Only what the thread needs: options around these may hold functions.
  const { textFields, idField } = choice;
  const worker = new Worker(workerFile("parquet-worker"), {
    workerData: { file, name, choice: { textFields, idField } } satisfies ParquetRequest,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB },
  });
  const refusal = (reason: string) =>
    new AppError(
      "CORPUS_RECORD_INVALID",
      `${name}: this Parquet file cannot be read (${reason}); fetch or write it again.`,
      {
        details: { file: name },
      },
    );
  const next = () =>
    new Promise<FromParquet>((resolve, reject) => {
      const timer = setTimeout(() => end(() => reject(refusal("its content does not come to an end"))), silenceMs);
      const onMessage = (message: FromParquet) => end(() => resolve(message));
      const onError = () => end(() => reject(refusal("it claims more than memory holds")));
      const end = (settle: () => void) => {
        clearTimeout(timer);
        worker.off("message", onMessage);
        worker.off("error", onError);
        settle();
      };
      worker.on("message", onMessage);
      worker.on("error", onError);
    });
  try {
    for (let message = await next(); message.type !== "end"; message = await next()) {
      if (message.type === "failed") {
        throw fromErrorEnvelope(message.error);
      }
      onBytes(message.bytesRead);
      yield message.events;
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      worker.postMessage("more");
    }
  } finally {
    await worker.terminate();
  }
}
