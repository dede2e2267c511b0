// A file that is written in order, a megabyte at a time.
import { type FileHandle, open } from "node:fs/promises";
import { asFileError } from "../runs/durable-file.ts";

const FLUSH_BYTES = 1024 * 1024;

export class Appender {
  readonly #file: string;
  readonly #handle: FileHandle;
  #pieces: Uint8Array[] = [];
  #pending = 0;
  /** Bytes written, those that still wait among them. */
  length: number;

  private constructor(file: string, handle: FileHandle, length: number) {
    this.#file = file;
    this.#handle = handle;
    this.length = length;
  }

  /** Goes on behind the first `length` bytes; what follows them is cut off. */
  static async open(file: string, length = 0): Promise<Appender> {
    try {
      const handle = await open(file, length === 0 ? "w" : "r+");
      await handle.truncate(length);
      return new Appender(file, handle, length);
    } catch (error) {
      throw asFileError(error, `write ${file}`);
    }
  }

  async add(...pieces: readonly Uint8Array[]): Promise<void> {
    for (const piece of pieces) {
      this.#pieces.push(piece);
      this.#pending += piece.length;
      this.length += piece.length;
    }
    if (this.#pending >= FLUSH_BYTES) {
      await this.flush();
    }
  }

  async flush(): Promise<void> {
    const joined = Buffer.concat(this.#pieces);
    const at = this.length - this.#pending;
    this.#pieces = [];
    this.#pending = 0;
    try {
      for (let done = 0; done < joined.length; ) {
        const { bytesWritten } = await this.#handle.write(joined, done, joined.length - done, at + done);
        done += bytesWritten;
      }
    } catch (error) {
      throw asFileError(error, `write ${this.#file}`);
    }
  }

  /** All of it on the disk. */
  async sync(): Promise<void> {
    await this.flush();
    await this.#handle.datasync();
  }

  /** What waits is given up. Closing twice is fine. */
  async close(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
  }
}
