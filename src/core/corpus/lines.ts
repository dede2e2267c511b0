// Lines of a stream of bytes, many at a time: what all formats that go by lines are read with.
import { createReadStream } from "node:fs";

const NEWLINE = 0x0a;

/** Cuts pieces of bytes into lines, without their ends (\n). */
export class LineSplitter {
  readonly #maxBytes: number;
  readonly #refuse: (line: number) => Error;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #line = 1;

  /** `refuse` makes the error for a line, counted from 1, of more than `maxBytes`. */
  constructor(maxBytes: number, refuse: (line: number) => Error) {
    this.#maxBytes = maxBytes;
    this.#refuse = refuse;
  }

  push(chunk: Uint8Array, onLine: (bytes: Uint8Array, line: number) => void): void {
    let from = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const tail = chunk.subarray(from, end);
      const bytes = this.#pending.length === 0 ? tail : Buffer.concat([...this.#pending, tail]);
      this.#pending = [];
      this.#pendingBytes = 0;
      from = end + 1;
      onLine(bytes, this.#line);
      this.#line += 1;
    }
    if (from < chunk.length) {
      this.#pending.push(chunk.subarray(from));
      this.#pendingBytes += chunk.length - from;
      if (this.#pendingBytes > this.#maxBytes) {
        throw this.#refuse(this.#line);
      }
    }
  }

  /** The last line, where no \n ends it. */
  end(onLine: (bytes: Uint8Array, line: number) => void): void {
    if (this.#pendingBytes > 0) {
      onLine(Buffer.concat(this.#pending), this.#line);
    }
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}

const CHUNK_BYTES = 1024 * 1024;

/** The lines of a file of our own, as many at a time as a megabyte holds. */
export async function* fileLines(file: string): AsyncGenerator<readonly Uint8Array[]> {
  const splitter = new LineSplitter(Number.POSITIVE_INFINITY, () => new Error("a line has no end"));
  let lines: Uint8Array[] = [];
  const onLine = (bytes: Uint8Array) => {
    lines.push(bytes);
  };
  for await (const chunk of createReadStream(file, { highWaterMark: CHUNK_BYTES })) {
    // as: a stream without an encoding yields buffers.
    splitter.push(chunk as Buffer, onLine);
    if (lines.length > 0) {
      yield lines;
      lines = [];
    }
  }
  splitter.end(onLine);
  if (lines.length > 0) {
    yield lines;
  }
}
