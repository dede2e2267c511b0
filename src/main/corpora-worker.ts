// A worker thread that imports, cleans and scans corpora for the window: hours of reading and writing that must not be felt
// in the process that draws it. What needs the engine is answered in the engine host.
import { parentPort, workerData } from "node:worker_threads";
import { type ServedHandlers, serveHandlers } from "#core/app/remote";
import { createCorpusHandlers } from "#core/corpus/handlers";

// as: main starts this file, and only with this data.
const data = workerData as { readonly workspace: string };
const port = parentPort;
if (port === null) {
  throw new Error("corpora-worker is a worker thread.");
}
let workspace = data.workspace;

const corpora = createCorpusHandlers({ workspace: () => workspace });
const handlers = {
  requests: {
    ...corpora.requests,
    "host.use-workspace": async (input: { readonly workspace: string }) => {
      workspace = input.workspace;
      return {};
    },
  },
  streams: corpora.streams,
} satisfies ServedHandlers;
serveHandlers(
  { send: (message) => port.postMessage(message), listen: (listener) => port.on("message", listener) },
  handlers,
);
