// A worker thread that answers what the window asks about runs: scans of the catalogue and long curves never block the
// process that draws the window. It only reads run directories and starts runners.
import { parentPort, workerData } from "node:worker_threads";
import { type ServedHandlers, serveHandlers } from "#core/app/remote";
import { createModelHandlers } from "#core/models/handlers";
import { createRunHandlers } from "#core/runs/handlers";

// as: main starts this file, and only with this data.
const data = workerData as { readonly workspace: string };
const port = parentPort;
if (port === null) {
  throw new Error("runs-worker is a worker thread.");
}
let workspace = data.workspace;

const runs = createRunHandlers({
  workspace: () => workspace,
  emit: (name, payload) => served.emit(name, payload),
});
const handlers = {
  requests: {
    ...runs.requests,
    ...createModelHandlers({ workspace: () => workspace }).requests,
    "host.use-workspace": async (input: { readonly workspace: string }) => {
      workspace = input.workspace;
      return {};
    },
  },
  streams: {},
} satisfies ServedHandlers;
const served = serveHandlers(
  { send: (message) => port.postMessage(message), listen: (listener) => port.on("message", listener) },
  handlers,
);
