// A thread that imports one source after another into their parts, for the pool in workers.ts.
import { parentPort } from "node:worker_threads";
import { toErrorEnvelope } from "#shared/errors";
import { importPart } from "./part.ts";
import type { FromWorker, ToWorker } from "./workers.ts";

const port = parentPort;
if (port === null) {
  throw new Error("import-worker is a worker thread.");
}

const PROGRESS_EVERY_MS = 100;
let stop = new AbortController();

function send(message: FromWorker): void {
  port?.postMessage(message);
}

port.on("message", (message: ToWorker) => {
  if (message.type === "stop") {
    stop.abort();
    return;
  }
  stop = new AbortController();
  let lastAt = 0;
  importPart({
    ...message.options,
    signal: stop.signal,
    onProgress: (progress) => {
      if (performance.now() - lastAt >= PROGRESS_EVERY_MS) {
        lastAt = performance.now();
        send({ type: "progress", ...progress });
      }
    },
  }).then(
    (state) => send({ type: "done", state }),
    (error: unknown) => send({ type: "failed", error: toErrorEnvelope(error) }),
  );
});
