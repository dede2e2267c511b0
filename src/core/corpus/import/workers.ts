// Threads that import sources side by side: parsing is the processor's work, so one thread reads one file at a time.
import { Worker } from "node:worker_threads";
import { AppError, assertNever, type ErrorEnvelope, fromErrorEnvelope } from "#shared/errors";
import { type ImportPartOptions, importPart, type PartImporter, type PartState } from "./part.ts";
import { workerFile } from "./worker-file.ts";

export type ToWorker =
  | { readonly type: "part"; readonly options: Omit<ImportPartOptions, "signal" | "onProgress"> }
  | { readonly type: "stop" };
export type FromWorker =
  | { readonly type: "progress"; readonly bytesRead: number; readonly documents: number }
  | { readonly type: "done"; readonly state: PartState }
  | { readonly type: "failed"; readonly error: ErrorEnvelope };

export type ImportWorkers = { readonly importer: PartImporter; close(): Promise<void> };

function runIn(worker: Worker, options: ImportPartOptions): Promise<PartState> {
  const { signal, onProgress, ...plain } = options;
  return new Promise((resolve, reject) => {
    const end = () => {
      worker.off("message", onMessage);
      worker.off("error", onError);
      worker.off("exit", onExit);
      signal?.removeEventListener("abort", onAbort);
    };
    const onMessage = (message: FromWorker) => {
      switch (message.type) {
        case "progress":
          onProgress?.(message);
          break;
        case "done":
          end();
          resolve(message.state);
          break;
        case "failed":
          end();
          reject(fromErrorEnvelope(message.error));
          break;
        default:
          assertNever(message);
      }
    };
    const onError = (error: Error) => {
      end();
      reject(error);
    };
    const onExit = () => {
      end();
      reject(
        new AppError(
          "OUT_OF_MEMORY",
          `The thread that imported ${options.source.name} ended; run the same command with fewer --workers.`,
        ),
      );
    };
    const post = (message: ToWorker) => {
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      worker.postMessage(message);
    };
    const onAbort = () => post({ type: "stop" });
    worker.on("message", onMessage);
    worker.on("error", onError);
    worker.on("exit", onExit);
    signal?.addEventListener("abort", onAbort, { once: true });
    post({ type: "part", options: plain });
    if (signal?.aborted === true) {
      onAbort();
    }
  });
}

/** So many threads; for one, the work stays in this thread. */
export function startImportWorkers(count: number): ImportWorkers {
  if (count <= 1) {
    return { importer: importPart, close: async () => undefined };
  }
  const idle: Worker[] = [];
  const all: Worker[] = [];
  return {
    // Never more at once than importCorpus asks for, which is as many as the options say.
    importer: async (options) => {
      let worker = idle.pop();
      if (worker === undefined) {
        worker = new Worker(workerFile("import-worker"));
        all.push(worker);
      }
      const state = await runIn(worker, options);
      idle.push(worker);
      return state;
    },
    close: async () => {
      await Promise.all(all.map((worker) => worker.terminate()));
    },
  };
}
