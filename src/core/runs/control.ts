// Asking a run to do something: an empty file in its control folder. The runner looks there between steps, acts, and
// removes it; whoever asked can see that it is gone.
import { readdir, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { AppError } from "#shared/errors";
import { asFileError, makeFolder, systemErrorCode } from "./durable-file.ts";
import { readManifest } from "./manifest.ts";
import { derivedStatus } from "./status.ts";

export const controlActions = ["stop", "checkpoint", "pause", "unpause"] as const;
export type ControlAction = (typeof controlActions)[number];

export function controlFolder(runDirectory: string): string {
  return path.join(runDirectory, "control");
}

/** Puts the request there. A run that nobody drives cannot hear it: RUN_STATE_WRONG. */
export async function requestControl(
  runDirectory: string,
  action: ControlAction,
): Promise<{ /** True once the runner has acted. */ isTaken(): Promise<boolean> }> {
  const manifest = await readManifest(runDirectory);
  const status = await derivedStatus(manifest);
  const canHear =
    status === "starting" ||
    status === "running" ||
    status === "paused" ||
    status === "stopping" ||
    (status === "queued" && action === "stop");
  if (!canHear) {
    throw new AppError(
      "RUN_STATE_WRONG",
      status === "lost"
        ? `${manifest.name} cannot ${action}: its runner is gone; resume it first.`
        : status === "queued"
          ? `${manifest.name} cannot ${action}: it waits for another run to end.`
          : `${manifest.name} cannot ${action}: it is ${status}.`,
    );
  }
  if (action === "unpause" && status === "running") {
    throw new AppError("RUN_STATE_WRONG", `${manifest.name} is not paused.`);
  }
  const file = path.join(controlFolder(runDirectory), action);
  await makeFolder(controlFolder(runDirectory));
  try {
    await writeFile(file, "");
  } catch (error) {
    throw asFileError(error, `write ${file}`);
  }
  return {
    isTaken: async () => {
      try {
        return !(await readdir(controlFolder(runDirectory))).includes(action);
      } catch (error) {
        if (systemErrorCode(error) === "ENOENT") {
          return true;
        }
        throw asFileError(error, `read ${controlFolder(runDirectory)}`);
      }
    },
  };
}

export async function clearControl(runDirectory: string): Promise<void> {
  for (const action of controlActions) {
    await rm(path.join(controlFolder(runDirectory), action), { force: true });
  }
}

/**
 * The runner's side: looks into the folder at fixed intervals (watching does not work on network file systems), also
 * while a step is being computed, and remembers what it saw.
 */
export class ControlWatcher {
  readonly #folder: string;
  readonly #onRequest: (action: ControlAction) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #seen = new Set<ControlAction>();
  #looking: Promise<void> | undefined;

  constructor(runDirectory: string, onRequest: (action: ControlAction) => void, pollMs = 200) {
    this.#folder = controlFolder(runDirectory);
    this.#onRequest = onRequest;
    this.#timer = setInterval(() => void this.look(), pollMs);
  }

  /** Requests seen and not yet marked as done. */
  isRequested(action: ControlAction): boolean {
    return this.#seen.has(action);
  }

  async look(): Promise<void> {
    this.#looking ??= this.#read().finally(() => {
      this.#looking = undefined;
    });
    await this.#looking;
  }

  async #read(): Promise<void> {
    try {
      const names: readonly string[] = await readdir(this.#folder);
      for (const action of controlActions) {
        if (names.includes(action) && !this.#seen.has(action)) {
          this.#seen.add(action);
          this.#onRequest(action);
        }
      }
    } catch {
      // Without the folder nothing is requested; a disk that cannot be read makes itself known elsewhere.
    }
  }

  /** Forgets the request and removes its file, which tells whoever asked. */
  async done(action: ControlAction): Promise<void> {
    await rm(path.join(this.#folder, action), { force: true }).catch(() => undefined);
    await this.#looking; // it may have seen the file just before
    this.#seen.delete(action);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
