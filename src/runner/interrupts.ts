// Everything that asks a runner to behave differently: control files, and signals. A first SIGINT or SIGTERM asks for a
// checkpoint and a stop, a second one for a stop at once; a closed terminal (SIGHUP) asks for nothing.
import { type ControlAction, ControlWatcher } from "#core/runs/control";

export class Interrupts {
  readonly #watcher: ControlWatcher;
  readonly #abort = new AbortController();
  readonly #onSignal: (signal: NodeJS.Signals) => void;
  #wake: (() => void) | undefined;
  #stopReason: string | null = null;

  constructor(runDirectory: string, onStopNow: (signal: NodeJS.Signals) => void) {
    this.#watcher = new ControlWatcher(runDirectory, (action) => {
      if (action === "stop") {
        this.#requestStop("control/stop");
      }
      this.#wake?.();
    });
    this.#onSignal = (signal) => {
      if (this.#stopReason === null) {
        this.#requestStop(signal);
      } else {
        onStopNow(signal);
      }
    };
    process.on("SIGINT", this.#onSignal);
    process.on("SIGTERM", this.#onSignal);
    process.on("SIGHUP", ignore);
  }

  /** What asked to stop; null while nothing has. */
  get stopReason(): string | null {
    return this.#stopReason;
  }

  /** Aborted when a stop is asked for. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  isRequested(action: ControlAction): boolean {
    return this.#watcher.isRequested(action);
  }

  done(action: ControlAction): Promise<void> {
    return this.#watcher.done(action);
  }

  /** Resolves at the next request of any kind. */
  async next(): Promise<void> {
    if (this.#stopReason === null) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  close(): void {
    this.#watcher.close();
    process.off("SIGINT", this.#onSignal);
    process.off("SIGTERM", this.#onSignal);
  }

  #requestStop(reason: string): void {
    this.#stopReason ??= reason;
    this.#abort.abort();
    this.#wake?.();
  }
}

function ignore(): void {
  // Without a listener the default would be to end.
}
