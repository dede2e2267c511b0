// What the runner tells the world: run.json, replaced whole, and log.txt. Progress is written at most a few times a
// second; what must be known at once is awaited. A small reserve on the disk keeps room for the last words.
import { rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { writeFileDurably } from "#core/runs/durable-file";
import { manifestFile } from "#core/runs/manifest";
import { LineWriter } from "#core/runs/metrics";
import type { Phase, RunManifest, WrittenStatus } from "#shared/domain/run";

const writeEveryMs = 250;
const reserveBytes = 64 * 1024;

export class RunJournal {
  readonly directory: string;
  readonly #log: LineWriter;
  #manifest: RunManifest;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #logging: Promise<void> = Promise.resolve();
  #failure: unknown;
  #isClosed = false;

  private constructor(directory: string, manifest: RunManifest, log: LineWriter) {
    this.directory = directory;
    this.#manifest = manifest;
    this.#log = log;
  }

  static async open(directory: string, manifest: RunManifest): Promise<RunJournal> {
    const journal = new RunJournal(directory, manifest, await LineWriter.open(path.join(directory, "log.txt")));
    await writeFile(journal.#reserveFile, Buffer.alloc(reserveBytes)).catch(() => undefined);
    return journal;
  }

  get manifest(): RunManifest {
    return this.#manifest;
  }

  get #reserveFile(): string {
    return path.join(this.directory, ".reserve");
  }

  async log(sentence: string): Promise<void> {
    const text = `${new Date().toISOString()} ${sentence}\n`;
    this.#logging = this.#logging
      .catch(() => undefined)
      .then(() => (this.#isClosed ? undefined : this.#log.append(text)));
    await this.#logging;
  }

  /** What is being waited for; a new name is logged. */
  phase(phase: Phase): void {
    const isNew = this.#manifest.phase?.name !== phase.name;
    this.progress({ phase });
    if (isNew) {
      this.note(phase.name);
    }
  }

  /** Logs without being waited for; a failure is thrown by the next `check`. */
  note(sentence: string): void {
    this.log(sentence).catch((error: unknown) => {
      this.#failure ??= error;
    });
  }

  /** Shown soon. A failed write is thrown by the next `check`. */
  progress(change: Partial<RunManifest>): void {
    this.#manifest = { ...this.#manifest, ...change };
    if (this.#timer === undefined && !this.#isClosed) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#enqueue().catch((error: unknown) => {
          this.#failure ??= error;
        });
      }, writeEveryMs);
    }
  }

  /** Shown when the promise resolves. */
  async write(change: Partial<RunManifest>): Promise<void> {
    this.#manifest = { ...this.#manifest, ...change };
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#enqueue();
  }

  check(): void {
    if (this.#failure !== undefined) {
      throw this.#failure;
    }
  }

  /** The last words: how the run ended. Gives up the reserve for them, and never throws. */
  async finish(
    status: Extract<WrittenStatus, "completed" | "failed" | "stopped">,
    reason: RunManifest["exit_reason"],
    sentence: string,
  ): Promise<void> {
    if (this.#isClosed) {
      return;
    }
    await rm(this.#reserveFile, { force: true }).catch(() => undefined);
    const last = { status, phase: null, exit_reason: reason, ended_at: new Date().toISOString() };
    await this.write(last).catch((error: unknown) => {
      console.error(`run.json could not be written: ${error instanceof Error ? error.message : String(error)}`);
    });
    await this.log(sentence).catch(() => undefined);
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#log.close().catch(() => undefined);
  }

  /** One write at a time; each takes the newest state. */
  #enqueue(): Promise<void> {
    const next = this.#writing
      .catch(() => undefined)
      .then(async () => {
        if (!this.#isClosed) {
          await writeFileDurably(manifestFile(this.directory), `${JSON.stringify(this.#manifest, null, 2)}\n`);
        }
      });
    this.#writing = next;
    return next;
  }
}
