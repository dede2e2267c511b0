// A body over HTTP that arrives whole or not at all: what fails for a moment is asked again after a growing, jittered
// pause; a body that is cut goes on from its last byte, held by If-Match to the version it began with; a server that falls
// silent is given up. Bytes are taken as they are stored (fetch would unpack by Content-Encoding, and lose count).
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { AppError } from "#shared/errors";
import { refusalOf, unreachable } from "./refusals.ts";

export type Policy = {
  /** In a row without a single new byte. */
  readonly attempts: number;
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly silenceMs: number;
};

const defaultPolicy: Policy = { attempts: 6, firstPauseMs: 250, longestPauseMs: 20_000, silenceMs: 30_000 };

export type TransferOptions = {
  readonly signal?: AbortSignal | undefined;
  readonly policy?: Policy | undefined;
  /** Each time something is asked for, again or for the first time. */
  readonly onRequest?: (() => void) | undefined;
};

export type Target = {
  /** For sentences: without a query, which may hold a signature. */
  readonly name: string;
  readonly url: URL;
  /** Null of a plain server. */
  readonly store: { readonly bucket: string; readonly region: string; readonly isAnonymous: boolean } | null;
  /** Of one request: a signature holds for minutes only. */
  headers(): Promise<Readonly<Record<string, string>>>;
};

export type Answer = { readonly status: number; readonly headers: IncomingHttpHeaders; readonly body: IncomingMessage };

const LARGEST_REDIRECT_COUNT = 8;
const LARGEST_REFUSAL_BYTES = 64 * 1024;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const momentary: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

function cancelled(target: Target): AppError {
  return new AppError("CANCELLED", `Reading ${target.name} was cancelled.`);
}

function send(url: URL, headers: Readonly<Record<string, string>>, options: TransferOptions): Promise<IncomingMessage> {
  const silenceMs = (options.policy ?? defaultPolicy).silenceMs;
  return new Promise((resolve, reject) => {
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    const client = url.protocol === "https:" ? https : http;
    const request = client.request(url, { method: "GET", headers, ...signal });
    const silence = setTimeout(
      () => request.destroy(new Error(`no answer for ${silenceMs / 1000} seconds`)),
      silenceMs,
    );
    request.once("response", (message) => {
      clearTimeout(silence);
      // An answer may break off before anybody reads it; whoever reads it then is told.
      message.on("error", () => undefined);
      resolve(message);
    });
    // Stays for the life of the request: an error after the answer reaches the body, but is told here too.
    request.on("error", (error) => {
      clearTimeout(silence);
      reject(error);
    });
    request.end();
  });
}

/** Redirects of plain servers are followed; a signature holds for one host only, so those of stores are an answer. */
async function sendOn(target: Target, headers: Readonly<Record<string, string>>, options: TransferOptions) {
  let url = target.url;
  for (let hop = 0; hop <= LARGEST_REDIRECT_COUNT; hop += 1) {
    const message = await send(url, headers, options);
    const location = message.headers.location;
    if (target.store !== null || location === undefined || !redirects.has(message.statusCode ?? 0)) {
      return message;
    }
    message.destroy();
    const next = URL.canParse(location, url.href) ? new URL(location, url) : null;
    const isWeaker = url.protocol === "https:" && next?.protocol === "http:";
    if (next === null || isWeaker || (next.protocol !== "http:" && next.protocol !== "https:")) {
      throw new AppError(
        "FETCH_NOT_ALLOWED",
        `${target.name} sends on to an address that is not followed; give the address where the file is.`,
      );
    }
    url = next;
  }
  throw new AppError("FETCH_FAILED", `${target.name} sends in circles; check the address.`);
}

/** The pieces of a body; a server that sends nothing for too long is an error of the stream. */
async function* pieces(body: IncomingMessage, silenceMs: number): AsyncGenerator<Uint8Array> {
  const iterator = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      // Only while we wait: a reader that takes its time is no fault of the server.
      const silence = setTimeout(() => {
        body.destroy(new Error(`nothing came for ${silenceMs / 1000} seconds`));
      }, silenceMs);
      const next = await iterator.next().finally(() => clearTimeout(silence));
      if (next.done === true) {
        return;
      }
      // as: a stream without an encoding yields buffers.
      yield next.value as Buffer;
    }
  } finally {
    body.destroy();
  }
}

/** A small body as text; null where it is larger than allowed. */
export async function readText(answer: Answer, largestBytes: number, options: TransferOptions): Promise<string | null> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const piece of pieces(answer.body, (options.policy ?? defaultPolicy).silenceMs)) {
    length += piece.length;
    if (length > largestBytes) {
      return null;
    }
    parts.push(piece);
  }
  return Buffer.concat(parts).toString("utf8");
}

