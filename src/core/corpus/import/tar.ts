// The files of a tar archive as they stream by: ustar, with the long names of GNU and POSIX. Nothing is written to disk,
// so names cannot lead out of a folder.
import { AppError } from "#shared/errors";

export type TarMember = { readonly name: string; readonly chunks: AsyncGenerator<Uint8Array> };

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 64 * 1024;

export function isTar(head: Uint8Array): boolean {
  return head.length >= 262 && Buffer.from(head.subarray(257, 262)).toString("latin1") === "ustar";
}

function textAt(block: Uint8Array, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end)).toString("utf8");
}

/** A number of the header: octal, or binary where its first bit is set. */
function numberAt(block: Uint8Array, from: number, length: number): number {
  if (((block[from] ?? 0) & 0x80) !== 0) {
    let value = 0;
    for (let at = from + 1; at < from + length; at += 1) {
      value = value * 256 + (block[at] ?? 0);
    }
    return value;
  }
  const text = textAt(block, from, length).trim();
  return text === "" ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}

function hasGoodSum(block: Uint8Array): boolean {
  let sum = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 1) {
    sum += at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
  }
  return sum === numberAt(block, 148, 8);
}

/** The path of a POSIX extended header: `27 path=name\n`. */
function pathOfExtended(text: string): string | null {
  return /(?:^|\n)\d+ path=([^\n]*)\n/.exec(text)?.[1] ?? null;
}

/** Takes pieces of any size apart into as many bytes as one asks for. */
class ByteSource {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#iterator = chunks[Symbol.asyncIterator]();
  }

  /** At most so many bytes; null at the end. */
  async some(limit: number): Promise<Uint8Array | null> {
    while (this.#rest.length === 0) {
      const next = await this.#iterator.next();
      if (next.done === true) {
        return null;
      }
      this.#rest = next.value;
    }
    const taken = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }

  /** Exactly so many; null where the end comes first. */
  async exactly(count: number): Promise<Uint8Array | null> {
    const pieces: Uint8Array[] = [];
    for (let left = count; left > 0; ) {
      const piece = await this.some(left);
      if (piece === null) {
        return null;
      }
      pieces.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(pieces);
  }

  async close(): Promise<void> {
    await this.#iterator.return?.();
  }
}

/** Files in the archive's order. Each must be read, or left, before the next is asked for. */
export async function* tarMembers(chunks: AsyncIterable<Uint8Array>, archive: string): AsyncGenerator<TarMember> {
  const source = new ByteSource(chunks);
  const broken = (reason: string) =>
    new AppError("CORPUS_RECORD_INVALID", `${archive}: the archive is damaged (${reason}); fetch it again.`, {
      details: { file: archive },
    });
  let longName: string | null = null;
  try {
    for (;;) {
      const header = await source.exactly(BLOCK_BYTES);
      if (header === null || header.every((byte) => byte === 0)) {
        return;
      }
      const size = numberAt(header, 124, 12);
      if (!hasGoodSum(header) || !Number.isSafeInteger(size)) {
        throw broken("a header has a wrong sum");
      }
      const type = String.fromCharCode(header[156] ?? 0);
      const padding = (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES;
      if ((type === "L" || type === "x") && size <= MAX_NAME_BYTES) {
        const bytes = await source.exactly(size + padding);
        if (bytes === null) {
          throw broken("it is cut short");
        }
        const text = Buffer.from(bytes.subarray(0, size)).toString("utf8");
        longName = type === "L" ? text.replace(/\0.*$/s, "") : (pathOfExtended(text) ?? longName);
        continue;
      }
      const prefix = textAt(header, 345, 155);
      const short = textAt(header, 0, 100);
      const name: string = longName ?? (prefix === "" ? short : `${prefix}/${short}`);
      longName = null;
      let left = size;
      async function* content(): AsyncGenerator<Uint8Array> {
        while (left > 0) {
          const piece = await source.some(left);
          if (piece === null) {
            throw broken(`it is cut short in ${name}`);
          }
          left -= piece.length;
          yield piece;
        }
      }
      if (type === "0" || type === "\0" || type === "7") {
        yield { name, chunks: content() };
      }
      // What nobody read, and what fills the last block.
      left += padding;
      for await (const piece of content()) {
        void piece;
      }
    }
  } finally {
    await source.close();
  }
}
