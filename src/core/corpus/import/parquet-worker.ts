// The thread that decodes one Parquet file for parquet.ts: sends some rows, and the next when it is asked for more.
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { toErrorEnvelope } from "#shared/errors";
import type { FromParquet, ParquetRequest } from "./parquet.ts";
import { parquetRows } from "./parquet-rows.ts";

const port = parentPort;
if (port === null) {
  throw new Error("parquet-worker is a worker thread.");
}
// as: parquet.ts starts this file, and only with this data.
const { file, name, choice } = workerData as ParquetRequest;

function send(message: FromParquet): void {
  port?.postMessage(message);
}

try {
  let bytesRead = 0;
  for await (const events of parquetRows(file, name, choice, (count) => {
    bytesRead = count;
  })) {
    const asked = once(port, "message");
    send({ type: "events", events, bytesRead });
    await asked;
  }
  send({ type: "end" });
} catch (error) {
  send({ type: "failed", error: toErrorEnvelope(error) });
}
