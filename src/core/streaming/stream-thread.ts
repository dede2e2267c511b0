// Starts the thread of a stream, hands it shards and hears what became of them.
import { Worker } from "node:worker_threads";
import { AppError, assertNever, type ErrorEnvelope, fromErrorEnvelope } from "#shared/errors";
import { workerFile } from "../corpus/import/worker-file.ts";
import type { Policy } from "../storage/transfer.ts";
import type { ShardUse } from "./prepare-shard.ts";
import type { StreamShard } from "./sources.ts";

export type StreamWorkerSettings = {
  readonly tokenizerFolder: string;
  readonly tokenizerSha256: string;
  readonly vocabSize: number;
  readonly isTokenizing: boolean;
  readonly policy: Policy | undefined;
};

export type PrepareJob = {
  readonly number: number;
  readonly shard: StreamShard;
  readonly use: ShardUse;
  /** Where it is to lie in the cache. */
  readonly target: string;
};

export type ToStreamWorker = { readonly type: "prepare"; readonly job: PrepareJob } | { readonly type: "stop" };
export type FromStreamWorker =
  | { readonly type: "counted"; readonly requests?: number; readonly bytes?: number; readonly retries?: number }
  | { readonly type: "prepared"; readonly number: number }
  | { readonly type: "failed"; readonly number: number; readonly error: ErrorEnvelope };

/** A batch of a megabyte is encoded to its end before the thread can stop. */
const STOP_MS = 10_000;

type Waiting = { readonly resolve: () => void; readonly reject: (error: Error) => void };

export class StreamThread {
  readonly counts = { requests: 0, bytes: 0, retries: 0, shards: 0 };
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #ended: Promise<void>;
  #numbers = 0;
  #failure: Error | null = null;

  constructor(settings: StreamWorkerSettings) {
    this.#worker = new Worker(workerFile("stream-worker"), { workerData: settings });
    this.#worker.on("message", (message: FromStreamWorker) => this.#hear(message));
    this.#worker.on("error", (error) => this.#fail(error));
    this.#ended = new Promise((resolve) => {
      this.#worker.once("exit", () => {
        this.#fail(
          new AppError("OUT_OF_MEMORY", "The thread that prepares shards ended; use smaller shards, or free memory."),
        );
        resolve();
      });
    });
  }

  #hear(message: FromStreamWorker): void {
    switch (message.type) {
      case "counted":
        this.counts.requests += message.requests ?? 0;
        this.counts.bytes += message.bytes ?? 0;
        this.counts.retries += message.retries ?? 0;
        break;
      case "prepared":
        this.counts.shards += 1;
        this.#take(message.number)?.resolve();
        break;
      case "failed":
        this.#take(message.number)?.reject(fromErrorEnvelope(message.error));
        break;
      default:
        assertNever(message);
    }
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    return waiting;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#waiting.values()) {
      reject(error);
    }
    this.#waiting.clear();
  }

  prepare(job: Omit<PrepareJob, "number">): Promise<void> {
    if (this.#failure !== null) {
      return Promise.reject(this.#failure);
    }
    const number = this.#numbers;
    this.#numbers += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#post({ type: "prepare", job: { ...job, number } });
    });
  }

  #post(message: ToStreamWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
    this.#worker.postMessage(message);
  }

  /** Ends transfers at once; the rest when it has taken away what it was writing. */
  async close(): Promise<void> {
    this.#fail(new AppError("CANCELLED", "The stream was closed."));
    this.#post({ type: "stop" });
    const timer = setTimeout(() => void this.#worker.terminate(), STOP_MS);
    await this.#ended;
    clearTimeout(timer);
  }
}
