// A file that is written in order, through a buffer of a quarter of a megabyte: many small pieces cost neither calls of the
// system nor memory of their own.
import { type FileHandle, open } from "node:fs/promises";
import { asFileError } from "../runs/durable-file.ts";

const BUFFER_BYTES = 256 * 1024;

export class Appender {
  readonly #file: string;
  readonly #handle: FileHandle;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
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
      if (this.#pending + piece.length > BUFFER_BYTES) {
        await this.flush();
      }
      if (piece.length > BUFFER_BYTES) {
        await this.#write(piece, this.length);
      } else {
        this.#buffer.set(piece, this.#pending);
        this.#pending += piece.length;
      }
      this.length += piece.length;
    }
  }

  async flush(): Promise<void> {
    if (this.#pending > 0) {
      const waiting = this.#buffer.subarray(0, this.#pending);
      await this.#write(waiting, this.length - this.#pending);
      this.#pending = 0;
    }
  }

  async #write(bytes: Uint8Array, at: number): Promise<void> {
    try {
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at + done);
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