/** Doubles with every failure, and is drawn from its upper half so that many readers do not return at once. */
async function pause(failures: number, retryAfter: string | undefined, target: Target, options: TransferOptions) {
  const policy = options.policy ?? defaultPolicy;
  const full = Math.min(policy.longestPauseMs, policy.firstPauseMs * 2 ** (failures - 1));
  const asked = Number(retryAfter ?? 0) * 1000;
  const least = Number.isFinite(asked) ? Math.min(Math.max(asked, 0), policy.longestPauseMs) : 0;
  try {
    const signal = options.signal === undefined ? {} : { signal: options.signal };
    await sleep(Math.max(least, full * (0.5 + Math.random() / 2)), undefined, signal);
  } catch {
    throw cancelled(target);
  }
}

/** Asks until an answer of an expected status comes. Every other answer, and none, is an error with a sentence. */
export async function ask(
  target: Target,
  expected: readonly number[],
  extra: Readonly<Record<string, string>>,
  options: TransferOptions,
): Promise<Answer> {
  const policy = options.policy ?? defaultPolicy;
  for (let failures = 1; ; failures += 1) {
    let error: AppError;
    let retryAfter: string | undefined;
    let mayRetry = true;
    try {
      const headers = { "accept-encoding": "identity", "user-agent": "assay", ...(await target.headers()), ...extra };
      options.onRequest?.();
      const body = await sendOn(target, headers, options);
      const answer = { status: body.statusCode ?? 0, headers: body.headers, body };
      if (expected.includes(answer.status)) {
        return answer;
      }
      const text = (await readText(answer, LARGEST_REFUSAL_BYTES, options)) ?? "";
      error = refusalOf(target, answer.status, answer.headers, text);
      mayRetry = momentary.has(answer.status);
      retryAfter = answer.headers["retry-after"];
    } catch (cause) {
      if (options.signal?.aborted === true) {
        throw cancelled(target);
      }
      if (cause instanceof AppError) {
        throw cause;
      }
      error = unreachable(target, cause);
    }
    if (!mayRetry || failures >= policy.attempts) {
      throw error;
    }
    await pause(failures, retryAfter, target, options);
  }
}

function changed(target: Target): AppError {
  return new AppError("FETCH_CHANGED", `${target.name} was replaced while it was read; run it again to read it anew.`);
}

/** Goes on at a byte of the same version. */
async function askFrom(target: Target, at: number, size: number, etag: string, options: TransferOptions) {
  const headers = { range: `bytes=${at}-`, "if-match": etag };
  const answer = await ask(target, [200, 206, 412, 416], headers, options);
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(answer.headers["content-range"] ?? "");
  // Servers that do not know If-Match send the new version: its tag tells.
  const isSame = answer.headers.etag === undefined || answer.headers.etag === etag;
  if (answer.status === 206 && isSame && Number(range?.[1]) === at && Number(range?.[2]) === size) {
    return answer;
  }
  answer.body.destroy();
  if (answer.status === 200 && isSame) {
    throw new AppError(
      "FETCH_FAILED",
      `${target.name} broke off after ${at} of ${size} bytes, and its server cannot go on from there; run it again.`,
    );
  }
  throw changed(target);
}

export async function transfer(
  target: Target,
  options: TransferOptions,
): Promise<{ readonly chunks: AsyncGenerator<Uint8Array>; readonly sizeBytes: number | null }> {
  const policy = options.policy ?? defaultPolicy;
  const first = await ask(target, [200], {}, options);
  const length = Number(first.headers["content-length"] ?? Number.NaN);
  const sizeBytes = Number.isSafeInteger(length) && length >= 0 ? length : null;
  // A weak tag may stay while bytes change, so it holds nothing together.
  const etag = first.headers.etag?.startsWith('"') === true ? first.headers.etag : null;
  if (target.store !== null && first.headers.etag === undefined) {
    first.body.destroy();
    throw new AppError(
      "FETCH_ENDPOINT_WRONG",
      `${target.url.host} does not answer as an object store does; check AWS_ENDPOINT_URL.`,
    );
  }
  async function* chunks(): AsyncGenerator<Uint8Array> {
    let answer = first;
    let received = 0;
    let failures = 0;
    for (;;) {
      let cause: unknown = new Error("its server closed the connection");
      try {
        for await (const piece of pieces(answer.body, policy.silenceMs)) {
          received += piece.length;
          failures = 0;
          yield piece;
        }
        if (sizeBytes === null || received === sizeBytes) {
          return;
        }
      } catch (error) {
        cause = error;
      }
      if (options.signal?.aborted === true) {
        throw cancelled(target);
      }
      failures += 1;
      if (sizeBytes === null || etag === null || failures >= policy.attempts) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        const place = sizeBytes === null ? `${received} bytes` : `${received} of ${sizeBytes} bytes`;
        throw new AppError("FETCH_FAILED", `${target.name} broke off after ${place} (${reason}); run it again.`, {
          cause,
        });
      }
      await pause(failures, undefined, target, options);
      answer = await askFrom(target, received, sizeBytes, etag, options);
    }
  }
  return { chunks: chunks(), sizeBytes };
}
