// Notices that runs changed, for a window: looks at the files of the runs someone asked about lately, a few stats a
// second, and at the list while someone looks at it. Without askers nothing is read at all.

import { readManifest } from "./manifest.ts";
import { changeStamp, derivedStatus, listRunDirectories } from "./status.ts";

const runPollMs = 400;
const listPollMs = 1000;
/** Interest ends when nobody has asked for so long. */
const interestMs = 60 * 60_000;
const maxFollowed = 8;

export class RunWatcher {
  readonly #onRunChanged: (runDirectory: string) => void;
  readonly #onListChanged: () => void;
  readonly #workspace: () => string;
  readonly #runs = new Map<string, { stamp: string | undefined; askedAt: number }>();
  #listStamp: string | undefined;
  #listAskedAt = -Infinity;
  #runTimer: NodeJS.Timeout | undefined;
  #listTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: {
    readonly workspace: () => string;
    readonly onRunChanged: (runDirectory: string) => void;
    readonly onListChanged: () => void;
  }) {
    this.#workspace = options.workspace;
    this.#onRunChanged = options.onRunChanged;
    this.#onListChanged = options.onListChanged;
  }

  /** Someone looks at this run. */
  followRun(runDirectory: string): void {
    const known = this.#runs.get(runDirectory);
    this.#runs.delete(runDirectory);
    this.#runs.set(runDirectory, { stamp: known?.stamp, askedAt: performance.now() });
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > maxFollowed && oldest !== undefined) {
      this.#runs.delete(oldest);
    }
    this.#scheduleRuns();
  }

  /** Someone looks at the list. */
  followList(): void {
    this.#listAskedAt = performance.now();
    this.#scheduleList();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#runTimer);
    clearTimeout(this.#listTimer);
    this.#runs.clear();
  }

  #scheduleRuns(): void {
    if (this.#isClosed || this.#runTimer !== undefined || this.#runs.size === 0) {
      return;
    }
    this.#runTimer = setTimeout(() => {
      void this.#lookAtRuns().finally(() => {
        this.#runTimer = undefined;
        this.#scheduleRuns();
      });
    }, runPollMs);
    this.#runTimer.unref();
  }

  #scheduleList(): void {
    if (this.#isClosed || this.#listTimer !== undefined || performance.now() - this.#listAskedAt > interestMs) {
      return;
    }
    this.#listTimer = setTimeout(() => {
      void this.#lookAtList().finally(() => {
        this.#listTimer = undefined;
        this.#scheduleList();
      });
    }, listPollMs);
    this.#listTimer.unref();
  }

  async #lookAtRuns(): Promise<void> {
    for (const [directory, entry] of this.#runs) {
      if (performance.now() - entry.askedAt > interestMs) {
        this.#runs.delete(directory);
        continue;
      }
      const stamp = await stampOf(directory);
      if (entry.stamp !== stamp) {
        this.#onRunChanged(directory); // the first look tells too: it may have changed since it was asked about
      }
      const current = this.#runs.get(directory);
      if (current !== undefined) {
        current.stamp = stamp;
      }
    }
  }

  async #lookAtList(): Promise<void> {
    try {
      const stamps = await Promise.all(
        (await listRunDirectories(this.#workspace())).map(
          async (directory) => `${directory} ${await stampOf(directory)}`,
        ),
      );
      const stamp = stamps.join("\n");
      if (this.#listStamp !== stamp) {
        this.#onListChanged();
      }
      this.#listStamp = stamp;
    } catch {
      // A folder that cannot be read is told by the request that reads it.
    }
  }
}

/** The files' stamp and the derived status: a runner that dies changes no file. */
async function stampOf(directory: string): Promise<string> {
  const stamp = await changeStamp(directory);
  const status = await readManifest(directory).then(derivedStatus, () => "unreadable");
  return `${stamp} ${status}`;
}
