// Opens what is imported as a stream of bytes: files and http(s) addresses, unpacked where they are gzip. Other schemes
// have their door here.
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { AppError } from "#shared/errors";
import type { CancelSignal } from "#shared/ipc/contract";
import { isAddress } from "./sources.ts";

export type OpenedSource = {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Null where the server does not say. */
  readonly sizeBytes: number | null;
};

const CHUNK_BYTES = 256 * 1024;

function abortOf(signal: CancelSignal | undefined): AbortController {
  const controller = new AbortController();
  if (signal?.aborted === true) {
    controller.abort();
  }
  signal?.addEventListener("abort", () => controller.abort(), { once: true });
  return controller;
}

/** The bytes of a file or an address as they are stored. */
export async function openSource(location: string, signal?: CancelSignal): Promise<OpenedSource> {
  if (!isAddress(location)) {
    const stream = createReadStream(location, { highWaterMark: CHUNK_BYTES });
    return { chunks: stream, sizeBytes: null };
  }
  const address = new URL(location);
  if (address.protocol === "http:" || address.protocol === "https:") {
    return openHttp(address, signal);
  }
  throw new AppError(
    "NOT_SUPPORTED",
    `${location}: addresses that begin with ${address.protocol}// cannot be read; give a file, or http(s).`,
  );
}

async function openHttp(address: URL, signal: CancelSignal | undefined): Promise<OpenedSource> {
  const controller = abortOf(signal);
  let response: Response;
  try {
    response = await fetch(address, { signal: controller.signal, headers: { "accept-encoding": "identity" } });
  } catch (cause) {
    throw new AppError(
      "FETCH_FAILED",
      `Cannot reach ${address.href}; check the address and the network, then run it again.`,
      { cause },
    );
  }
  if (!response.ok || response.body === null) {
    controller.abort();
    const code = response.status === 404 ? "FETCH_NOT_FOUND" : "FETCH_FAILED";
    throw new AppError(code, `${address.href} answers ${response.status}; check the address, or run it again later.`);
  }
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  const sizeBytes = Number.isSafeInteger(length) ? length : null;
  const body = response.body;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let received = 0;
    try {
      // as: Node's web streams are async iterable, which the type of fetch does not say.
      for await (const chunk of body as unknown as AsyncIterable<Uint8Array>) {
        received += chunk.length;
        yield chunk;
      }
    } catch (cause) {
      if (signal?.aborted === true) {
        throw new AppError("CANCELLED", "The import was cancelled.");
      }
      throw new AppError("FETCH_FAILED", `${address.href} broke off after ${received} bytes; run it again.`, { cause });
    } finally {
      controller.abort();
    }
    if (sizeBytes !== null && received !== sizeBytes) {
      throw new AppError(
        "FETCH_FAILED",
        `${address.href} ended after ${received} of ${sizeBytes} bytes; run it again.`,
      );
    }
  }
  return { chunks: chunks(), sizeBytes };
}

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
