// The thread of a stream: fetches shards side by side and prepares them one after the other, so that training's own thread
// waits for nothing but the next batch.
import { parentPort, workerData } from "node:worker_threads";
import { AppError, assertNever, toErrorEnvelope } from "#shared/errors";
import { loadTokenizer } from "../tokenizer/load.ts";
import { withShard } from "./fetch-shard.ts";
import { keepShard, type TokenizeFacts, tokenizeShard } from "./prepare-shard.ts";
import type { FromStreamWorker, PrepareJob, StreamWorkerSettings, ToStreamWorker } from "./stream-thread.ts";

const port = parentPort;
if (port === null) {
  throw new Error("stream-worker is a worker thread.");
}

// as: stream-thread.ts alone starts this thread.
const settings = workerData as StreamWorkerSettings;
const stop = new AbortController();
const running = new Set<Promise<void>>();

function send(message: FromStreamWorker): void {
  port?.postMessage(message);
}

let last: Promise<unknown> = Promise.resolve();

/** One after the other, in the order of the calls. */
function alone<R>(work: () => Promise<R>): Promise<R> {
  const result = last.then(work);
  last = result.catch(() => undefined);
  return result;
}

async function loadFacts(): Promise<TokenizeFacts> {
  const tokenizer = await loadTokenizer(settings.tokenizerFolder);
  const { endOfTextId } = tokenizer;
  if (endOfTextId === null || tokenizer.vocabSize !== settings.vocabSize) {
    throw new AppError("TOKENIZER_INVALID", `${settings.tokenizerFolder} changed meanwhile; run it again.`);
  }
  return { tokenizer, endOfTextId, tokenizerSha256: settings.tokenizerSha256 };
}

// Read while the first shard is on its way; a shard that needs it is told what is wrong.
const facts = settings.isTokenizing ? loadFacts() : null;
facts?.catch(() => undefined);

async function prepare({ shard, use, target }: PrepareJob): Promise<void> {
  let asked = 0;
  const options = {
    signal: stop.signal,
    policy: settings.policy,
    onRequest: () => {
      asked += 1;
      send({ type: "counted", requests: 1, retries: asked > 1 ? 1 : 0 });
    },
    onBytes: (bytes: number) => send({ type: "counted", bytes }),
  };
  await withShard(shard, options, alone, async (raw) => {
    if (stop.signal.aborted) {
      throw new AppError("CANCELLED", `Reading ${raw.where} was cancelled.`);
    }
    switch (use) {
      case "tokenize":
        return tokenizeShard(shard, raw, target, await (facts ?? loadFacts()), stop.signal);
      case "keep":
        return keepShard(raw, target);
      case "verify":
        return;
      default:
        return assertNever(use);
    }
  });
}

port.on("message", (message: ToStreamWorker) => {
  switch (message.type) {
    case "prepare": {
      const { job } = message;
      const run = prepare(job).then(
        () => send({ type: "prepared", number: job.number }),
        (error: unknown) => send({ type: "failed", number: job.number, error: toErrorEnvelope(error) }),
      );
      running.add(run);
      void run.finally(() => running.delete(run));
      break;
    }
    case "stop":
      stop.abort();
      // What is being written is taken away first; then nothing keeps this thread.
      void Promise.allSettled(running).then(() => port.close());
      break;
    default:
      assertNever(message);
  }
});
