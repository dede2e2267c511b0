// Streams of bytes as an import needs them: unpacked where they are gzip, and looked at before they are read.
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { AppError } from "#shared/errors";

const CHUNK_BYTES = 256 * 1024;

/** Unpacks gzip. `name` is for the sentence. */
export async function* gunzip(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const source = Readable.from(chunks, { objectMode: true, highWaterMark: 4 });
  const unpacker = createGunzip({ chunkSize: CHUNK_BYTES });
  source.once("error", (error) => unpacker.destroy(error));
  try {
    for await (const chunk of source.pipe(unpacker)) {
      // as: a stream without an encoding yields buffers.
      yield chunk as Buffer;
    }
  } catch (cause) {
    const code = (cause as { code?: unknown }).code;
    if (typeof code === "string" && code.startsWith("Z_")) {
      throw new AppError("FILE_NOT_READABLE", `Cannot unpack ${name}: it is damaged or cut short; fetch it again.`, {
        cause,
      });
    }
    throw cause;
  } finally {
    source.destroy();
    unpacker.destroy();
  }
}

/** The first bytes of a stream, and the stream with them put back. */
export async function peek(
  chunks: AsyncIterable<Uint8Array>,
  count: number,
): Promise<{ readonly head: Uint8Array; readonly chunks: AsyncGenerator<Uint8Array> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  const read: Uint8Array[] = [];
  let length = 0;
  while (length < count) {
    const next = await iterator.next();
    if (next.done === true) {
      break;
    }
    read.push(next.value);
    length += next.value.length;
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* read;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  return { head: Buffer.concat(read).subarray(0, count), chunks: whole() };
}
