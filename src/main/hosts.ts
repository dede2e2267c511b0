// The helpers of main: the engine host (a utility process, since native code may crash) and threads for what may take
// long: reading runs, and the corpora. Each is started when first asked, and again after it has ended.
import { Worker } from "node:worker_threads";
import { type UtilityProcess, utilityProcess } from "electron";
import { RemoteCaller } from "#core/app/remote";
import { AppError } from "#shared/errors";
import type { HandlerContext } from "#shared/ipc/contract";

type EventListener = (name: string, payload: unknown) => void;

export type Host = {
  call(name: string, input: unknown, context: HandlerContext, onItem?: (item: unknown) => void): Promise<unknown>;
  close(): void;
};

const never: HandlerContext = {
  signal: { aborted: false, addEventListener: () => undefined, removeEventListener: () => undefined },
};

export class EngineHost implements Host {
  readonly #file: string;
  readonly #workspace: () => string;
  readonly #userData: string;
  readonly #onEvent: EventListener;
  #child: UtilityProcess | null = null;
  #caller: RemoteCaller | null = null;
  #isClosing = false;

  constructor(options: {
    readonly file: string;
    readonly workspace: () => string;
    readonly userData: string;
    readonly onEvent: EventListener;
  }) {
    this.#file = options.file;
    this.#workspace = options.workspace;
    this.#userData = options.userData;
    this.#onEvent = options.onEvent;
  }

  /** For tests that end it: undefined until it has been asked something. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  call(name: string, input: unknown, context: HandlerContext, onItem?: (item: unknown) => void): Promise<unknown> {
    return this.#start().call(name, input, context, onItem);
  }

  useWorkspace(workspace: string): void {
    void this.#caller?.call("host.use-workspace", { workspace }, never).catch(() => undefined);
  }

  close(): void {
    this.#isClosing = true;
    this.#child?.kill();
  }

  #start(): RemoteCaller {
    if (this.#caller !== null) {
      return this.#caller;
    }
    const child = utilityProcess.fork(this.#file, [this.#workspace(), this.#userData], {
      serviceName: "Assay engine host",
    });
    const caller = new RemoteCaller(
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a process's port has no origin
      { send: (message) => child.postMessage(message), listen: (listener) => child.on("message", listener) },
      this.#onEvent,
    );
    child.on("exit", (code) => {
      if (this.#child === child) {
        this.#child = null;
        this.#caller = null;
      }
      const message = `The engine host ended unexpectedly (code ${code}); what it was doing is lost, runs are not touched. Try again.`;
      caller.lose(new AppError("ENGINE_LOST", message));
      if (!this.#isClosing) {
        this.#onEvent("models.engine-lost", { message });
      }
    });
    this.#child = child;
    this.#caller = caller;
    return caller;
  }
}

export class ThreadHost implements Host {
  readonly #file: string;
  readonly #doing: string;
  readonly #workspace: () => string;
  readonly #onEvent: EventListener;
  #worker: Worker | null = null;
  #caller: RemoteCaller | null = null;

  /** `doing` completes "… failed: its thread ended". */
  constructor(options: {
    readonly file: string;
    readonly doing: string;
    readonly workspace: () => string;
    readonly onEvent: EventListener;
  }) {
    this.#file = options.file;
    this.#doing = options.doing;
    this.#workspace = options.workspace;
    this.#onEvent = options.onEvent;
  }

  call(name: string, input: unknown, context: HandlerContext, onItem?: (item: unknown) => void): Promise<unknown> {
    return this.#start().call(name, input, context, onItem);
  }

  useWorkspace(workspace: string): void {
    void this.#caller?.call("host.use-workspace", { workspace }, never).catch(() => undefined);
  }

  close(): void {
    void this.#worker?.terminate();
  }

  #start(): RemoteCaller {
    if (this.#caller !== null) {
      return this.#caller;
    }
    const worker = new Worker(this.#file, {
      workerData: { workspace: this.#workspace() },
    });
    const caller = new RemoteCaller(
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port has no origin
      { send: (message) => worker.postMessage(message), listen: (listener) => worker.on("message", listener) },
      this.#onEvent,
    );
    const forget = (reason: string): void => {
      if (this.#worker === worker) {
        this.#worker = null;
        this.#caller = null;
      }
      caller.lose(new AppError("BUG", `${this.#doing} failed: ${reason}.`));
    };
    worker.on("error", (error: Error) => forget(error.message));
    worker.on("exit", (code) => forget(`its thread ended with code ${code}`));
    this.#worker = worker;
    this.#caller = caller;
    return caller;
  }
}
